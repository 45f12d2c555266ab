"""The runner writes down all that happens, and goes on where it was cut."""

from __future__ import annotations

import errno
import signal
import time
import weakref
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import keras_tuner as kt
import pytest

from autorec.errors import ConfigError, DataError, SearchAborted, TrialFailed
from autorec.run import Run
from autorec.searchers import executor, outcome, shares
from autorec.searchers.alarm import Overrun
from autorec.searchers.oracles import get_oracle
from autorec.searchers.runner import Job, search
from autorec.searchers.testing import OBJECTIVE, planted_space, planted_trial, without_times
from tests.searchers.clock import Clock


def run_search(run: Run, searcher: Any = "random", **arguments: Any) -> str:
    oracle = get_oracle(
        searcher, objective=OBJECTIVE, seed=arguments.get("seed", 0), epochs=arguments.pop("epochs", None)
    )
    settings = {"space_build": planted_space, "evaluate": planted_trial, "max_trials": 4, **arguments}
    return search(run, oracle=oracle, **settings)


def test_a_trial_holds_what_its_evaluation_gave(tmp_path: Path) -> None:
    def evaluate(job: Job) -> dict[str, Any]:
        more = {"best_epoch": 2, "epochs": 3, "parameters": 10, "history": [{"loss": 0.5}], "cut": True}
        return {"metrics": {"score": 0.7, "other": 1.0}, **more}

    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, max_trials=1)
        row = run.trials()[0]
    assert (row["number"], row["kind"], row["status"], row["score"]) == (0, "trial", "completed", 0.7)
    assert (row["best_epoch"], row["epochs"], row["parameters"], row["cut"]) == (2, 3, 10, True)
    assert row["metrics"] == {"score": 0.7, "other": 1.0}
    assert row["history"] == [{"loss": 0.5}]
    assert row["seconds"] >= 0
    assert row["values"]["kind"] in ("flat", "deep")


def test_an_interrupted_trial_is_trained_again_with_its_number_seed_and_values(tmp_path: Path) -> None:
    jobs: list[tuple[int, int, dict[str, Any]]] = []

    def evaluate(job: Job) -> Any:
        jobs.append((job.number, job.seed, dict(job.hp.values)))
        if len(jobs) == 3:
            raise KeyboardInterrupt
        return planted_trial(job)

    with Run(tmp_path) as run, pytest.raises(KeyboardInterrupt):
        run_search(run, evaluate=evaluate)
    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate)
    assert [number for number, _, _ in jobs] == [0, 1, 2, 2, 3]
    assert jobs[2] == jobs[3]


def test_a_finished_search_trains_nothing_again(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        assert run_search(run) == "max_trials"
        before = run.journal.read_bytes()
        assert run_search(run, evaluate=None, space_build=None) == "max_trials"
        assert run.journal.read_bytes() == before


def test_hyperparameters_found_during_the_search_are_the_same_behind_a_cut(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        x = hp.Float("x", 0.0, 1.0)
        if x > 0.3:  # no scope: exploration cannot know
            x += hp.Float("late", 0.0, 1.0)
        return x

    settings: dict[str, Any] = {"space_build": build, "evaluate": lambda job: {"metrics": {"score": build(job.hp)}}}
    for searcher in ("random", "greedy", "hyperband", "bayesian"):
        with Run(tmp_path / searcher / "whole") as run:
            run_search(run, searcher, max_trials=16, **settings)
            whole = [without_times(event) for event in run.events()]
            assert any("late" in row["values"] for row in run.trials())
        for trials in range(1, 16, 3):
            with Run(tmp_path / searcher / str(trials)) as run:
                run_search(run, searcher, max_trials=trials, **settings)
                run_search(run, searcher, max_trials=16, **settings)
                assert [without_times(event) for event in run.events()] == whole


def test_an_oracle_without_a_seed_goes_on_with_that_of_the_run(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        for trials in (3, 6):
            run_search(run, kt.oracles.RandomSearchOracle(), max_trials=trials)
        seed = run.events("search")[0]["oracle_seed"]
        mine = [row["values"] for row in run.trials()]
    with Run(tmp_path / "whole") as run:
        run_search(run, kt.oracles.RandomSearchOracle(seed=seed), max_trials=6)
        assert [row["values"] for row in run.trials()] == mine


def test_recorded_values_win_over_an_oracle_that_cannot_repeat_itself(tmp_path: Path) -> None:
    class Restless(kt.oracles.RandomSearchOracle):
        def populate_space(self, trial_id: str) -> Any:
            self._seed_state += time.monotonic_ns() % 10**9
            return super().populate_space(trial_id)

    with Run(tmp_path) as run:
        run_search(run, Restless(), max_trials=3)
        first = [row["values"] for row in run.trials()]
        run_search(run, Restless(), max_trials=4)
        assert [row["values"] for row in run.trials()][:3] == first


@pytest.mark.parametrize("argument", ["searcher", "seed"])
def test_a_run_of_another_searcher_or_seed_is_refused(tmp_path: Path, argument: str) -> None:
    with Run(tmp_path) as run:
        run_search(run, "random", seed=0)
        with pytest.raises(ConfigError, match=f"`{argument}` must be .* as in the run"):
            run_search(run, "greedy" if argument == "searcher" else "random", seed=1 if argument == "seed" else 0)


def test_ten_failures_of_one_cause_abort(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        raise ValueError("the space is broken")

    with Run(tmp_path) as run:
        with pytest.raises(SearchAborted, match="first 10 trials all failed: ValueError: the space is broken"):
            run_search(run, evaluate=evaluate, max_trials=50)
        assert len(run.trials()) == 10


def test_failures_of_different_causes_go_on_to_the_end(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        raise ValueError(f"cause {job.number}")

    with Run(tmp_path) as run:
        with pytest.raises(SearchAborted, match="all 12 trials failed; trial 0: ValueError: cause 0"):
            run_search(run, evaluate=evaluate, max_trials=12)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_fails_the_trial(tmp_path: Path, score: float) -> None:
    def evaluate(job: Job) -> Any:
        return {"metrics": {"score": score if job.number else 0.5}}

    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, max_trials=2)
        assert f"TrialFailed: the objective 'score' is {score}" in run.trials()[1]["error"]


def test_a_metric_that_is_not_there_is_named(tmp_path: Path) -> None:
    with Run(tmp_path) as run, pytest.raises(SearchAborted, match=r"'score' is none of the metrics \['loss'\]"):
        run_search(run, evaluate=lambda job: {"metrics": {"loss": 1.0}}, max_trials=1)


def test_a_full_disk_ends_the_search_and_the_trial_can_be_trained_again(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Run(tmp_path) as run:
        with pytest.raises(DataError, match="the disk is full"):
            run_search(run, evaluate=evaluate)
        assert [event["number"] for event in run.pending()] == [0]


def test_no_trial_starts_behind_the_deadline(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        assert run_search(run, deadline=time.monotonic()) == "time_limit"
        assert run.trials() == []


def test_no_trial_starts_that_has_less_than_half_of_the_usual_time(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        time.sleep(0.2)
        return planted_trial(job)

    begin = time.monotonic()
    with Run(tmp_path) as run:
        assert run_search(run, evaluate=evaluate, max_trials=None, deadline=begin + 0.48) == "time_limit"
        assert len(run.trials()) == 2


def test_the_deadline_reaches_the_trial(tmp_path: Path) -> None:
    seen = []

    def evaluate(job: Job) -> Any:
        seen.append(job.deadline)
        return planted_trial(job)

    deadline = time.monotonic() + 60
    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, deadline=deadline, max_trials=1)
    assert seen == [deadline]


def test_hyperbands_epochs_are_the_fidelity_of_a_trial(tmp_path: Path) -> None:
    epochs = []

    def evaluate(job: Job) -> Any:
        epochs.append(job.epochs)
        return planted_trial(job)

    with Run(tmp_path) as run:
        run_search(run, "hyperband", evaluate=evaluate, max_trials=13, epochs=9)
        rows = run.trials()
        assert epochs == [1] * 9 + [3] * 3 + [9]
        assert [row["fidelity"] for row in rows] == [{"epochs": 1}] * 9 + [{"epochs": 3}] * 3 + [{}]
        assert [row["values"]["fidelity/epochs"] for row in rows] == epochs
        assert not any(name.startswith("tuner/") for row in rows for name in row["values"])
        assert run.best == rows[12]


def test_trial_seeds_follow_from_the_searchs_seed_and_the_number(tmp_path: Path) -> None:
    seeds = {}
    for name, searcher, seed in (("a", "random", 0), ("b", "greedy", 0), ("c", "random", 1)):
        with Run(tmp_path / name) as run:
            run_search(run, searcher, seed=seed)
            seeds[name] = [row["seed"] for row in run.trials()]
    assert seeds["a"] == seeds["b"]
    assert not set(seeds["a"]) & set(seeds["c"])


def test_files_of_the_best_trials_are_kept(tmp_path: Path) -> None:
    with Run(tmp_path) as run:

        def evaluate(job: Job) -> Any:
            run.trial_directory(job.number).mkdir(parents=True)
            return planted_trial(job)

        run_search(run, evaluate=evaluate, max_trials=8, keep=2)
        best = [row["number"] for row in run.leaderboard()[:2]]
        assert sorted(int(path.name) for path in (tmp_path / "trials").iterdir()) == sorted(best)


def test_progress_hears_of_every_trial(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    with Run(tmp_path) as run:
        run_search(run, emit=heard.append, deadline=time.monotonic() + 60, max_trials=3)
        scores = [row["score"] for row in run.trials()]
    assert [event["event"] for event in heard] == ["trial_started", "trial_finished"] * 3
    assert [event["best"] for event in heard[1::2]] == [max(scores[:count]) for count in (1, 2, 3)]
    assert all(event["remaining"] > 0 for event in heard)


@pytest.mark.alone
def test_a_trial_that_does_not_come_back_fails_and_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "_GRACE", 0.1)

    def evaluate(job: Job) -> Any:
        if job.number in (0, 2):
            time.sleep(60)
        return planted_trial(job)

    begin = time.monotonic()
    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, deadline=begin + 3)
        rows = run.trials()
    assert time.monotonic() - begin < 3.5
    assert [row["status"] for row in rows] == ["failed", "completed", "failed", "completed"]
    assert rows[0]["error"] == "TrialFailed: ran over its share of the time and was ended"
    assert "time.sleep(60)" in rows[2]["traceback"]


def test_shares_of_the_time_are_smaller_once_a_trial_is_done_and_never_below_the_usual_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    clock = Clock()
    for module in (shares, executor):
        monkeypatch.setattr(module, "time", clock)

    def evaluate(job: Job) -> Any:
        assert job.deadline is not None
        given.append(job.deadline - clock.now)
        clock.now += 20
        return planted_trial(job)

    evaluate.trusted = False  # type: ignore[attr-defined]
    monkeypatch.setattr(outcome, "alarm", lambda at: nullcontext())
    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, deadline=120.0, max_trials=5)
    assert given == pytest.approx([80, 100 / 3, 30, 30, 40])  # two thirds; a third; 1.5 x 20 s; the last has all


def test_a_trial_that_always_comes_back_may_use_all_of_the_time_first(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Trusted:
        trusted = True

        def __call__(self, job: Job) -> Any:
            seen.append(job.deadline)
            return planted_trial(job)

    deadline = time.monotonic() + 60
    with Run(tmp_path) as run:
        run_search(run, evaluate=Trusted(), deadline=deadline, max_trials=3)
    assert seen[0] == seen[2] == deadline
    assert seen[1] < deadline - 30


@pytest.mark.alone
def test_a_trusted_trial_is_ended_at_the_time_limit_only_once_there_is_a_result(tmp_path: Path) -> None:
    class Slow:
        trusted = True

        def __call__(self, job: Job) -> Any:
            if job.number:
                time.sleep(60)
            return planted_trial(job)

    begin = time.monotonic()
    with Run(tmp_path) as run:
        assert run_search(run, evaluate=Slow(), deadline=begin + 2) == "time_limit"
        assert [row["status"] for row in run.trials()] == ["completed", "failed"]
    assert 2 < time.monotonic() - begin < 2.8


def test_trials_that_may_not_be_interrupted_have_no_alarm(tmp_path: Path) -> None:
    alarms: list[float] = []

    class Together:
        trusted, interruptible = True, False

        def __call__(self, job: Job) -> Any:
            alarms.append(signal.getitimer(signal.ITIMER_REAL)[0])
            return planted_trial(job)

    with Run(tmp_path) as run:
        run_search(run, evaluate=Together(), deadline=time.monotonic() + 60, max_trials=3)
    assert alarms == [0.0, 0.0, 0.0]


def test_ten_trials_that_hang_do_not_end_a_search_that_has_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "_GRACE", 0.01)

    def evaluate(job: Job) -> Any:
        if job.number < 11:
            raise Overrun
        return planted_trial(job)

    with Run(tmp_path) as run:
        assert run_search(run, evaluate=evaluate, deadline=time.monotonic() + 60, max_trials=12) == "max_trials"


def test_no_trial_is_ended_without_a_time_limit(tmp_path: Path) -> None:
    deadlines: list[Any] = []

    def evaluate(job: Job) -> Any:
        deadlines.append((job.deadline, signal.getitimer(signal.ITIMER_REAL)[0]))
        return planted_trial(job)

    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, max_trials=2)
    assert deadlines == [(None, 0.0)] * 2


@pytest.mark.parametrize("name", ["memory", "device"])
def test_a_trial_without_memory_fails_with_its_cause_and_frees_what_it_held(tmp_path: Path, name: str) -> None:
    held: list[Any] = []

    class Large:
        pass

    def evaluate(job: Job) -> Any:
        if job.number != 1:
            return planted_trial(job)
        large = Large()
        large.itself = large  # type: ignore[attr-defined]  # as Keras models refer to themselves
        held.append(weakref.ref(large))
        if name == "memory":
            raise MemoryError("no 16 GB")
        import tensorflow as tf

        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, max_trials=3)
        assert [row["status"] for row in run.trials()] == ["completed", "failed", "completed"]
        assert run.trials()[1]["error"].startswith("out of memory: ")
    assert held[0]() is None


@pytest.mark.alone
def test_a_search_of_slow_trials_ends_when_no_other_could_come_as_far(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        assert job.deadline is not None
        time.sleep(max(job.deadline - time.monotonic(), 0))
        return {**planted_trial(job), "cut": True}

    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, max_trials=None, deadline=time.monotonic() + 0.5)
        assert len(run.trials()) == 1


class OverBudget(TrialFailed):
    costs: ClassVar = {"model_size": 9}


def test_a_trial_over_a_budget_is_a_row_with_its_costs_and_does_not_count(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        if job.number in (0, 2):
            raise OverBudget("9 bytes")
        return planted_trial(job)

    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, max_trials=3)
        rows = run.trials()
    assert [row["status"] for row in rows] == ["failed", "completed", "failed", "completed", "completed"]
    assert rows[0]["model_size"] == 9


def test_a_budget_that_nothing_keeps_ends_the_search(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        raise OverBudget(f"{job.number} bytes")

    with Run(tmp_path) as run, pytest.raises(SearchAborted, match="all 22 trials failed; trial 0: OverBudget: 0 bytes"):
        run_search(run, evaluate=evaluate, max_trials=2)
