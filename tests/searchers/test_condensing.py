"""Few members that answer as all do."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from autorec.errors import ConfigError
from autorec.searchers.condensing import condense
from autorec.searchers.mixture import curvature, fit_weights
from autorec.searchers.panel import Panel, Votes
from tests.searchers.panels import classified, clicked, noisy, rated


def of_classes(members: int, rows: int = 200) -> Panel:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, rows)
    return classified(noisy(labels, list(np.linspace(0.1, 0.5, members)), rng), labels, sure=1.5)


PANELS = {"clicks": clicked(6), "ratings": rated(6), "classes": of_classes(6)}


@pytest.mark.parametrize("kind", PANELS)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_there_are_as_many_as_asked_for_and_their_weights_sum_to_one(kind: str, size: int) -> None:
    found = condense(PANELS[kind], size)
    assert len(found.members) == size
    assert set(np.flatnonzero(found.weights)) <= set(found.members)
    assert found.weights.sum() == pytest.approx(1.0)
    assert (found.weights >= 0.0).all()
    assert found.loss == pytest.approx(PANELS[kind].loss(found.weights))


def test_all_of_few_stay_with_the_weights_of_all() -> None:
    panel = clicked(3)
    found = condense(panel, 5)
    assert found.members == (0, 1, 2)
    np.testing.assert_array_equal(found.weights, fit_weights(panel, range(3)))


def test_of_two_copies_one_goes_and_the_other_has_the_weight_of_both() -> None:
    votes = clicked(4).votes[0]
    panel = Panel([Votes(np.concatenate([votes.outputs, votes.outputs[1:2]]), votes.labels, "binary")])
    found, before = condense(panel, 4), fit_weights(panel, range(5))
    assert not {1, 4} <= set(found.members)
    answers, wanted = (np.tensordot(weights, panel.votes[0].scores, 1) for weights in (found.weights, before))
    np.testing.assert_allclose(answers, wanted, atol=1e-4)


def test_a_member_that_surely_harms_goes_first_whatever_its_absence_moves() -> None:
    votes = clicked(5, rows=600, noise=0.3).votes[0]
    panel = Panel([Votes(np.concatenate([-10.0 * votes.outputs[:1], votes.outputs]), votes.labels, "binary")])
    assert 0 not in condense(panel, 5).members
    assert 0 in condense(panel, 6).members


def test_greedy_steps_are_near_the_best_subset() -> None:
    for seed in range(10):
        panel = clicked(7, seed=seed)
        target = fit_weights(panel, range(7))
        hessian = curvature(panel, target)

        def distance(weights: np.ndarray, target: np.ndarray = target, hessian: np.ndarray = hessian) -> float:
            return float((weights - target) @ hessian @ (weights - target))

        grid = [np.array([a, b, 10 - a - b]) / 10 for a in range(11) for b in range(11 - a)]
        triples = itertools.combinations(range(7), 3)
        least = [min(distance(panel.weights(some, shares)) for shares in grid) for some in triples]
        found = distance(condense(panel, 3).weights)
        assert found <= 1.5 * min(least)
        assert found <= np.quantile(least, 0.2)


@pytest.mark.parametrize("kind", PANELS)
def test_the_curvature_is_that_of_the_loss(kind: str) -> None:
    panel = PANELS[kind]
    at, step = panel.weights(range(6)), 1e-3 * np.array([1.0, -1.0, 0.5, 0.5, -2.0, 1.0])
    second = panel.loss(at + step) - 2.0 * panel.loss(at) + panel.loss(at - step)
    assert step @ curvature(panel, at) @ step == pytest.approx(second, rel=0.02)


def test_labels_of_few_rows_hardly_count() -> None:
    same = best = 0
    for seed in range(20):
        one = clicked(6, rows=50, seed=seed)
        votes = one.votes[0]
        other = Panel([replace(votes, labels=np.random.default_rng(seed).permutation(votes.labels))])
        kept, chosen = set(condense(one, 3).members), set(np.argsort(one.single_losses)[:3])
        same += len(kept & set(condense(other, 3).members))
        best += len(chosen & set(np.argsort(other.single_losses)[:3]))
    assert same >= 40 > best  # of 60; by chance 30


def test_a_size_of_none_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="`size` must be a whole number"):
        condense(clicked(3), 0)
