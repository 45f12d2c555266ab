"""The trees of a run as a model of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from autorec.data.cache import Part
from autorec.data.layout import StatisticColumn
from autorec.export.folder import load_model
from autorec.loading import MODEL
from autorec.run import FOREST, Run
from autorec.searchers.outputs import write_outputs
from autorec.steps.forest_model import forest_model, keep_forest
from autorec.steps.members import good_trials, named_trials
from autorec.training.validation import measure
from tests.steps.trained import LAYOUT, PART, add, maker
from tests.training import small


class Rows:
    """What `keep_forest` reads of a cache: rows of which the margins tell the labels but for noise."""

    def __init__(self, noise: float = 1.0) -> None:
        margin = StatisticColumn("margin(click)", (), "margin", "click", 0.0, 1.0)
        self.layout = replace(LAYOUT, margins=(margin,))
        labels = PART.labels[:, :1]
        drawn = np.random.default_rng(3).normal(2 * labels - 1, noise).astype(np.float32)
        self.validation = Part({**PART.arrays, "margins": drawn}, PART.labels, None, None)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """A run of two trials and a forest that is better than either."""
    with Run(tmp_path / "run") as run:
        run.append({"event": "search", "objective": "val_auc", "direction": "max"})
        for number, score in enumerate((0.6, 0.7)):
            add(run, number, score)
        keep_forest(run, Rows(), objective="val_auc", emit=lambda event: None)  # type: ignore[arg-type]
        yield run


@pytest.mark.parametrize("kind", ["binary", "real"])
def test_its_outputs_are_the_margins(kind: str) -> None:
    margins = tuple(StatisticColumn(f"m{i}", (), "margin", name, 3.0, 2.0) for i, name in enumerate(("a", "b")))
    model = forest_model(replace(small.layout("a", "b", kind=kind), margins=margins))
    x = np.array([[0.5, -1.0], [2.0, 7.0]], np.float32)
    found = model({"margins": x})
    np.testing.assert_allclose(np.concatenate([found["a"], found["b"]], 1), x, atol=1e-6)


def test_it_is_a_baseline_with_a_file_and_made_once(run: Run) -> None:
    again: list[dict[str, Any]] = []
    keep_forest(run, Rows(), objective="val_auc", emit=again.append)  # type: ignore[arg-type]
    [row] = run.baselines()
    assert (row["name"], row["status"], again) == (FOREST, "completed", [])
    assert row["score"] == row["metrics"]["val_auc"] > 0.8
    assert isinstance(load_model(run.directory / FOREST / MODEL), keras.Model)
    assert run.leaderboard()[0]["name"] == FOREST


def test_where_it_cannot_be_made_the_row_says_why_and_the_search_goes_on(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        for objective in ("val_gauc", "val_auc"):  # these rows have no groups
            keep_forest(run, Rows(), objective=objective, emit=lambda event: None)  # type: ignore[arg-type]
        [row] = run.baselines()
        assert (row["status"], row["error"]) == ("failed", "the objective 'val_gauc' is not measured for it")
        assert good_trials(run) == []
        assert run.leaderboard()[0]["name"] == FOREST


def test_its_loss_has_the_weights_of_the_targets(tmp_path: Path) -> None:
    losses = []
    for weight in (1.0, 3.0):
        with Run(tmp_path / str(weight)) as run:
            run.write_config({"options": {"loss_weights": {"click": weight}}})
            keep_forest(run, Rows(), objective="val_loss", emit=lambda event: None)  # type: ignore[arg-type]
            losses.append(run.baselines()[0]["score"])
    assert losses[1] == pytest.approx(3 * losses[0])


def test_an_ensemble_is_compared_with_the_best_trial_not_with_the_forest(run: Run) -> None:
    made = maker(run)
    made.part, made.layout = Rows(0.01).validation, Rows(0.01).layout
    rows = good_trials(run)
    write_outputs(run.directory / FOREST, 100 * made.part.arrays["margins"].T)  # certain and right: nothing adds to it
    assert made.make(rows, None, unless_worse=True)
    event = run.events("ensemble")[0]
    alone = [measure({"click": out[0]}, made.part, made.layout)["val_loss"] for _, out in made.answers(rows)[1:]]
    assert event["best_single_loss"] == pytest.approx(min(alone), rel=1e-4)


def test_without_trees_there_is_none(tmp_path: Path) -> None:
    rows = Rows()
    rows.layout = LAYOUT
    with Run(tmp_path / "none") as run:
        keep_forest(run, rows, objective="val_auc", emit=lambda event: None)  # type: ignore[arg-type]
        assert run.baselines() == []


def test_it_may_be_a_member_and_is_named(run: Run) -> None:
    assert [row["number"] for row in good_trials(run)] == [None, 1, 0]
    assert [row["number"] for row in named_trials(run, ["forest", 0])] == [None, 0]
    made = maker(run)
    made.part, made.layout = Rows().validation, Rows().layout
    assert made.make(good_trials(run), None)
    [event] = run.events("ensemble")
    assert event["candidates"] == ["forest", 1, 0]
    assert event["members"][0]["trial"] == "forest"
    assert set(event["values"]) == {"forest", "trial 0", "trial 1"}
