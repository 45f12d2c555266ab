"""A pool of processes: who trains what, and what a lost process costs; the processes are played."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pytest

from autorec.errors import DataError, SearchAborted, TrialFailed
from autorec.run import Run
from autorec.searchers import pool as module
from autorec.searchers.executor import Ended
from autorec.searchers.job import Job
from autorec.searchers.pool import Message, Pool

Play = Callable[["PlayedSeat", dict[str, Any]], list[Message]]


@dataclass(eq=False)
class PlayedSeat:
    """A process that answers each job as it is told to."""

    slot: int
    play: Play
    placed: bool = True
    inbox: list[Message] = field(default_factory=lambda: [("ready", None)])
    jobs: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False

    def send(self, message: dict[str, Any]) -> None:
        self.jobs.append(message)
        self.inbox += self.play(self, message)

    def close(self) -> None:
        self.closed = True


class PlayedPool(Pool[PlayedSeat]):
    """A pool of such processes; `seats` holds all that were ever opened."""

    def __init__(self, run: Run, slots: int, play: Play, **more: Any) -> None:
        self.heard: list[dict[str, Any]] = []
        self.seats: list[PlayedSeat] = []
        self.play = play
        super().__init__(run, slots, self.heard.append, **more)

    def open(self, slot: int) -> PlayedSeat:
        self.seats.append(PlayedSeat(slot, self.play))
        return self.seats[-1]

    def receive(self, seats: Sequence[PlayedSeat], seconds: float) -> list[tuple[PlayedSeat, Message]]:
        found = [(seat, message) for seat in seats for message in seat.inbox]
        for seat in seats:
            seat.inbox = []
        if not found:
            time.sleep(0.01)
        return found


def job_of(number: int = 0, **more: Any) -> Job:
    return Job(number, kt.HyperParameters(), 1, None, None, {}, **more)


def done(message: dict[str, Any], memory: int = 100, files: Any = None, **more: Any) -> Message:
    outcome = {"status": "completed", "score": 0.5, "metrics": {}, **more}
    content = {"outcome": outcome, "seconds": 2.0, "hyperparameters": message["hyperparameters"], "files": files}
    return ("ended", {"number": message["number"], "memory": memory, **content})


def completes(seat: PlayedSeat, message: dict[str, Any]) -> list[Message]:
    return [done(message)]


def dies(seat: PlayedSeat, message: dict[str, Any]) -> list[Message]:
    return [("died", "its process was killed by SIGKILL")]


def hangs(seat: PlayedSeat, message: dict[str, Any]) -> list[Message]:
    return []


def result(run: Run, play: Play, end: float | None = None, **more: Any) -> tuple[Ended, PlayedPool]:
    pool = PlayedPool(run, 1, play, **more)
    pool.start(job_of(), end)
    return pool.wait(), pool


@pytest.fixture
def run(tmp_path: Path) -> Any:
    with Run(tmp_path) as opened:
        yield opened


def test_a_trial_comes_back_with_what_its_process_sent(run: Run) -> None:
    ended, _ = result(run, completes)
    assert (ended.number, ended.outcome["score"], ended.seconds) == (0, 0.5, 2.0)
    assert ended.hyperparameters == {"space": [], "values": {}}


def test_jobs_go_to_processes_that_are_free_and_wait_for_one(run: Run) -> None:
    pool = PlayedPool(run, 2, completes)
    for number in range(5):
        pool.start(job_of(number), None)
    assert sorted(pool.wait().number for _ in range(5)) == [0, 1, 2, 3, 4]
    assert [len(seat.jobs) for seat in pool.seats] == [3, 2]


def test_a_trial_whose_process_dies_is_begun_once_more_in_a_fresh_one(run: Run) -> None:
    plays = iter((dies, completes))
    ended, pool = result(run, lambda seat, message: next(plays)(seat, message))
    assert ended.outcome["status"] == "completed"
    assert [seat.closed for seat in pool.seats] == [True, False]
    assert pool.seats[0].jobs[0]["seed"] == pool.seats[1].jobs[0]["seed"]
    assert pool.heard[0]["text"] == "trial 0: its process was killed by SIGKILL; it is begun once more"


def test_the_second_time_it_is_a_failed_row_with_the_cause(run: Run) -> None:
    ended, pool = result(run, dies)
    assert ended.outcome["error"] == "TrialFailed: its process was killed by SIGKILL, 2 times"
    assert len(pool.seats) == 2


def test_a_process_without_a_sign_of_life_is_ended_as_one_that_died(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENT", 0.2)
    ended, pool = result(run, hangs)
    assert "its process did not answer for 0 s, 2 times" in ended.outcome["error"]
    assert all(seat.closed for seat in pool.seats)


def test_a_process_that_no_machine_has_taken_yet_is_waited_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENT", 0.2)
    pool = PlayedPool(run, 2, completes)
    pool.begin()
    pool.seats[0].placed, pool.seats[0].inbox = False, []
    for number in range(2):
        pool.start(job_of(number), None)
    assert sorted(pool.wait().number for _ in range(2)) == [0, 1]
    assert not pool.seats[0].closed


def test_a_trial_far_behind_its_end_is_ended_and_not_begun_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LATE", 0.05)
    ended, pool = result(run, hangs, end=time.monotonic() + 0.05)
    assert ended.outcome["error"] == "TrialFailed: ran over its share of the time and was ended"
    assert [seat.closed for seat in pool.seats] == [True]


@pytest.mark.parametrize("placed", [False, True])
def test_the_only_hope_for_a_result_is_not_waited_for_without_end(
    run: Run, monkeypatch: pytest.MonkeyPatch, placed: bool
) -> None:
    pool = PlayedPool(run, 1, completes)
    pool.begin()
    pool.seats[0].placed, pool.seats[0].inbox = placed, []  # taken by no machine, or never ready
    if placed:
        monkeypatch.setattr(module, "_PATIENCE", 0.2)
    begin = time.monotonic()
    pool.start(Job(0, kt.HyperParameters(), 1, begin + 0.1, None, {}), None)
    assert pool.wait().outcome["status"] == "failed"
    assert time.monotonic() - begin < 5


def test_processes_that_are_lost_while_others_train_do_not_end_the_search(run: Run) -> None:
    class HalfBroken(PlayedPool):
        def open(self, slot: int) -> PlayedSeat:
            seat = super().open(slot)
            if slot and len(self.seats) < 8:
                seat.inbox = [("died", "its node was lost")]
            return seat

    pool = HalfBroken(run, 2, completes)
    for number in range(12):
        pool.start(job_of(number), None)
    assert sorted(pool.wait().number for _ in range(12)) == list(range(12))
    assert len(pool.seats) >= 5


def test_processes_that_never_get_ready_end_the_search(run: Run) -> None:
    class Broken(PlayedPool):
        def open(self, slot: int) -> PlayedSeat:
            seat = super().open(slot)
            seat.inbox = [("died", "its process ended with status 1")]
            return seat

    pool = Broken(run, 1, completes)
    pool.start(job_of(), None)
    with pytest.raises(SearchAborted, match="no process to train trials in can be started: its process ended with"):
        pool.wait()
    assert len(pool.seats) == 3


def test_what_cannot_be_loaded_ends_the_search_with_the_cause_and_what_to_do(run: Run) -> None:
    pool = PlayedPool(run, 1, completes)
    pool.begin()
    pool.seats[0].inbox = [("broken", "ModuleNotFoundError: No module named 'mine'")]
    pool.start(job_of(), None)
    with pytest.raises(SearchAborted, match="No module named 'mine'.*has to be where Python finds it"):
        pool.wait()


def test_a_full_disk_in_a_process_ends_the_search(run: Run) -> None:
    with pytest.raises(DataError, match="the disk is full"):
        result(run, lambda seat, message: [("full", DataError("the disk is full"))])


def test_events_of_a_training_come_through(run: Run) -> None:
    event = {"event": "epoch", "number": 0, "epoch": 1}
    _, pool = result(run, lambda seat, message: [("event", event), done(message)])
    assert pool.heard == [event]


@pytest.mark.parametrize(("memory", "renewed"), [(1000 * 2**20, False), (1600 * 2**20, True)])
def test_a_process_whose_memory_has_grown_is_renewed(run: Run, memory: int, renewed: bool) -> None:
    sizes = iter((1000 * 2**20, memory))
    pool = PlayedPool(run, 1, lambda seat, message: [done(message, next(sizes))])
    for number in range(2):
        pool.start(job_of(number), None)
        pool.wait()
    assert pool.seats[0].closed is renewed


def test_a_process_in_which_a_trial_was_interrupted_is_renewed(run: Run) -> None:
    overrun = {"error": "TrialFailed: ran over its share of the time and was ended", "status": "failed"}
    ended, pool = result(run, lambda seat, message: [done(message, **overrun)])
    assert ended.outcome["status"] == "failed"
    assert pool.seats[0].closed


@pytest.mark.parametrize("sent", [True, False])
def test_files_of_a_trial_are_in_the_run_when_it_has_ended(run: Run, tmp_path: Path, sent: bool) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "model.keras").write_bytes(b"weights")
    files = {"model.keras": b"weights"} if sent else str(folder)
    result(run, lambda seat, message: [done(message, files=files)])
    assert (run.trial_directory(0) / "model.keras").read_bytes() == b"weights"
    assert folder.exists() is sent


@pytest.mark.parametrize("then", [None, ("died", "its process was killed by SIGKILL")])
def test_files_are_in_the_run_though_the_process_goes_at_once(run: Run, tmp_path: Path, then: Message | None) -> None:
    folder = tmp_path / "elsewhere"
    overrun = {"error": "TrialFailed: ran over its share of the time and was ended"}

    def play(seat: PlayedSeat, message: dict[str, Any]) -> list[Message]:
        folder.mkdir()
        (folder / "model.keras").write_bytes(b"weights")
        seat.close = lambda: shutil.rmtree(folder, ignore_errors=True)  # type: ignore[method-assign]
        return [done(message, files=str(folder), **({} if then else overrun)), *([then] if then else [])]

    ended, _ = result(run, play)
    assert ended.number == 0
    assert (run.trial_directory(0) / "model.keras").read_bytes() == b"weights"


def test_costs_that_are_measured_beforehand_travel_with_the_job(run: Run) -> None:
    _, pool = result(run, completes, costs=lambda job: {"latency": 0.3})
    assert pool.seats[0].jobs[0]["costs"] == {"latency": 0.3}


def test_a_model_over_a_budget_is_a_failed_row_that_no_process_sees(run: Run) -> None:
    class Over(TrialFailed):
        costs = {"latency": 9.0}

    def costs(job: Job) -> Any:
        raise Over("latency 9 ms is over max_latency 1 ms")

    ended, pool = result(run, completes, costs=costs)
    assert (ended.outcome["refused"], ended.outcome["latency"]) == (True, 9.0)
    assert not any(seat.jobs for seat in pool.seats)


def test_closing_ends_all_processes(run: Run) -> None:
    _, pool = result(run, completes)
    pool.close()
    assert all(seat.closed for seat in pool.seats)


def test_a_trial_that_waited_for_a_process_until_its_time_was_over_is_not_begun(run: Run) -> None:
    pool = PlayedPool(run, 1, completes)
    for number in range(2):  # the first one is all hope of a search without a result
        pool.start(Job(number, kt.HyperParameters(), 1, time.monotonic() - 1, None, {}), None)
    statuses = {ended.number: ended.outcome["status"] for ended in (pool.wait(), pool.wait())}
    assert statuses == {0: "completed", 1: "failed"}
    assert len(pool.seats[0].jobs) == 1
