"""The Pareto front of hand-made leaderboards."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from autorec.errors import ConfigError
from autorec.searchers.pareto import direction, front, undominated


def row(number: int, auc: float | None, latency: float | None = None, **more: Any) -> dict[str, Any]:
    known = {"rank": number + 1, "number": number, "kind": "trial", "status": "completed", "parent": None}
    metrics = {} if auc is None else {"val_auc": auc}
    return {**known, "fidelity": {}, "cut": False, "metrics": metrics, "latency": latency, **more}


BOTH = ("val_auc", "latency")


def test_what_is_beaten_in_all_objectives_is_not_on_the_front() -> None:
    rows = [row(0, 0.9, 3.0), row(1, 0.8, 1.0), row(2, 0.7, 2.0), row(3, 0.6, 0.5)]
    assert front(rows, BOTH) == [True, True, False, True]


def test_a_candidate_beaten_in_one_and_equal_in_the_other_is_not_on_the_front() -> None:
    assert front([row(0, 0.9, 2.0), row(1, 0.8, 2.0), row(2, 0.9, 3.0)], BOTH) == [True, False, False]


def test_equal_candidates_are_all_on_the_front() -> None:
    assert front([row(0, 0.9, 2.0), row(1, 0.9, 2.0), row(2, 0.9, 2.5)], BOTH) == [True, True, False]


@pytest.mark.parametrize("bad", [row(1, 0.95), row(1, None, 1.0), row(1, math.nan, 1.0)])
def test_a_candidate_without_a_value_is_not_on_the_front_and_beats_none(bad: dict[str, Any]) -> None:
    assert front([row(0, 0.9, 2.0), bad], BOTH) == [True, False]


def test_failed_trials_baselines_and_smaller_fidelities_take_no_part() -> None:
    others = [
        row(1, None, rank=None, status="failed"),
        row(2, 0.99, 0.1, rank=None, kind="baseline"),
        row(3, 0.99, 0.1, rank=None, fidelity={"rows": 100}),
    ]
    assert front([row(0, 0.9, 2.0), *others], BOTH) == [True, False, False, False]


def test_trainings_of_the_same_values_are_one_candidate_by_their_mean() -> None:
    lucky = [row(0, 0.9, 2.0), row(4, 0.7, 2.0, rank=None, parent=0)]
    assert front([row(1, 0.85, 2.0), *lucky], BOTH) == [True, False, False]
    assert front([row(1, 0.75, 2.0), *lucky], BOTH) == [False, True, False]


def test_a_cut_training_does_not_count_beside_whole_ones() -> None:
    rows = [row(0, 0.9, 2.0), row(4, 0.1, 2.0, rank=None, parent=0, cut=True), row(1, 0.8, 2.0)]
    assert front(rows, BOTH) == [True, False, False]


def test_with_one_objective_the_front_is_its_best() -> None:
    assert front([row(0, 0.9), row(1, 0.8)], ["val_auc"]) == [True, False]


def test_a_board_without_ranked_rows_has_no_front() -> None:
    assert front([], BOTH) == []
    assert front([row(0, None, rank=None, status="failed")], BOTH) == [False]


def test_three_objectives_of_both_directions() -> None:
    rows = [row(0, 0.9, 2.0, parameters=10), row(1, 0.9, 2.0, parameters=9), row(2, 0.8, 2.0, parameters=8)]
    assert front(rows, (*BOTH, "parameters")) == [False, True, True]


def test_the_front_of_many_points_is_what_a_comparison_of_all_pairs_gives() -> None:
    points = np.random.default_rng(0).integers(0, 6, (60, 3)).astype(float)
    beaten = [any((p <= q).all() and (p < q).any() for p in points) for q in points]
    np.testing.assert_array_equal(undominated(points), ~np.array(beaten))


def test_costs_are_the_less_the_better_and_metrics_as_they_are_known() -> None:
    names = ("latency", "operations", "parameters", "dense_parameters", "model_size", "val_log_loss")
    assert {direction(name) for name in names} == {"min"}
    assert direction("val_auc") == "max"
    with pytest.raises(ConfigError, match="objective"):
        direction("speed")
