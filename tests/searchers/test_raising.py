"""A search with a schedule: cheap trials, raised ones, finals over seeds; cut anywhere, and within a time limit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.errors import ConfigError, SearchAborted
from autorec.run import Run, origin
from autorec.searchers import executor, outcome, proposals, raising, shares
from autorec.searchers.fidelity import Fidelity, Schedule
from autorec.searchers.oracles import get_oracle
from autorec.searchers.runner import Job, search
from autorec.searchers.testing import OBJECTIVE, planted_space, planted_trial, without_times
from autorec.searchers.warm_start import propose_first
from tests.searchers.clock import Clock

FULL = Fidelity(rows=1000, epochs=10)
LOW, STEP = Fidelity(rows=100), Fidelity(rows=500)
SCHEDULE = Schedule(LOW, (STEP,), (4,), finalists=2, seeds=2)


def run_search(run: Run, searcher: Any = "random", **arguments: Any) -> str:
    oracle = get_oracle(searcher, objective=OBJECTIVE, seed=0, epochs=9)
    settings = {"space_build": planted_space, "evaluate": noisy_trial, "max_trials": 6, "schedule": SCHEDULE}
    return search(run, oracle=oracle, **{**settings, **arguments})


def noisy_trial(job: Job) -> dict[str, Any]:
    """Scores a job by its values and, by its seed, luck; more rows are better and have less of it."""
    rows = job.fidelity.get("rows", 1000)
    score = planted_space(job.hp) + np.random.default_rng(job.seed).normal(0, 0.2) * (100 / rows) ** 0.5
    return {"metrics": {"score": score + rows / 1000}, "epochs": 10}


def shapes(run: Run) -> list[tuple[dict[str, int], bool]]:
    return [(row["fidelity"], row["parent"] is not None) for row in run.trials()]


def test_the_best_are_raised_step_by_step_and_the_finalists_repeated(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        assert run_search(run) == "max_trials"
        rows = run.trials()
    low, step, finals = LOW.to_dict(), STEP.to_dict(), {}
    assert shapes(run) == [(low, False)] * 6 + [(step, True)] * 4 + [(finals, True)] * 4
    by_score = lambda part: [origin(row) for row in sorted(part, key=lambda row: -row["score"])]  # noqa: E731
    assert [row["parent"] for row in rows[6:10]] == by_score(rows[:6])[:4]
    assert [row["parent"] for row in rows[10:]] == by_score(rows[6:10])[:2] * 2
    for row in rows[6:]:
        assert row["values"] == rows[row["parent"]]["values"]
        assert (row["seed"] == rows[row["parent"]]["seed"]) == (row["number"] < 12)
    assert len({row["seed"] for row in rows[10:]}) == 4


def test_the_winner_has_the_best_mean_over_its_seeds(tmp_path: Path) -> None:
    def evaluate(job: Job) -> dict[str, Any]:
        if "rows" in job.fidelity:
            return {"metrics": {"score": job.number / 100}}
        luck = 0.9 if job.number == 3 else 0.6 if job.number % 2 else 0.8  # 2 is best before, and lucky once
        return {"metrics": {"score": luck}}

    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, max_trials=3, schedule=Schedule(LOW, finalists=2, seeds=3))
        board, best = run.leaderboard(), run.best
    assert [row["parent"] for row in run.trials()[3:]] == [2, 1] * 3
    assert [row["rank"] for row in board[:6]] == [1, None, None, 2, None, None]
    assert best is not None
    assert (best["parent"], best["seeds"], best["mean_score"]) == (1, 3, pytest.approx(0.8))
    assert board[3]["number"] == 3
    assert board[3]["mean_score"] == pytest.approx((0.9 + 0.6 + 0.6) / 3)


def test_without_a_reduction_the_best_are_repeated_alone(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run_search(run, schedule=Schedule(finalists=3, seeds=3))
        rows = run.trials()
        assert shapes(run) == [({}, False)] * 6 + [({}, True)] * 6
        first = [row["number"] for row in sorted(rows[:6], key=lambda row: -row["score"])][:3]
        assert [row["parent"] for row in rows[6:]] == first * 2
        ranked = [row for row in run.leaderboard() if row["rank"] is not None]
    assert sorted(origin(row) for row in ranked[:3]) == sorted(first)
    assert [row["seeds"] for row in ranked] == [3, 3, 3, 1, 1, 1]


def test_the_oracle_hears_of_the_searchers_trials_alone(tmp_path: Path) -> None:
    with Run(tmp_path / "plain") as run:
        run_search(run, "greedy", evaluate=planted_trial, schedule=None)
        plain = [(row["values"], row["seed"]) for row in run.trials()]
    with Run(tmp_path / "raised") as run:
        run_search(run, "greedy", evaluate=planted_trial, max_trials=3)
        run_search(run, "greedy", evaluate=planted_trial)
        mine = [(row["values"], row["seed"]) for row in run.trials() if row["parent"] is None]
    assert mine == plain


@pytest.mark.parametrize("schedule", [Schedule(LOW, (STEP,), (2,), 2, 2), Schedule(finalists=2, seeds=2)])
def test_a_search_cut_behind_any_line_goes_on_as_if_it_was_not(tmp_path: Path, schedule: Schedule) -> None:
    with Run(tmp_path / "whole") as run:
        run_search(run, "greedy", max_trials=3, schedule=schedule)
        whole = [without_times(event) for event in run.events()]
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for count in range(len(lines) + 1):
        folder = tmp_path / str(count)
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:count]))
        with Run(folder) as run:
            done = {row["number"] for row in run.trials()}
            heard: list[dict[str, Any]] = []
            run_search(run, "greedy", max_trials=3, schedule=schedule, emit=heard.append)
            assert [without_times(event) for event in run.events()] == whole
        assert not done & {event["number"] for event in heard if event["event"] == "trial_started"}


def test_more_trials_bring_new_finalists_and_nothing_is_trained_twice(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run_search(run, max_trials=5)
        before = len(run.trials())
        run_search(run, max_trials=12)
        rows = run.trials()
        keys = [(origin(row), str(row["fidelity"]), row["seed"]) for row in rows]
        assert sum(row["parent"] is None for row in rows) == 12
        assert before + 7 < len(rows) < before + 7 + 8
        assert len(set(keys)) == len(keys)


def test_a_finalist_that_fails_at_full_fidelity_makes_room_for_the_next(tmp_path: Path) -> None:
    def evaluate(job: Job) -> dict[str, Any]:
        if job.number == 4:
            raise MemoryError("16 GB")
        return {"metrics": {"score": 1 - job.number / 100}}

    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, max_trials=4, schedule=Schedule(LOW, finalists=2, seeds=1))
        assert [row["parent"] for row in run.trials()[4:]] == [0, 1, 2]
        assert run.trials()[4]["error"] == "out of memory: MemoryError: 16 GB"
        assert run.best is not None
        assert run.best["parent"] == 1


def test_survivors_that_all_fail_leave_the_finals_to_the_order_before(tmp_path: Path) -> None:
    def evaluate(job: Job) -> dict[str, Any]:
        if job.fidelity == STEP.to_dict():
            raise ValueError("too large")
        return noisy_trial(job)

    with Run(tmp_path) as run:
        run_search(run, evaluate=evaluate, max_trials=4)
        assert [row["fidelity"] for row in run.trials()[8:]] == [{}] * 4


def test_a_search_without_a_completed_trial_has_no_finals(tmp_path: Path) -> None:
    def evaluate(job: Job) -> Any:
        raise ValueError(f"cause {job.number}")

    with Run(tmp_path) as run:
        with pytest.raises(SearchAborted, match="all 3 trials failed"):
            run_search(run, evaluate=evaluate, max_trials=3)


def test_a_run_of_another_low_fidelity_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run_search(run, max_trials=1)
        with pytest.raises(ConfigError, match=r"`schedule` must be one with the low fidelity {'rows': 100}"):
            run_search(run, schedule=None)


def test_a_searcher_with_fidelities_of_its_own_takes_no_schedule_that_has_some(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        with pytest.raises(ConfigError, match="`searcher` must be one that leaves the fidelity to the schedule"):
            run_search(run, "hyperband")


def test_hyperbands_full_trials_can_be_repeated(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run_search(run, "hyperband", max_trials=13, schedule=Schedule(finalists=2, seeds=2))
        assert [(row["parent"], row["fidelity"]) for row in run.trials()[13:]] == [(12, {})]


def test_an_oracle_of_ones_own_that_sets_a_fidelity_is_named(tmp_path: Path) -> None:
    class Cheap(kt.oracles.RandomSearchOracle):
        def populate_space(self, trial_id: str) -> Any:
            found = super().populate_space(trial_id)
            return {**found, "values": {**found["values"], "fidelity/rows": 10}}

    with Run(tmp_path) as run, pytest.raises(ConfigError, match="`fidelity` must be set by the schedule alone"):
        run_search(run, Cheap(seed=1))


def test_files_of_finals_are_kept_before_those_of_cheap_trials(tmp_path: Path) -> None:
    with Run(tmp_path) as run:

        def evaluate(job: Job) -> dict[str, Any]:
            run.trial_directory(job.number).mkdir(parents=True)
            return noisy_trial(job)

        run_search(run, evaluate=evaluate, keep=2)
        ranked = [row["number"] for row in run.leaderboard() if row["rank"] is not None]
        assert sorted(int(path.name) for path in (tmp_path / "trials").iterdir()) == sorted(ranked)


@pytest.mark.parametrize("low", [Fidelity(rows=100), Fidelity()])
def test_the_winner_by_its_mean_has_its_file_though_its_first_seed_was_second(tmp_path: Path, low: Fidelity) -> None:
    scores = {(1, 0): 0.9, (2, 0): 0.8, (1, 1): 0.5, (2, 1): 0.75}
    with Run(tmp_path) as run:

        def evaluate(job: Job) -> dict[str, Any]:
            run.trial_directory(job.number).mkdir(parents=True)
            started = next(event for event in run.events("started") if event["number"] == job.number)
            first = {event["number"]: event["seed"] for event in run.events("started")}[
                started.get("parent", job.number)
            ]
            key = (started.get("parent", job.number), int(job.seed != first))
            return {"metrics": {"score": scores.get(key, 0.5)}}

        run_search(run, evaluate=evaluate, keep=1, max_trials=3, schedule=Schedule(low, finalists=2, seeds=2))
        assert run.best is not None
        assert run.best["mean_score"] == pytest.approx(0.775)
        assert [path.name for path in (tmp_path / "trials").iterdir()] == [f"{run.best['number']:04d}"]


def test_progress_hears_of_the_parts_of_a_schedule(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    with Run(tmp_path) as run:
        run_search(run, emit=heard.append)
    texts = [event["text"] for event in heard if event["event"] == "message"]
    assert texts[0] == "raising 4 trials to 500 rows"
    assert [text.split(" at ")[1] for text in texts[1:]] == ["full fidelity, seed 1 of 2", "full fidelity, seed 2 of 2"]


# For an ensemble


def test_what_an_ensemble_leans_on_is_repeated_as_often_as_finalists_would_be(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        wanted = iter([2, 2, 0, 1])
        run_search(run, schedule=Schedule(finalists=2, seeds=3), lean=lambda: next(wanted))
        rows = run.trials()
    assert [row["parent"] for row in rows[6:]] == [2, 2, 0, 1]
    assert len({row["seed"] for row in rows if origin(row) == 2}) == 3


def test_without_anything_to_lean_on_nothing_is_repeated(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run_search(run, schedule=Schedule(finalists=2, seeds=3), lean=lambda: None)
        assert len(run.trials()) == 6


def test_finalists_of_cheap_trials_are_trained_in_full_before_any_is_repeated(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run_search(run, schedule=Schedule(LOW, finalists=2, seeds=2), lean=lambda: 3)
        rows = run.trials()
    assert [row["parent"] for row in rows[8:]] == [3, 3]
    assert {origin(row) for row in rows[6:8]} == {row["parent"] for row in rows[6:8]}
    assert all(row["fidelity"] == {} for row in rows[6:])


def test_a_warm_start_before_the_views_does_not_cost_them_their_files(tmp_path: Path) -> None:
    def space(hp: Any) -> float:
        return float(planted_space(hp)) + hp.Boolean("features/margins", default=True)

    oracle = get_oracle("random", objective=OBJECTIVE, seed=0, epochs=9)
    propose_first(oracle, [{"x": value / 10} for value in range(4)], views=[{"features/margins": False}])
    with Run(tmp_path) as run:

        def evaluate(job: Job) -> dict[str, Any]:
            run.trial_directory(job.number).mkdir(parents=True)
            return {"metrics": {"score": space(job.hp)}}

        settings: dict[str, Any] = {"schedule": Schedule(finalists=1, seeds=1), "lean": lambda: None, "keep": 1}
        search(run, oracle=oracle, space_build=space, evaluate=evaluate, max_trials=8, **settings)
        unread = [row for row in run.trials() if not row["values"]["features/margins"]]
        best = max(unread, key=lambda row: row["score"])
        assert run.trial_directory(best["number"]).exists()


def test_what_is_repeated_for_an_ensemble_is_not_the_winner_for_that(tmp_path: Path) -> None:
    with Run(tmp_path) as run:

        def evaluate(job: Job) -> dict[str, Any]:
            run.trial_directory(job.number).mkdir(parents=True)
            return {"metrics": {"score": float(min(job.number, 5))}}

        run_search(run, evaluate=evaluate, keep=1, schedule=Schedule(finalists=2, seeds=2), lean=lambda: 4)
        assert run.best is not None
        assert (origin(run.best), [row["parent"] for row in run.trials()[6:]]) == (5, [4, 4])
        run.keep_seeds = True
        assert all(run.trial_directory(number).exists() for number in (4, 5, 6, 7))


@pytest.mark.parametrize("schedule", [Schedule(LOW, (STEP,), (2,), 2, 2), Schedule(finalists=2, seeds=2)])
def test_a_search_for_an_ensemble_cut_behind_any_line_goes_on_as_if_it_was_not(
    tmp_path: Path, schedule: Schedule
) -> None:
    def least_repeated(run: Run) -> Callable[[], int]:
        def lean() -> int:
            begun = [origin(event) for event in run.events("started") if not event["fidelity"]]
            return min(sorted(set(begun)), key=begun.count)

        return lean

    with Run(tmp_path / "whole") as run:
        run_search(run, "greedy", max_trials=3, schedule=schedule, lean=least_repeated(run))
        whole = [without_times(event) for event in run.events()]
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for count in range(len(lines) + 1):
        folder = tmp_path / str(count)
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:count]))
        with Run(folder) as run:
            run_search(run, "greedy", max_trials=3, schedule=schedule, lean=least_repeated(run))
            assert [without_times(event) for event in run.events()] == whole


def test_what_was_repeated_for_an_ensemble_keeps_its_files_when_better_trials_come(tmp_path: Path) -> None:
    with Run(tmp_path) as run:

        def evaluate(job: Job) -> dict[str, Any]:
            run.trial_directory(job.number).mkdir(parents=True)
            return {"metrics": {"score": 0.0 if job.number in (6, 7) else float(job.number)}}

        run.keep_seeds = True
        settings = {"evaluate": evaluate, "keep": 1, "schedule": Schedule(finalists=2, seeds=2)}
        run_search(run, lean=lambda: 3, **settings)
        assert [row["parent"] for row in run.trials()[6:]] == [3, 3]
        run_search(run, lean=lambda: None, max_trials=12, **settings)
        assert {"0003", "0006", "0007"} <= {path.name for path in (tmp_path / "trials").iterdir()}


# Within a time limit


@dataclass
class TimedTrial:
    """A trial whose rows cost seconds on a clock, and that a deadline cuts."""

    clock: Clock
    per_row: float = 0.01
    full_seconds: float | None = None
    trusted: bool = True
    full: Fidelity = FULL
    jobs: list[Job] = field(default_factory=list)

    def __call__(self, job: Job) -> dict[str, Any]:
        self.jobs.append(job)
        seconds = self.per_row * job.fidelity.get("rows", 1000)
        end = self.clock.now + (self.full_seconds if self.full_seconds and not job.fidelity else seconds)
        cut = job.deadline is not None and end > job.deadline
        self.clock.now = max(self.clock.now, job.deadline or 0.0) if cut else end
        return {**noisy_trial(job), "cut": cut}


@dataclass
class Lean:
    """Leans on trial 1, and once asked keeps some seconds if there are as many."""

    seconds: float
    known: bool = False

    def __call__(self) -> int:
        self.known = True
        return 1

    def kept(self, left: float) -> float:
        return self.seconds if self.known and self.seconds <= left else 0.0


Limited = Callable[..., tuple[TimedTrial, Run, float]]


@pytest.fixture
def limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Limited:
    """Runs a search with a time limit on a clock; returns its trials and the seconds that it took."""

    def run(
        limit: float,
        folder: str = "run",
        schedule: Schedule = SCHEDULE,
        lean: Any = None,
        max_trials: int | None = None,
        **more: Any,
    ) -> tuple[Any, Run, float]:
        clock = Clock()
        for module in (shares, executor, raising):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(outcome, "alarm", lambda at: nullcontext())  # which has the true time
        evaluate = TimedTrial(clock, **more)
        with Run(tmp_path / folder) as opened:
            settings = {"max_trials": max_trials, "deadline": limit, "schedule": schedule, "lean": lean}
            run_search(opened, evaluate=evaluate, **settings)
        return evaluate, opened, clock.now

    return run


@pytest.mark.parametrize("limit", [0.5, 5, 12, 30, 60, 120])
def test_all_ends_within_the_limit_and_something_was_trained_in_full(limited: Limited, limit: float) -> None:
    _, run, took = limited(limit)
    assert took <= limit * 1.05
    assert run.best is not None
    assert run.best["fidelity"] == {}


def test_what_an_ensemble_leans_on_fills_its_share_of_the_time(limited: Limited) -> None:
    _, run, took = limited(200.0, schedule=Schedule(finalists=2, seeds=2), lean=lambda: 1)
    rows = run.trials()
    repeated = sum(row["seconds"] for row in rows if row["parent"] is not None)
    assert 190.0 <= took <= 200.0
    assert 0.4 * took <= repeated <= 0.55 * took
    assert all(row["parent"] in (None, 1) for row in rows)


def test_repetitions_for_an_ensemble_end_at_some_and_the_search_has_the_rest(limited: Limited) -> None:
    _, run, took = limited(300.0, schedule=Schedule(finalists=2, seeds=2), lean=Lean(5.0), per_row=0.001)
    own = [row["parent"] is None for row in run.trials()]
    assert own.count(False) == raising.MOST_REPETITIONS
    assert own.count(True) > 200
    assert 280.0 <= took <= 300.0 - 5.0
    _, run, took = limited(100.0, schedule=Schedule(finalists=2, seeds=2), lean=Lean(5.0), per_row=0.001)  # goes on
    assert sum(row["parent"] is not None for row in run.trials()) == raising.MOST_REPETITIONS
    assert 80.0 <= took <= 100.0 - 5.0


@pytest.mark.parametrize(("kept", "ends"), [(40.0, (140.0, 160.0)), (90.0, (100.0, 115.0)), (300.0, (190.0, 200.0))])
def test_repetitions_for_an_ensemble_leave_what_its_refit_needs_if_there_is_as_much(
    limited: Limited, kept: float, ends: tuple[float, float]
) -> None:
    _, run, took = limited(200.0, schedule=Schedule(finalists=2, seeds=2), lean=Lean(kept))
    assert ends[0] <= took <= ends[1]
    assert all(row["parent"] in (None, 1) for row in run.trials())


def test_time_that_no_repetition_for_an_ensemble_needs_is_the_searchs(limited: Limited) -> None:
    _, run, took = limited(200.0, schedule=Schedule(finalists=1, seeds=2), lean=lambda: 1, max_trials=100)
    rows = run.trials()
    assert sum(row["parent"] is not None for row in rows) == 1
    assert took > 185.0


def test_a_search_that_begins_late_trains_something_all_the_same(
    limited: Limited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explore = proposals.explore

    def slowly(*arguments: Any) -> None:
        explore(*arguments)
        shares.time.now += 9.0  # type: ignore[attr-defined]

    monkeypatch.setattr(proposals, "explore", slowly)
    _, run, _ = limited(15.0)
    assert run.best is not None


def test_little_time_means_fewer_finalists_and_seeds_and_much_time_all_of_them(limited: Limited) -> None:
    finals = {limit: limited(float(limit), str(limit))[1] for limit in (12, 60, 130)}
    counts = {limit: sum(row["fidelity"] == {} for row in run.trials()) for limit, run in finals.items()}
    assert counts[12] == 1
    assert 1 < counts[60] < 4
    assert counts[130] >= 4
    assert not any(row["cut"] for row in finals[130].trials())


def test_a_limit_is_used_up(limited: Limited) -> None:
    _, run, took = limited(130)
    assert took > 0.95 * 130
    assert sum(row["parent"] is None for row in run.trials()) > 50


def test_a_search_at_full_fidelity_leaves_time_to_repeat_the_best(limited: Limited) -> None:
    _, run, took = limited(102, schedule=Schedule(finalists=2, seeds=2))
    assert took <= 102
    assert [row["seeds"] for row in run.leaderboard() if row["rank"] is not None][:2] == [2, 2]


def test_an_end_by_the_clock_goes_on_with_the_trainings_behind_the_search(tmp_path: Path, limited: Limited) -> None:
    _, run, _ = limited(100)
    lines = run.journal.read_bytes().splitlines(keepends=True)
    place = next(place for place, line in enumerate(lines) if b'"parent"' in line)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "journal.jsonl").write_bytes(b"".join(lines[: place + 2]))
    trial, _, _ = limited(100, "again")
    assert trial.jobs[0].fidelity == STEP.to_dict()


def test_no_final_begins_that_would_come_to_nothing_and_its_time_is_the_searchs(limited: Limited) -> None:
    _, run, took = limited(2.5)  # a full training takes ten seconds
    assert shapes(run) == [(LOW.to_dict(), False)] * len(run.trials())
    assert took == 2  # half a trial is left


def test_what_finals_leave_of_their_time_goes_back_to_the_search(limited: Limited) -> None:
    _, run, took = limited(130, full_seconds=3.0)  # much less than the rows tell
    own = [row["parent"] is None for row in run.trials()]
    assert 0.9 * 130 < took <= 130
    assert any(own[own.index(False) + 8 :])  # behind the first raises and finals


def test_after_the_finals_only_a_newcomers_way_through_them_is_kept(limited: Limited) -> None:
    _, run, _ = limited(130, full_seconds=3.0)
    finals = next(place for place, row in enumerate(run.trials()) if not row["fidelity"])
    rows = run.trials()[finals:]
    assert sum(row["parent"] is None for row in rows) > 10
