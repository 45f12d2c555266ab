"""Entropies, normalised information and variation, and the pair score of PIE."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autorec.searchers.entropies import (
    entropies,
    entropy,
    information,
    joint_table,
    normalised_information,
    tdac,
    variation,
)


def pairs(count: int = 30, rows: int = 60) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns random pairs of predictions, some of them close to each other."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        a = rng.integers(0, rng.integers(2, 6), rows)
        b = np.where(rng.random(rows) < rng.random(), a, rng.integers(0, 4, rows))
        found.append((a, b))
    return found


def test_a_joint_table_counts_what_meets() -> None:
    table = joint_table(np.array([0, 0, 2, 2]), np.array([1, 1, 0, 1]))
    np.testing.assert_array_equal(table, [[0, 0.5], [0, 0], [0.25, 0.25]])


def test_entropy_is_in_natural_logarithms_and_an_empty_cell_counts_nothing() -> None:
    assert entropy(np.array([0.5, 0.5, 0.0])) == pytest.approx(math.log(2))
    assert entropy(np.array([1.0])) == 0.0


def test_information_joins_the_entropies() -> None:
    for a, b in pairs():
        of_a, of_b, of_both = entropies(a, b)
        assert of_both == pytest.approx(of_a + of_b - information(of_a, of_b, of_both))


def test_both_figures_lie_between_0_and_1_and_are_symmetric() -> None:
    for figure in (normalised_information, variation):
        for a, b in pairs():
            assert 0.0 <= figure(a, b) <= 1.0
            assert figure(a, b) == pytest.approx(figure(b, a))


def test_names_of_values_do_not_matter() -> None:
    for a, b in pairs():
        renamed = np.array([3, 0, 4, 2, 1, 5])[a]
        assert variation(renamed, b) == pytest.approx(variation(a, b))
        assert normalised_information(renamed, b) == pytest.approx(normalised_information(a, b))


def test_a_prediction_varies_not_from_itself_and_tells_all_of_itself() -> None:
    for a, _ in pairs():
        assert variation(a, a) == pytest.approx(0.0, abs=1e-12)
        assert normalised_information(a, a) == pytest.approx(1.0)


def test_information_is_normalised_by_the_root_of_both_entropies() -> None:
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3])
    assert normalised_information(a, b) == pytest.approx(math.log(2) / math.sqrt(math.log(2) * math.log(4)))
    assert variation(a, b) == pytest.approx(1 - math.log(2) / math.log(4))


def test_independent_draws_tell_less_and_vary_more_the_more_there_are() -> None:
    rng = np.random.default_rng(1)
    small, large = (rng.integers(0, 4, (2, rows)) for rows in (100, 100_000))
    assert normalised_information(*large) < 1e-3 < normalised_information(*small)
    assert variation(*small) < 1 - 1e-3 < variation(*large)


def test_a_constant_tells_nothing_and_varies_from_everything() -> None:
    constant, other = np.full(20, 3), np.arange(20) % 4
    assert normalised_information(constant, other) == 0.0
    assert variation(constant, other) == 1.0


def test_a_class_that_never_occurs_changes_nothing() -> None:
    a, b = np.array([0, 2, 0, 2]), np.array([0, 1, 0, 1])
    assert normalised_information(a, b) == pytest.approx(1.0)


def test_the_pair_score_weighs_diversity_against_accuracy() -> None:
    y = np.array([0, 0, 1, 1, 0, 1])
    p = np.array([[0, 0, 1, 1, 0, 0], [0, 1, 1, 1, 0, 1]])
    accuracy = (normalised_information(p[0], y) + normalised_information(p[1], y)) / 2
    scores = tdac(p, y, 0.3)
    assert scores[0, 1] == scores[1, 0] == pytest.approx(0.3 * variation(*p) + 0.7 * accuracy)
    assert scores[0, 0] == scores[1, 1] == 0.0


def test_equal_predictions_score_nothing_whatever_they_tell() -> None:
    y = np.array([0, 1, 1, 0])
    np.testing.assert_array_equal(tdac(np.stack([y, y]), y), np.zeros((2, 2)))
