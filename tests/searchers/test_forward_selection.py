"""Greedy forward selection with replacement."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autorec.errors import ConfigError
from autorec.searchers.forward_selection import forward_selection
from autorec.searchers.panel import Panel, Votes
from tests.searchers.panels import clicked, rated


def test_one_round_takes_the_best_member() -> None:
    panel = rated(5)
    assert forward_selection(panel, rounds=1).members == (int(np.argmin(panel.single_losses)),)


def test_a_second_round_adds_the_best_partner() -> None:
    panel = clicked(5)
    best = int(np.argmin(panel.single_losses))
    means = [panel.loss((panel.weights([best]) + panel.weights([other])) / 2) for other in range(5)]
    found = forward_selection(panel, rounds=2)
    assert found.loss == pytest.approx(min(min(means), panel.single_losses[best]))


def test_weights_are_shares_of_the_additions() -> None:
    found = forward_selection(clicked(4), rounds=10)
    counts = [found.weights * rounds for rounds in range(1, 11)]
    assert any(np.allclose(each, each.round()) for each in counts)
    assert found.weights.sum() == pytest.approx(1.0)


def test_the_loss_never_exceeds_the_best_single_one_and_nears_the_best_weights() -> None:
    panel = rated(3)
    steps = np.arange(51) / 50
    grid = [np.array([a, b, 1 - a - b]) for a, b in itertools.product(steps, steps) if a + b <= 1]
    assert forward_selection(panel).loss <= min(panel.loss(weights) for weights in grid) + 1e-3


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_size_limits_the_different_members(size: int) -> None:
    assert len(forward_selection(clicked(8), size=size).members) <= size


def test_targets_count_together() -> None:
    good, bad = clicked(2, noise=0.1).votes[0], clicked(2, seed=3).votes[0]
    mixed = Panel([Votes(np.stack([good.outputs[0], -good.outputs[0]]), good.labels, "binary"), bad])
    assert 0 in forward_selection(mixed).members


def test_a_size_of_none_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="`size` must be a whole number"):
        forward_selection(clicked(3), size=0)
