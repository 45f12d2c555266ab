"""The benchmarks of ensembles: their figures, their keys, their tables."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from benchmarks import automl_ensemble, ensemble, ensemble_tables
from benchmarks.ensemble_nets import Nets
from benchmarks.record import TARGETS as TARGETS_FILE

TARGETS = tomllib.loads(TARGETS_FILE.read_text(encoding="utf-8"))


class Guesses(Nets):
    """Nets that guess the labels with noise, the less the deeper they are."""

    kind = "classes"

    def labels(self, part: int) -> np.ndarray:
        return np.arange(90) % 3

    def train(self, depth: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng, truth = np.random.default_rng(seed), np.eye(3)[np.arange(90) % 3]
        validation, test = (truth + rng.normal(size=truth.shape) / (1 + depth) for _ in range(2))
        return validation, test


def measured(seeds: Sequence[int] = (0, 1, 2)) -> list[dict[str, Any]]:
    return [ensemble.Cell(Guesses(seed, True), 6).measure() for seed in seeds]


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    return measured()


@pytest.mark.long
def test_a_cell_has_every_rule_at_every_size(cells: list[dict[str, Any]]) -> None:
    assert ensemble.sizes(11) == [2, 5]
    for rule in ("prs", "pap", "pie", "forward", "answers", "auto"):
        assert cells[0][f"{rule}_3"]["size"] <= 3
        assert cells[0][f"{rule}_1"]["size"] == 1
    assert cells[0]["none"]["size"] == 6
    assert cells[0]["single"]["size"] == 1


@pytest.mark.long
def test_nets_of_a_seed_are_trained_once_and_alike(cells: list[dict[str, Any]]) -> None:
    assert measured([1]) == cells[1:2]
    nets = Guesses(0, True)
    first = nets.panel([(0, 0), (0, 1)], 0)
    assert nets.panel([(0, 1)], 0).votes[0].outputs[0] is not None
    assert list(nets.answers) == [(0, 0), (0, 1)]
    np.testing.assert_array_equal(nets.panel([(0, 1)], 0).votes[0].outputs[0], first.votes[0].outputs[1])


@pytest.mark.long
def test_depth_grows_where_deeper_nets_are_better(cells: list[dict[str, Any]]) -> None:
    assert cells[0]["grown_none"]["depth"] > 1.0


@pytest.mark.long
def test_ensemble_gives_every_figure_with_a_target(cells: list[dict[str, Any]]) -> None:
    figures = ensemble.figures_of({"digits": cells, "adult": cells}, 6)
    assert set(TARGETS["ensemble"]) <= set(figures)
    assert figures["size_over_full"] <= 0.5
    losses = [cell["none"]["test_loss"] - cell["auto_3"]["test_loss"] for cell in cells]
    assert np.sign(figures["pruned_minus_full_se"]) == np.sign(np.mean(losses))


def test_what_is_quoted_is_of_the_rule_that_auto_takes() -> None:
    def of(val: float, test: float, size: int) -> dict[str, float]:
        return {"val_loss": val, "test_loss": test, "size": size}

    cell = {f"{rule}_3": of(0.5, 0.1, 3) for rule in ("prs", "pap", "pie")}
    cell |= {"auto_3": of(0.5, 0.45, 3), "answers_3": of(0.4, 0.4, 3)}
    cell |= {"none": of(0.45, 0.5, 6), "single": of(0.6, 0.6, 1)}
    figures = ensemble.figures_of({"adult": [cell, cell]}, 6)
    assert figures["adult/best"] == "answers_3"
    assert figures["size_over_full"] == 0.5


def row(**more: Any) -> dict[str, Any]:
    figures = {f"{part}_{name}": value for part in ("test", "single") for name, value in more.items()}
    return {**figures, "members": 3, "megabytes": 1.5, "trials": 9, "failed": 0, "took": 290.0, "pruning": "pie"}


def test_automl_ensemble_gives_every_figure_with_a_target() -> None:
    found = {
        name: [row(**dict.fromkeys(theirs, 0.9)), row(**dict.fromkeys(theirs, 0.8))]
        for name, theirs in automl_ensemble.AUTOGLUON.items()
    }
    figures = automl_ensemble.figures_of(found, 300.0)
    assert set(TARGETS["automl_ensemble"]) <= set(figures)
    assert figures["frappe_minus_autogluon_auc"] == pytest.approx(0.85 - 0.96935)
    assert figures["movielens100k_rating_rmse_minus_autogluon"] == pytest.approx(0.85 - 0.95565)
    assert figures["over_time_limit"] == pytest.approx(290 / 300, abs=1e-4)
    assert len(ensemble_tables.automl_rows(figures)) == 2 + 9


def test_tables_have_a_line_for_each_set_and_method(cells: list[dict[str, Any]]) -> None:
    figures = ensemble.figures_of({"digits": cells}, 6)
    lines = ensemble_tables.ensemble_rows(figures)
    assert len(lines) == 2 + sum(not method.endswith("_bare") for method in cells[0])
    assert len({line.count("|") for line in lines}) == 1
    assert ensemble_tables.tables({"ensemble": {}, "automl_ensemble": {}}) == {
        "ensembles": [],
        "five minutes beside AutoGluon": [],
    }
