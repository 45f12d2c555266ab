"""Trials in real processes: the same rows as in one, whatever is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras_tuner as kt
import psutil
import pytest

from autorec.errors import ConfigError, DataError, SearchAborted
from autorec.run import Run
from autorec.searchers import pool, processes
from autorec.searchers.cores import Share, cores, shares
from autorec.searchers.job import Job
from autorec.searchers.oracles import get_oracle
from autorec.searchers.portable import PortableFunction
from autorec.searchers.processes import WORKING, Processes
from autorec.searchers.runner import search
from autorec.searchers.testing import OBJECTIVE, planted_space, planted_trial
from autorec.searchers.trial_process import Setting, TrialProcess

Heard = Callable[[dict[str, Any]], None]


def run_search(folder: Path, evaluate: Any = planted_trial, workers: int = 2, emit: Heard = len, **more: Any) -> Any:
    """Returns the rows of a search, without the seconds; `workers=0` trains in this process."""
    oracle = get_oracle("random", objective=OBJECTIVE, seed=1)
    settings: dict[str, Any] = {
        "space_build": planted_space,
        "evaluate": evaluate,
        "max_trials": 6,
        "emit": emit,
        **more,
    }
    with Run(folder) as run:
        executor = None
        if workers:
            share = [Share(1)] * workers
            executor = Processes(run, PortableFunction(evaluate), objective=OBJECTIVE.name, shares=share, emit=emit)
        try:
            search(run, oracle=oracle, executor=executor, **settings)
        finally:
            if executor is not None:
                executor.close()
        return [{key: value for key, value in row.items() if key != "seconds"} for row in run.trials()]


def once(folder: Path, number: int) -> bool:
    """Returns whether this is the first time that trial `number` is trained."""
    marker = folder / f"begun-{number}"
    known = marker.exists()
    marker.touch()
    return not known


def gone(numbers: list[int], seconds: float = 10.0) -> bool:
    """Returns whether processes end within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(_runs(number) for number in numbers):
            return True
        time.sleep(0.05)
    return False


def _runs(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_two_processes_make_the_search_of_one(tmp_path: Path) -> None:
    several = run_search(tmp_path / "several")
    assert several == run_search(tmp_path / "one", workers=0)
    assert not (tmp_path / "several" / WORKING).exists()


@pytest.mark.long
def test_a_process_has_its_share_and_no_more(tmp_path: Path) -> None:
    def evaluate(job: Job) -> dict[str, Any]:
        import tensorflow as tf

        return {
            **planted_trial(job),
            "cores": sorted(os.sched_getaffinity(0)),
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
            "openmp": os.environ["OMP_NUM_THREADS"],
        }

    share = shares(len(cores()), cores())[-1]
    with Run(tmp_path) as run:
        pool = Processes(run, PortableFunction(evaluate), objective="score", shares=[share], emit=len)
        oracle = get_oracle("random", objective=OBJECTIVE, seed=1)
        search(run, oracle=oracle, space_build=planted_space, evaluate=evaluate, max_trials=1, executor=pool)
        pool.close()
        row = run.trials()[0]
    assert (row["cores"], row["threads"], row["openmp"]) == ([cores()[-1]], 1, "1")


@pytest.mark.long
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_killed_or_hangs_costs_one_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    monkeypatch.setattr(pool, "_SILENT", 4.0)
    heard: list[dict[str, Any]] = []

    def evaluate(job: Job) -> Any:
        if job.number == 1 and once(tmp_path, 1):
            os.kill(os.getpid(), sent)
            time.sleep(60)
        return planted_trial(job)

    rows = run_search(tmp_path / "run", evaluate, emit=heard.append)
    assert rows == run_search(tmp_path / "one", workers=0)
    texts = [event["text"] for event in heard if event["event"] == "message"]
    assert len(texts) == 1
    assert "begun once more" in texts[0]


@pytest.mark.long
def test_a_trial_that_kills_every_process_is_a_failed_row_and_the_others_are_not(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        if job.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return planted_trial(job)

    rows = run_search(tmp_path, evaluate)
    assert [row["status"] for row in rows] == ["completed", "failed", *["completed"] * 4]
    cause = "TrialFailed: its process was killed by SIGKILL, as when memory runs out, 2 times"
    assert rows[1]["error"] == cause


@pytest.mark.alone
@pytest.mark.long
def test_a_trial_that_no_alarm_reaches_is_ended_at_the_limit_all_the_same(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        if job.number == 1:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            time.sleep(60)
        return planted_trial(job)

    begin = time.monotonic()
    rows = run_search(tmp_path, evaluate, max_trials=3, deadline=begin + 25)
    assert time.monotonic() - begin < 25 * 1.05 + 1.5
    assert [row["status"] for row in rows] == ["completed", "failed", "completed"]
    assert rows[1]["error"] == "TrialFailed: ran over its share of the time and was ended"


@pytest.mark.long
def test_a_space_of_a_module_that_is_not_there_ends_the_search_at_once(tmp_path: Path) -> None:
    here_alone = types.ModuleType("here_alone")
    exec("def evaluate(job): return {'metrics': {'score': 1.0}}", here_alone.__dict__)
    sys.modules["here_alone"] = here_alone
    try:
        with pytest.raises(SearchAborted, match=r"cannot load the space.*No module named 'here_alone'\. A function"):
            run_search(tmp_path, here_alone.evaluate)
    finally:
        del sys.modules["here_alone"]
    with Run(tmp_path) as run:
        assert run.trials() == []


def test_what_cannot_be_sent_is_refused_before_any_process_begins(tmp_path: Path) -> None:
    handle = (tmp_path / "open").open("w")
    with pytest.raises(ConfigError, match="`function` must be something that can be sent"):
        run_search(tmp_path / "run", lambda job: handle)
    handle.close()


@pytest.mark.long
def test_an_interrupted_search_leaves_no_process(tmp_path: Path) -> None:
    seen: list[int] = []

    def interrupt(event: dict[str, Any]) -> None:
        if event["event"] == "trial_finished":
            seen.extend(child.pid for child in psutil.Process().children())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(tmp_path, emit=interrupt)
    assert len(seen) >= 2
    assert gone(seen)
    assert len(run_search(tmp_path)) == 6


# The process of the search is killed

SCRIPT = """
import sys, time
from pathlib import Path
from autorec.searchers.testing import planted_trial
from tests.searchers.test_processes import run_search

def evaluate(job):
    time.sleep(0.3)
    return planted_trial(job)

run_search(Path(sys.argv[1]), evaluate, max_trials=int(sys.argv[2]))
"""


def begin(folder: Path, trials: int = 12) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), str(trials)], cwd=root)


def processes_of(process: subprocess.Popen[bytes], count: int, seconds: float = 60.0) -> list[int]:
    """Returns the numbers of a process's children as soon as there are so many."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        found = [child.pid for child in psutil.Process(process.pid).children()]
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError("the processes did not begin")


@pytest.mark.long
@pytest.mark.parametrize("halted", [False, True])
def test_a_killed_search_leaves_no_process_not_even_one_that_is_halted(tmp_path: Path, halted: bool) -> None:
    process = begin(tmp_path, trials=1000)
    children = processes_of(process, 2)
    if halted:
        for child in children:
            os.kill(child, signal.SIGSTOP)
    process.kill()
    process.wait()
    assert gone(children)


@pytest.mark.long
def test_a_process_killed_at_any_moment_changes_no_row(tmp_path: Path) -> None:
    whole = run_search(tmp_path / "whole", workers=0, max_trials=12)
    draw = random.Random(0)
    for moment in range(20):
        folder = tmp_path / str(moment)
        process = begin(folder)
        children = processes_of(process, 2)
        time.sleep(draw.uniform(0, 9))
        victim = process.pid if moment % 2 else draw.choice(children)
        with_suppressed(os.kill, victim, signal.SIGKILL)
        process.wait(120)
        assert gone(children)
        assert run_search(folder, max_trials=12) == whole, f"moment {moment}"


def with_suppressed(call: Callable[..., Any], *arguments: Any) -> None:
    """Calls a function; the process may have ended by itself."""
    try:
        call(*arguments)
    except ProcessLookupError:
        return


def test_a_second_search_in_the_directory_is_told_who_is_there(tmp_path: Path) -> None:
    with Run(tmp_path), pytest.raises(ConfigError, match=f"Process {os.getpid()} holds it"):
        run_search(tmp_path)


def test_halted_processes_go_on_when_a_measurement_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halted: list[bool] = []

    class Played:
        def __init__(self, setting: Any) -> None: ...

        def halt(self, yes: bool) -> None:
            halted.append(yes)

        def close(self) -> None: ...

    monkeypatch.setattr(processes, "LocalProcess", Played)
    with Run(tmp_path) as run:
        executor = Processes(run, PortableFunction(planted_trial), objective="score", shares=[Share(1)] * 2, emit=len)
        executor.begin()
        with pytest.raises(ZeroDivisionError), executor.quiet():
            raise ZeroDivisionError
        executor.close()
    assert halted == [True, True, False, False]


@pytest.mark.parametrize("seen", [True, False])
def test_a_full_disk_ends_the_search_if_it_is_the_runs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    def full(*arguments: Any) -> dict[str, Any]:
        raise DataError("the disk is full")

    sent: list[Any] = []
    monkeypatch.setattr("autorec.searchers.outcome.attempt", full)
    process = TrialProcess(types.SimpleNamespace(send=sent.append))  # type: ignore[arg-type]
    setting = Setting(b"", "score", str(tmp_path), Share(1), seen=seen)
    message = {**Job(0, kt.HyperParameters(), 1, None, None, {}).to_message(), "end": None}
    with nullcontext() if seen else pytest.raises(DataError):
        process._train(planted_trial, setting, message)
    assert [word for word, _ in sent] == (["full"] if seen else [])
