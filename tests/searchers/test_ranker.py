"""Rankers learn which points are good from few trials."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.searchers.auto_ranker import AutoRanker, held_out
from autorec.searchers.lambdarank import LambdaRank
from autorec.searchers.points import Points
from autorec.searchers.rank_regression import RankRegression, normal_scores
from autorec.searchers.ranker import Ranker, grades, rank_correlation

RANKERS: list[Callable[[], Ranker]] = [AutoRanker, LambdaRank, RankRegression]


def bits(count: int = 12) -> tuple[Any, np.ndarray]:
    """Returns a space of bits and the weights of their sum."""
    hps = kt.HyperParameters()
    for number in range(count):
        hps.Boolean(f"bit/{chr(97 + number)}")
    return hps, np.random.default_rng(5).normal(size=count)


def sampled(hps: Any, weights: np.ndarray, count: int, seed: int) -> tuple[list[dict[str, Any]], list[float]]:
    draw = random.Random(seed)
    values = [Points(hps.space).sample(draw) for _ in range(count)]
    return values, [float(weights @ np.array(list(point.values()))) for point in values]


@pytest.mark.parametrize("make", RANKERS)
def test_a_weighted_sum_of_bits_is_ranked_after_40_trials(make: Callable[[], Ranker]) -> None:
    hps, weights = bits()
    values, scores = sampled(hps, weights, 40, seed=1)
    others, truth = sampled(hps, weights, 200, seed=2)
    ranker = make()
    ranker.prepare(hps.space)
    ranker.fit(values, scores, "max")
    assert (rank_correlation(ranker.score(others), np.array(truth)) or 0.0) > 0.5


@pytest.mark.parametrize("make", RANKERS)
def test_where_less_is_better_the_least_has_the_highest_score(make: Callable[[], Ranker]) -> None:
    hps, weights = bits()
    values, scores = sampled(hps, weights, 60, seed=1)
    ranker = make()
    ranker.prepare(hps.space)
    ranker.fit(values, scores, "min")
    assert (rank_correlation(ranker.score(values), np.array(scores)) or 0.0) < -0.7


@pytest.mark.parametrize("make", RANKERS)
def test_a_fit_depends_on_its_arguments_alone(make: Callable[[], Ranker]) -> None:
    hps, weights = bits()
    values, scores = sampled(hps, weights, 45, seed=1)
    fresh, used = make(), make()
    for ranker in (fresh, used):
        ranker.prepare(hps.space)
    used.fit(values[:35], scores[:35], "max")
    for ranker in (fresh, used):
        ranker.fit(values, scores, "max")
    np.testing.assert_array_equal(fresh.score(values), used.score(values))
    assert fresh.correlation == used.correlation


@pytest.mark.parametrize("make", RANKERS)
def test_equal_scores_and_failed_trials_and_equal_points_are_no_error(make: Callable[[], Ranker]) -> None:
    hps, weights = bits()
    values, _ = sampled(hps, weights, 35, seed=1)
    ranker = make()
    ranker.prepare(hps.space)
    for scores in ([0.5] * 35, [np.nan] * 34 + [0.5], [np.nan] * 35):
        ranker.fit(values, scores, "max")
        assert np.isfinite(ranker.score(values)).all()
    ranker.fit([values[0]] * 35, [float(number) for number in range(35)], "max")
    assert np.ptp(ranker.score([values[0]] * 3)) < 1e-9


@pytest.mark.parametrize("make", RANKERS)
def test_what_fails_is_ranked_last(make: Callable[[], Ranker]) -> None:
    hps, weights = bits()
    values, scores = sampled(hps, weights, 60, seed=1)
    ranker = make()
    ranker.prepare(hps.space)
    ranker.fit(values, [np.nan if point["bit/a"] else score for point, score in zip(values, scores)], "max")
    found = ranker.score(values)
    failed = np.array([point["bit/a"] for point in values])
    assert found[failed].mean() < found[~failed].mean()


def test_grades_are_the_places_of_the_scores() -> None:
    assert grades([0.5, 0.7, np.nan, 0.5], "max").tolist() == [1, 2, 0, 1]
    assert grades([0.5, 0.7, np.nan, 0.5], "min").tolist() == [2, 1, 0, 2]


def test_normal_scores_are_symmetric_quantiles_and_equal_ranks_share_theirs() -> None:
    found = normal_scores(np.array([0, 1, 1, 2]))
    np.testing.assert_allclose(found, [-1.1503, 0, 0, 1.1503], atol=1e-4)


def test_the_correlation_of_one_side_without_different_values_is_not_known() -> None:
    assert rank_correlation(np.ones(5), np.arange(5)) is None
    assert rank_correlation(np.array([1.0, 3.0, 9.0]), np.array([2, 4, 5])) == pytest.approx(1.0)


def test_the_regressions_correlation_is_that_of_trials_left_out() -> None:
    hps, weights = bits()
    noise, ranker = np.random.default_rng(3).normal(size=200).tolist(), RankRegression()
    ranker.prepare(hps.space)
    values, scores = sampled(hps, weights, 200, seed=1)
    ranker.fit(values, noise, "max")
    assert abs(ranker.correlation or 0.0) < 0.25
    ranker.fit(values, scores, "max")
    assert (ranker.correlation or 0.0) > 0.9


def test_held_out_correlation_is_high_where_there_is_something_to_learn_and_low_for_noise() -> None:
    hps, weights = bits()
    values, scores = sampled(hps, weights, 60, seed=1)
    ranker = RankRegression()
    ranker.prepare(hps.space)
    assert (held_out(ranker, values, scores, "max") or 0.0) > 0.8
    assert abs(held_out(ranker, values, np.random.default_rng(3).normal(size=60).tolist(), "max") or 0.0) < 0.4


def test_trees_are_chosen_where_they_predict_better() -> None:
    hps = kt.HyperParameters()
    for name in "abcdef":
        hps.Float(name, 0.0, 1.0)
    draw = random.Random(1)
    values = [Points(hps.space).sample(draw) for _ in range(60)]
    bands = [float((abs(point["a"] - 0.5) < 0.2) + (abs(point["b"] - 0.3) < 0.2)) for point in values]
    ranker = AutoRanker()
    ranker.prepare(hps.space)
    ranker.fit(values, bands, "max")
    assert ranker.chosen is ranker.trees
    ranker.fit(values[:20], bands[:20], "max")
    assert ranker.chosen is ranker.regression


def test_what_a_ranker_was_fitted_to_before_does_not_change_its_scores() -> None:
    hps, weights = bits()
    values, scores = sampled(hps, weights, 43, seed=1)
    used, fresh = AutoRanker(), AutoRanker()
    for ranker, counts in ((used, (40, 41, 42, 43)), (fresh, (43,))):
        ranker.prepare(hps.space)
        for count in counts:
            ranker.fit(values[:count], scores[:count], "max")
    np.testing.assert_array_equal(used.score(values), fresh.score(values))
    assert used.correlation == fresh.correlation


def test_a_fit_to_a_hundred_trials_takes_a_fraction_of_a_second() -> None:
    hps, weights = bits(40)
    values, scores = sampled(hps, weights, 104, seed=1)
    ranker = AutoRanker()
    ranker.prepare(hps.space)
    ranker.fit(values[:100], scores[:100], "max")
    begin = time.process_time()
    for count in range(101, 105):
        ranker.fit(values[:count], scores[:count], "max")
    assert (time.process_time() - begin) / 4 < 0.3
