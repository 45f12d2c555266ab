"""The weights of members, fitted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autorec.searchers.mixture import fit_weights, on_simplex
from autorec.searchers.panel import Panel, Votes
from tests.searchers.panels import classified, clicked, noisy, rated


def grid(panel: Panel) -> float:
    """Returns the least loss of three members over a grid of weights."""
    steps = np.arange(51) / 50
    points = ((a, b, 1 - a - b) for a, b in itertools.product(steps, steps) if a + b <= 1)
    return min(panel.loss(np.array(point)) for point in points)


def by_class() -> Panel:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 200)
    return classified(noisy(labels, [0.3, 0.4, 0.5], rng), labels)


@pytest.mark.parametrize("panel", [clicked(3), rated(3), by_class()], ids=["clicks", "ratings", "classes"])
def test_no_point_of_a_grid_is_better(panel: Panel) -> None:
    weights = fit_weights(panel, range(3), prior=0)
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0)
    assert panel.loss(weights) <= grid(panel) + 1e-6


def test_of_independent_errors_weights_fall_with_the_variance() -> None:
    weights = fit_weights(rated(3, rows=20_000), range(3), prior=0)
    expected = 1 / np.linspace(0.5, 1.5, 3) ** 2
    np.testing.assert_allclose(weights, expected / expected.sum(), atol=0.03)


def test_a_harmful_member_gets_no_weight() -> None:
    votes = clicked(2, rows=2000, noise=0.1).votes[0]
    panel = Panel([Votes(np.concatenate([votes.outputs, -votes.outputs[:1]]), votes.labels, "binary")])
    assert fit_weights(panel, range(3), prior=0)[2] == pytest.approx(0.0, abs=1e-6)


def test_fewer_rows_stay_nearer_to_equal_weights() -> None:
    spread = [np.ptp(fit_weights(rated(3, rows), range(3))) for rows in (50, 500, 5000)]
    assert spread[0] < spread[1] < spread[2]


def test_weights_are_never_worse_than_equal_ones() -> None:
    for seed in range(5):
        panel = clicked(4, rows=60, seed=seed)
        assert panel.loss(fit_weights(panel, range(4))) <= panel.loss(panel.weights(range(4))) + 1e-12


def test_members_left_out_have_no_weight_and_one_alone_has_all() -> None:
    panel = clicked(4)
    assert fit_weights(panel, [1, 3])[[0, 2]].tolist() == [0.0, 0.0]
    assert fit_weights(panel, [2]).tolist() == [0.0, 0.0, 1.0, 0.0]


def test_equal_members_share_alike() -> None:
    votes = clicked(1).votes[0]
    panel = Panel([Votes(np.repeat(votes.outputs, 3, 0), votes.labels, "binary")])
    np.testing.assert_allclose(fit_weights(panel, range(3)), 1 / 3)


def test_constant_answers_of_zero_are_no_trouble() -> None:
    panel = Panel([Votes(np.zeros((2, 30)), np.arange(30) % 2, "binary")])
    assert fit_weights(panel, range(2)).sum() == pytest.approx(1.0)


def test_a_point_of_the_simplex_stays_and_others_go_to_the_nearest() -> None:
    np.testing.assert_allclose(on_simplex(np.array([0.2, 0.8])), [0.2, 0.8])
    np.testing.assert_allclose(on_simplex(np.array([2.0, 0.0])), [1.0, 0.0])
    np.testing.assert_allclose(on_simplex(np.array([0.6, 0.6])), [0.5, 0.5])
