"""How much members disagree."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.searchers.diversity import disagreement, diversity
from tests.searchers.panels import classified


def test_pairs_that_differ_are_counted() -> None:
    decisions = np.array([[0, 1, 2, 0], [0, 1, 0, 0], [1, 1, 2, 0]])
    assert disagreement(decisions) == pytest.approx((0.25 + 0.25 + 0.5) / 3)


def test_rows_count_by_their_weights() -> None:
    assert disagreement(np.array([[0, 1], [0, 0]]), np.array([0.9, 0.1])) == pytest.approx(0.1)


def test_one_member_does_not_disagree() -> None:
    assert disagreement(np.array([[0, 1]])) == 0.0


def test_two_that_are_wrong_in_different_ways_are_no_pair_of_which_one_is_right() -> None:
    panel = classified(np.array([[0, 1, 1], [0, 2, 0]]), np.array([0, 0, 0]))
    found = diversity(panel, [0, 1])
    assert found["disagreement"] == pytest.approx(2 / 3)
    assert found["one_right"] == pytest.approx(1 / 3)


def test_only_the_members_count() -> None:
    panel = classified(np.array([[0, 0], [0, 1], [2, 1]]), np.array([0, 1]))
    assert diversity(panel, [1, 2]) == diversity(panel.of([1, 2]), [0, 1])
