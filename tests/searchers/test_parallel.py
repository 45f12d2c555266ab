"""A search of several trials at a time: the runner's part, with an executor that returns them in any order."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pytest

from autorec.errors import SearchAborted, TrialFailed
from autorec.run import Run
from autorec.searchers.executor import Ended
from autorec.searchers.fidelity import Fidelity, Schedule
from autorec.searchers.job import Job
from autorec.searchers.oracles import SEARCHERS, get_oracle
from autorec.searchers.outcome import attempt
from autorec.searchers.runner import search
from autorec.searchers.testing import OBJECTIVE, planted_space, planted_trial

LOW = Fidelity(rows=100)


class Shuffled:
    """Trains jobs as other processes would: from a message, and some other one may end first."""

    def __init__(self, evaluate: Any, place: Path, slots: int = 3, seed: int = 0) -> None:
        self.evaluate, self.place, self.slots = evaluate, place, slots
        self.draw, self.running, self.most = random.Random(seed), [], 0  # type: ignore[var-annotated]

    def start(self, job: Job, end: float | None) -> None:
        self.running.append(job.to_message())
        self.most = max(self.most, len(self.running))
        assert self.most <= self.slots

    def wait(self) -> Ended:
        job = Job.from_message(self.running.pop(self.draw.randrange(len(self.running))))
        outcome = attempt(self.evaluate, job, OBJECTIVE.name, self.place)
        return Ended(job.number, outcome, 0.1, job.hp.get_config())

    def close(self) -> None:
        self.running = []


def run_search(folder: Path, searcher: Any = "random", slots: int | None = 3, **more: Any) -> list[dict[str, Any]]:
    oracle = get_oracle(searcher, objective=OBJECTIVE, seed=more.pop("seed", 0), epochs=9)
    settings: dict[str, Any] = {"space_build": planted_space, "evaluate": planted_trial, "max_trials": 14, **more}
    executor = None if slots is None else Shuffled(settings["evaluate"], folder, slots, settings.pop("order", 0))
    with Run(folder) as run:
        search(run, oracle=oracle, executor=executor, **settings)
        return [{key: value for key, value in row.items() if key != "seconds"} for row in run.trials()]


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_every_searcher_proposes_while_trials_run(tmp_path: Path, searcher: str) -> None:
    rows = run_search(tmp_path, searcher)
    values = [sorted(row["values"].items()) for row in rows]
    assert [row["number"] for row in rows] == list(range(14))
    assert {row["status"] for row in rows} == {"completed"}
    assert all(each not in values[:place] for place, each in enumerate(values))


@pytest.mark.parametrize("order", range(3))
def test_a_searcher_that_ignores_order_makes_the_search_of_one_worker(tmp_path: Path, order: int) -> None:
    assert run_search(tmp_path / "several", order=order) == run_search(tmp_path / "one", slots=None)


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_a_search_killed_with_trials_pending_trains_each_of_them_once_more(tmp_path: Path, searcher: str) -> None:
    whole = run_search(tmp_path / "whole", searcher)
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for count in range(2, len(lines), 3 if searcher == "random" else 7):
        (tmp_path / str(count)).mkdir()
        (tmp_path / str(count) / "journal.jsonl").write_bytes(b"".join(lines[:count]))
        with Run(tmp_path / str(count)) as run:
            before = run.trials()
            begun = {event["number"]: event["values"] for event in run.events("started")}
        rows = run_search(tmp_path / str(count), searcher)
        assert [row["number"] for row in rows] == list(range(14))
        assert [row["score"] for row in before] == [rows[row["number"]]["score"] for row in before]
        assert all(rows[number]["values"] | values == rows[number]["values"] for number, values in begun.items())
        if searcher == "random":
            assert rows == whole


def test_a_search_may_go_on_with_more_workers_or_fewer(tmp_path: Path) -> None:
    run_search(tmp_path / "parts", slots=2, max_trials=5)
    run_search(tmp_path / "parts", slots=None, max_trials=9)
    assert run_search(tmp_path / "parts", slots=4) == run_search(tmp_path / "whole", slots=None)


def test_a_small_space_is_tried_whole_by_several_workers(tmp_path: Path) -> None:
    def small(hp: Any) -> float:
        return float(hp.Choice("a", [1, 2])) + float(hp.Boolean("b"))

    for searcher in SEARCHERS:
        settings = {"space_build": small, "evaluate": lambda job: {"metrics": {"score": small(job.hp)}}}
        rows = run_search(tmp_path / searcher, searcher, max_trials=40, **settings)
        assert len({(row["values"]["a"], row["values"]["b"]) for row in rows}) == 4


def test_hyperparameters_that_a_build_declares_elsewhere_reach_the_oracle(tmp_path: Path) -> None:
    def late(hp: Any) -> float:
        x = hp.Float("x", 0.0, 1.0)
        return x + (hp.Float("late", 0.0, 1.0) if x > 0.3 else 0.0)  # no scope: exploration cannot know

    settings = {"space_build": late, "evaluate": lambda job: {"metrics": {"score": late(job.hp)}}}
    rows = run_search(tmp_path, **settings)
    assert len({row["values"]["late"] for row in rows if "late" in row["values"]}) > 2


def test_models_over_a_budget_make_room_for_others(tmp_path: Path) -> None:
    class Over(TrialFailed):
        costs = {"model_size": 9}

    def evaluate(job: Job) -> Any:
        if job.hp.get("kind") == "flat":
            raise Over("9 bytes")
        return planted_trial(job)

    rows = run_search(tmp_path / "several", evaluate=evaluate, max_trials=5)
    assert sum(row["status"] == "completed" for row in rows) == 5
    one = run_search(tmp_path / "one", slots=None, evaluate=evaluate, max_trials=5)
    assert [row["score"] for row in rows] == [row["score"] for row in one]


@pytest.mark.parametrize("low", [LOW, Fidelity()])
def test_raises_and_finals_are_those_of_one_worker(tmp_path: Path, low: Fidelity) -> None:
    steps = ((Fidelity(rows=500),), (5,)) if low != Fidelity() else ((), ())
    schedule = Schedule(low, *steps, finalists=3, seeds=3)
    several = run_search(tmp_path / "several", schedule=schedule)
    assert several == run_search(tmp_path / "one", slots=None, schedule=schedule)
    assert sum(row["parent"] is not None for row in several) == (14 if low != Fidelity() else 6)


def test_finalists_that_fail_make_room_for_as_many_of_the_next(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        if not job.fidelity and job.number in (5, 6):
            raise MemoryError("16 GB")
        return {"metrics": {"score": 1 - job.number / 100}}

    rows = run_search(tmp_path, max_trials=5, evaluate=evaluate, schedule=Schedule(LOW, finalists=2, seeds=1))
    assert sorted(row["parent"] for row in rows[5:]) == [0, 1, 2, 3]


def test_a_search_killed_in_its_finals_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    schedule = Schedule(LOW, (Fidelity(rows=500),), (4,), finalists=2, seeds=2)
    whole = run_search(tmp_path / "whole", max_trials=5, schedule=schedule)
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for count in range(11, len(lines)):
        (tmp_path / str(count)).mkdir()
        (tmp_path / str(count) / "journal.jsonl").write_bytes(b"".join(lines[:count]))
        assert run_search(tmp_path / str(count), max_trials=5, schedule=schedule) == whole


def test_the_last_trials_may_use_all_of_the_time_and_others_a_share(tmp_path: Path) -> None:
    shares: list[float] = []

    class Noted(Shuffled):
        def start(self, job: Job, end: float | None) -> None:
            shares.append((job.deadline or 0.0) - time.monotonic())
            super().start(job, end)

    with Run(tmp_path) as run:
        oracle, deadline = get_oracle("random", objective=OBJECTIVE, seed=0), time.monotonic() + 90
        executor = Noted(planted_trial, tmp_path, slots=2)
        settings: dict[str, Any] = {"space_build": planted_space, "evaluate": planted_trial, "max_trials": 5}
        search(run, oracle=oracle, executor=executor, deadline=deadline, **settings)
    assert shares == pytest.approx([60, 60, 30, 90, 90], abs=2)


def test_ten_failures_of_one_cause_end_a_search_of_several_workers_too(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        raise ValueError("the space is broken")

    with pytest.raises(SearchAborted, match="first 10 trials all failed: ValueError: the space is broken"):
        run_search(tmp_path, evaluate=evaluate, max_trials=50)


def test_an_oracle_that_wants_to_hear_results_first_is_asked_again_behind_each(tmp_path: Path) -> None:
    class Patient(kt.oracles.RandomSearchOracle):
        def populate_space(self, trial_id: str) -> Any:
            return {"status": "IDLE"} if self.ongoing_trials else super().populate_space(trial_id)

    assert len(run_search(tmp_path, Patient(seed=1), max_trials=6)) == 6


def test_events_tell_of_several_trials_that_run(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    run_search(tmp_path, emit=heard.append, max_trials=4)
    words = [event["event"] for event in heard]
    assert words[:3] == ["trial_started"] * 3
    assert words.count("trial_finished") == 4
