"""Few members that answer as all do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autorec.errors import ConfigError
from autorec.searchers.condensing import condense
from autorec.searchers.mixture import divergence, fit_weights
from autorec.searchers.panel import Panel, Votes
from tests.searchers.panels import classified, clicked, noisy, rated


def of_classes(members: int, rows: int = 200) -> Panel:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, rows)
    return classified(noisy(labels, list(np.linspace(0.3, 0.35, members)), rng), labels, sure=1.5)


def of_two_targets() -> Panel:
    """Returns a panel whose rows have weights, and of which some have no label of the second target."""
    clicks, stars, rng = clicked(6, rows=300).votes[0], rated(6).votes[0], np.random.default_rng(5)
    weights, known = rng.uniform(0.5, 2.0, 300), np.flatnonzero(rng.random(300) < 0.4)
    rest = replace(stars, outputs=stars.outputs[:, known], labels=stars.labels[known], numbers=known)
    return Panel([replace(clicks, weights=weights), replace(rest, weights=weights[known])])


PANELS = {"clicks": clicked(6), "ratings": rated(6), "classes": of_classes(6), "two": of_two_targets()}


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
    for count in (1, 3, 8):
        panel = clicked(count)
        found = condense(panel)
        assert found.members == tuple(range(count))
        np.testing.assert_array_equal(found.weights, fit_weights(panel, range(count)))


def test_where_nobody_says_how_many_eight_stay() -> None:
    assert len(condense(clicked(11)).members) == 8


def test_of_two_copies_one_goes_and_the_other_has_the_weight_of_both() -> None:
    votes = clicked(4).votes[0]
    panel = Panel([Votes(np.concatenate([votes.outputs, votes.outputs[1:2]]), votes.labels, "binary")])
    found, before = condense(panel, 4), fit_weights(panel, range(5))
    assert not {1, 4} <= set(found.members)
    answers, wanted = (np.tensordot(weights, panel.votes[0].scores, 1) for weights in (found.weights, before))
    np.testing.assert_allclose(answers, wanted, atol=1e-4)


def test_of_members_that_all_answer_the_same_the_first_stay() -> None:
    votes = clicked(1).votes[0]
    panel = Panel([Votes(np.repeat(votes.outputs, 5, axis=0), votes.labels, "binary")])
    found = condense(panel, 2)
    assert found.members == (0, 1)
    assert found.weights.sum() == pytest.approx(1.0)


def test_one_of_each_group_stays_though_another_group_weighs_more() -> None:
    for seed in range(5):
        votes, rng = clicked(3, rows=60, seed=seed).votes[0], np.random.default_rng(seed)
        outputs = np.repeat(votes.outputs, [4, 2, 1], axis=0)
        panel = Panel([Votes(outputs + 0.02 * rng.normal(size=outputs.shape), votes.labels, "binary")])
        found = condense(panel, 3)
        assert [np.searchsorted([4, 6], member, side="right") for member in found.members] == [0, 1, 2]
        whole = fit_weights(panel, range(7))
        groups = [whole[:4].sum(), whole[4:6].sum(), whole[6]]
        np.testing.assert_allclose(found.weights[list(found.members)], groups, atol=0.02)


def test_a_member_that_surely_harms_goes_whatever_its_absence_moves_and_however_many_may_stay() -> None:
    votes = clicked(5, rows=600, noise=0.3).votes[0]
    panel = Panel([Votes(np.concatenate([-10.0 * votes.outputs[:1], votes.outputs]), votes.labels, "binary")])
    assert condense(panel, 6).members == (1, 2, 3, 4, 5)
    assert 0 not in condense(panel, 3).members


def test_ratings_beyond_their_bounds_still_count_as_different() -> None:
    votes = rated(5).votes[0]
    outputs = np.concatenate([votes.outputs[:4] + 20.0, np.full((1, 300), 3.0)])
    panel = Panel([replace(votes, outputs=outputs, labels=np.full(300, 5.0))])
    found = condense(panel, 4)
    assert 4 in found.members
    assert (found.weights[list(found.members)] > 0.0).all()


@pytest.mark.parametrize("kind", PANELS)
def test_the_divergence_is_the_curvature_of_the_loss(kind: str) -> None:
    bare = [replace(each, low=-np.inf, high=np.inf) for each in PANELS[kind].votes]
    panel = Panel(bare)
    at, step = panel.weights(range(6)), 1e-3 * np.array([1.0, -1.0, 0.5, 0.5, -2.0, 1.0])
    second = panel.loss(at + step) - 2.0 * panel.loss(at) + panel.loss(at - step)
    assert step @ divergence(PANELS[kind], at) @ step == pytest.approx(second, rel=0.02)


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
