"""Ensembles of a run's trials: members, choice, files and the journal."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autorec.export.folder import load_model
from autorec.loading import ENSEMBLE, MODEL
from autorec.run import Run
from autorec.searchers.budgets import Budgets
from autorec.searchers.outputs import OUTPUTS, read_outputs, write_outputs
from autorec.searchers.panel import Panel
from autorec.steps.ensemble import EnsembleMaker, in_words
from autorec.steps.members import good_trials
from autorec.training.prediction import predict
from autorec.training.validation import validate
from tests.steps.trained import LAYOUT, PART, add, four_trials, maker
from tests.training import small


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """A run of four trials; the last one is the best of those with files, the second has none."""
    with four_trials(tmp_path / "run") as run:
        yield run


def test_what_a_trial_answers_is_computed_once_and_left_beside_it(run: Run) -> None:
    [(row, outputs)] = maker(run).answers(good_trials(run)[:1])
    model = load_model(run.trial_directory(3) / MODEL)
    np.testing.assert_array_equal(outputs[0], predict(model, PART)["click"])
    np.testing.assert_array_equal(read_outputs(run.trial_directory(row["number"])), outputs)  # type: ignore[arg-type]
    (run.trial_directory(3) / MODEL).unlink()
    assert len(maker(run).answers([row])) == 1


def test_damaged_answers_are_computed_anew(run: Run) -> None:
    (run.trial_directory(3) / OUTPUTS).write_bytes(b"\x93NUMPY")
    assert np.isfinite(maker(run).answers(good_trials(run)[:1])[0][1]).all()


def test_the_model_is_the_weighted_mean_of_its_members(run: Run) -> None:
    assert maker(run).make(good_trials(run), "pie", 2)
    [event] = run.events("ensemble")
    found = predict(load_model(run.directory / ENSEMBLE / run.ensemble["folder"] / MODEL), PART)["click"]
    alone = [predict(load_model(run.trial_directory(each["trial"]) / MODEL), PART) for each in event["members"]]
    expected = sum(each["weight"] * one["click"] for each, one in zip(event["members"], alone))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    kept = read_outputs(run.directory / ENSEMBLE / run.ensemble["folder"])  # for a calibration
    np.testing.assert_allclose(kept, [expected], atol=1e-6)
    assert len(alone) == 2


def test_a_pruned_model_is_smaller_and_loads_and_evaluates_as_it_was_written_down(run: Run) -> None:
    sizes = []
    for size in (None, 2):
        maker(run).make(good_trials(run), "pie" if size else None, size)
        model = load_model(run.directory / ENSEMBLE / run.ensemble["folder"] / MODEL)
        sizes.append(model.count_params())
        for name, value in validate(model, PART, LAYOUT).items():
            assert run.events("ensemble")[-1]["metrics"][name] == pytest.approx(value, abs=1e-6)
    assert sizes[1] == run.events("ensemble")[-1]["parameters"] < sizes[0]


def test_the_event_says_what_it_is(run: Run) -> None:
    said: list[str] = []
    maker(run, said).make(good_trials(run), None)
    [event] = run.events("ensemble")
    assert sum(member["weight"] for member in event["members"]) == pytest.approx(1.0)
    assert event["candidates"] == [3, 2, 0]
    assert event["mean_depth"] == pytest.approx((0 + 2 + 0) / 3)
    assert event["score"] == event["metrics"]["val_auc"]
    assert 0.0 < event["diversity"]["disagreement"] <= 1.0
    assert said == [in_words(event)]


def test_it_is_a_row_of_the_leaderboard_until_something_is_trained_behind_it(run: Run) -> None:
    maker(run).make(good_trials(run), None)
    [row] = [row for row in run.leaderboard() if row["kind"] == "ensemble"]
    assert (row["name"], row["rank"], set(row["values"])) == ("ensemble of 3", None, {"trial 0", "trial 2", "trial 3"})
    add(run, 4, 0.5)
    assert run.ensemble is None
    assert all(row["kind"] != "ensemble" for row in run.leaderboard())


def test_one_that_adds_nothing_is_not_made(run: Run) -> None:
    said: list[str] = []
    rows = good_trials(run)[:1] * 2  # a copy adds nothing
    assert not maker(run, said).make(rows, "forward", unless_worse=True)
    assert said[0].startswith("no ensemble: its validation loss would be ")
    assert not (run.directory / ENSEMBLE).exists()


@pytest.mark.parametrize(("loss", "made"), [(0.519, True), (0.521, False)])
def test_one_is_worse_where_it_loses_by_more_than_two_standard_errors(
    run: Run, monkeypatch: pytest.MonkeyPatch, loss: float, made: bool
) -> None:
    said: list[str] = []
    folds = iter([0.5, loss])  # of the best trial, of the ensemble
    monkeypatch.setattr("autorec.steps.ensemble.cross_fitted", lambda *_, **__: next(folds))
    monkeypatch.setattr(Panel, "standard_error", lambda *_: 0.01)
    assert maker(run, said).make(good_trials(run), None, unless_worse=True) == made
    if not made:
        assert said == ["no ensemble: its validation loss would be 0.52100, the best trial's is 0.50000"]


@pytest.mark.parametrize(("noise", "made"), [(0.6, True), (8.0, False)])
def test_one_that_is_a_little_worse_is_made_and_one_that_is_clearly_worse_is_not(
    run: Run, noise: float, made: bool
) -> None:
    said: list[str] = []
    rng, rows = np.random.default_rng(2), good_trials(run)
    best = 1.5 * (2 * PART.labels[:, 0] - 1) * (rng.random(PART.rows) < 0.5)
    for row in rows:  # the others are the best one and noise, which can only harm
        added = 0.0 if row is rows[0] else noise * rng.normal(size=PART.rows)
        write_outputs(run.trial_directory(row["number"]), (best + added)[None].astype(np.float32))
    assert maker(run, said).make(rows, None, unless_worse=True) == made
    if made:
        event = run.events("ensemble")[0]
        assert event["loss"] > event["best_single_loss"]


@pytest.mark.parametrize(
    ("seconds", "members"),
    [
        ({0: 10, 2: 10, 3: 10}, 3),
        ({0: 2500, 2: 2500, 3: 2500}, 2),
        ({0: 4000, 2: 4000, 3: 4000}, 3),  # not even two
    ],
)
def test_it_has_as_many_members_as_can_be_refitted(run: Run, seconds: dict[int, float], members: int) -> None:
    made = maker(run, deadline=time.monotonic() + 6000, refit=lambda rows: sum(seconds[row["number"]] for row in rows))
    assert made.make(good_trials(run), "pie", 3, enough=3)
    assert len(run.events("ensemble")[0]["members"]) == members


def test_of_many_trials_those_take_part_that_tell_most_and_the_best(run: Run) -> None:
    truth = 2 * PART.labels[:, 0] - 1
    for number in range(4, 12):
        add(run, number, 0.5 - number / 100)
        write_outputs(run.trial_directory(number), np.zeros((1, PART.rows), np.float32))
    write_outputs(run.trial_directory(11), 2.0 * truth[None].astype(np.float32))  # last, and right
    assert maker(run).make(good_trials(run), None, most=4)
    assert run.events("ensemble")[0]["candidates"] == [3, 2, 0, 11]


def test_too_few_rows_tell_nothing(run: Run) -> None:
    said: list[str] = []
    part = small.part(90, seed=5)
    for row in good_trials(run):
        (run.trial_directory(row["number"]) / OUTPUTS).unlink(missing_ok=True)
    assert not EnsembleMaker(run, part, LAYOUT, said.append).make(good_trials(run), "forward", unless_worse=True)
    assert said == ["no ensemble: the validation rows are too few to tell whether it is worse"]


def test_a_choice_that_takes_all_the_time_ends_without_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    made = maker(run, said, deadline=time.monotonic() + 60)
    monkeypatch.setattr(made, "_is_worse", lambda *_: setattr(made, "deadline", time.monotonic() - 1))
    assert not made.make(good_trials(run), "forward", unless_worse=True)
    assert said == ["no ensemble: the choice of its members took all the time"]
    assert not run.events("ensemble")


def test_the_model_of_an_event_that_was_not_written_takes_no_ones_place(run: Run) -> None:
    maker(run).make(good_trials(run), None, 2)
    folder = run.directory / ENSEMBLE / "0001"  # a kill behind the model and before its event
    folder.mkdir()
    (folder / MODEL).write_bytes(b"another")
    assert run.ensemble["folder"] == "0000"  # type: ignore[index]
    maker(run).make(good_trials(run), None, 3)
    assert [path.name for path in (run.directory / ENSEMBLE).iterdir()] == ["0001"]


def test_it_stays_within_the_budget(run: Run) -> None:
    size = 4 * small.model().count_params()
    maker(run, budgets=Budgets(max_model_size=2 * size)).make(good_trials(run), None)
    assert len(run.events("ensemble")[0]["members"]) == 2


def test_without_time_none_is_made(run: Run) -> None:
    said: list[str] = []
    rows = good_trials(run)
    maker(run).answers(rows)
    assert not maker(run, said, deadline=time.monotonic() - 1).make(rows, unless_worse=True)
    assert said == ["no ensemble: there is no time to join two trials"]


def test_a_trial_whose_answers_are_not_finite_takes_no_part(run: Run) -> None:
    np.save(run.trial_directory(3) / OUTPUTS, np.full((1, PART.rows), np.nan, np.float32))
    assert [row["number"] for row, _ in maker(run).answers(good_trials(run))] == [2, 0]


def test_a_new_one_takes_the_place_of_the_old(run: Run) -> None:
    for size in (3, 1):
        maker(run).make(good_trials(run), None, size)
    assert len(run.ensemble["members"]) == 1  # type: ignore[index]
    shutil.rmtree(run.directory / ENSEMBLE)
