"""Exact metrics against scikit-learn, slow loops and values by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from autorec.errors import ConfigError
from autorec.training import metrics

RNG = np.random.default_rng(0)
SCORES = RNG.random(500).round(2)  # with ties
LABELS = (RNG.random(500) < SCORES).astype(float)
WEIGHTS = RNG.random(500)
GROUPS = RNG.integers(0, 60, 500)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_auc_and_log_loss_are_those_of_scikit_learn(weights: Any) -> None:
    clipped = np.clip(SCORES, 1e-7, 1 - 1e-7)
    assert metrics.auc(LABELS, SCORES, weights) == pytest.approx(roc_auc_score(LABELS, SCORES, sample_weight=weights))
    expected = log_loss(LABELS, clipped, sample_weight=weights)
    assert metrics.log_loss(LABELS, SCORES, weights) == pytest.approx(expected)


def test_unlabelled_rows_do_not_count() -> None:
    labels = np.r_[LABELS, np.nan, np.nan]
    scores, weights, groups = np.r_[SCORES, 0.9, 0.1], np.r_[WEIGHTS, 5.0, 5.0], np.r_[GROUPS, 0, 99]
    with_nan = metrics.evaluate(labels, scores, "binary", groups, weights)
    assert with_nan == pytest.approx(metrics.evaluate(LABELS, SCORES, "binary", GROUPS, WEIGHTS))


def test_auc_of_one_class_is_nan() -> None:
    assert math.isnan(metrics.auc(np.ones(3), np.arange(3)))
    assert math.isnan(metrics.auc(np.array([0.0, 1.0]), np.arange(2), np.array([1.0, 0.0])))


def test_areas_of_scores_that_are_none_are_nan() -> None:
    labels, scores = np.array([0.0, 1.0, 1.0]), np.array([0.1, np.nan, 0.3])
    assert np.isnan(metrics.auc(labels, scores))
    assert np.isnan(metrics.gauc(labels, scores, np.zeros(3)))
    assert metrics.auc(np.array([0.0, np.nan, 1.0]), scores) == 1.0  # an unlabelled row does not count


def test_ece_by_hand() -> None:
    labels = np.array([0.0, 1.0, 1.0, 1.0])
    scores = np.array([0.1, 0.3, 0.6, 0.8])
    # Two bins of two rows: |.2 - .5| and |.7 - 1|, each half of the rows.
    assert metrics.ece(labels, scores, bins=2) == pytest.approx(0.3)


def test_ece_weighs_rows() -> None:
    labels, scores = np.array([0.0, 1.0]), np.array([0.2, 0.6])
    assert metrics.ece(labels, scores, np.array([3.0, 1.0]), bins=2) == pytest.approx((3 * 0.2 + 0.4) / 4)


def test_ece_does_not_depend_on_the_order_of_rows() -> None:
    order = RNG.permutation(500)
    assert metrics.ece(LABELS[order], SCORES[order]) == pytest.approx(metrics.ece(LABELS, SCORES))


def test_ece_of_true_probabilities_is_small() -> None:
    p = RNG.random(100_000)
    assert metrics.ece((RNG.random(100_000) < p).astype(float), p) < 0.01


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_gauc_is_that_of_a_loop_over_groups(weights: Any) -> None:
    mass = np.ones(500) if weights is None else weights
    values, sizes = [], []
    for group in np.unique(GROUPS):
        rows = group == GROUPS
        if len(set(LABELS[rows])) == 2:
            values.append(roc_auc_score(LABELS[rows], SCORES[rows], sample_weight=mass[rows]))
            sizes.append(mass[rows].sum())
    assert metrics.gauc(LABELS, SCORES, GROUPS, weights) == pytest.approx(np.average(values, weights=sizes))


def test_gauc_without_a_group_of_both_classes_is_nan() -> None:
    assert math.isnan(metrics.gauc(np.array([0.0, 1.0]), np.array([0.1, 0.2]), np.array([0, 1])))


def test_errors_of_ratings_by_hand() -> None:
    labels, scores, weights = np.array([1.0, 2.0, np.nan]), np.array([2.0, 5.0, 9.0]), np.array([3.0, 1.0, 1.0])
    found = metrics.evaluate(labels, scores, "real", weights=weights)
    assert found == pytest.approx({"mse": 3.0, "rmse": math.sqrt(3.0), "mae": 1.5})


def test_metrics_of_no_rows_are_nan() -> None:
    empty = np.zeros(0)
    for kind in ("binary", "real"):
        assert all(math.isnan(value) for value in metrics.evaluate(empty, empty, kind).values())


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ConfigError, match="binari"):
        metrics.evaluate(LABELS, SCORES, "binari")


@pytest.mark.parametrize(
    ("name", "expected"), [("val_auc", "max"), ("val_like_gauc", "max"), ("val_like_log_loss", "min"), ("rmse", "min")]
)
def test_the_direction_of_a_metric(name: str, expected: str) -> None:
    assert metrics.direction(name) == expected


def test_an_unknown_objective_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="val_auc"):
        metrics.direction("val_auk")


def test_sigmoid_of_large_logits_stays_finite() -> None:
    np.testing.assert_allclose(metrics.sigmoid(np.array([-1000.0, 0.0, 1000.0])), [0.0, 0.5, 1.0])
