"""SAEP's rules: what each of them drops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autorec.errors import ConfigError
from autorec.searchers.panel import Panel, Votes
from autorec.searchers.pruning import harms_of, pap, pie, prs, prune
from tests.searchers.panels import classified, clicked, noisy, rated


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def members_of(rates: list[float], rows: int = 300, seed: int = 0) -> Panel:
    draw = rng(seed)
    labels = draw.integers(0, 3, rows)
    return classified(noisy(labels, rates, draw), labels)


# By chance


def test_prs_drops_one_member_half_of_the_time_each_as_likely() -> None:
    draw, dropped = rng(), np.zeros(5)
    for _ in range(4000):
        kept = prs(range(5), draw)
        assert len(kept) >= 4
        dropped[list(set(range(5)) - set(kept))] += 1
    total = dropped.sum()
    assert abs(total - 2000) <= 3 * np.sqrt(4000 / 4)
    assert (np.abs(dropped - total / 5) <= 3.5 * np.sqrt(total * 0.16)).all()


# By accuracy


def test_pap_removes_exactly_the_member_that_flips_labels() -> None:
    draw = rng(1)
    labels = draw.integers(0, 3, 600)
    decisions = np.concatenate([noisy(labels, [0.3] * 4, draw), [(labels + 1) % 3]])
    panel = classified(decisions, labels)
    assert pap(panel, range(5), panel.weights(range(5))) == [0, 1, 2, 3]


def test_pap_removes_none_of_five_useful_members() -> None:
    draw = rng(2)
    labels = draw.integers(0, 3, 600)
    wrong = draw.permuted(np.tile(np.arange(600) % 5, 1))  # each row is wrong with one member alone
    decisions = np.where(wrong == np.arange(5)[:, None], (labels + 1) % 3, labels)
    panel = classified(decisions, labels)
    assert pap(panel, range(5), panel.weights(range(5))) == [0, 1, 2, 3, 4]


def test_pap_of_clicks_goes_by_the_log_loss() -> None:
    votes = clicked(4, rows=1000, noise=0.1).votes[0]
    panel = Panel([Votes(np.concatenate([votes.outputs, -votes.outputs[:1]]), votes.labels, "binary")])
    assert pap(panel, range(5), panel.weights(range(5))) == [0, 1, 2, 3]


def test_pap_keeps_the_two_most_useful_where_all_would_go() -> None:
    labels = np.array([1.0] * 50 + [0.0] * 50)
    outputs = np.stack([np.full(100, value) for value in (1.0, 1.5, 2.0)])  # each too high: without any it is better
    panel = Panel([Votes(outputs, labels, "real")])
    opposed = Panel([Votes(np.concatenate([outputs, -outputs]), labels - 0.5, "real")])
    assert (harms_of(opposed, range(6), opposed.weights(range(6))) >= 0).any()
    kept = pap(panel, range(3), panel.weights(range(3)))
    harms = harms_of(panel, range(3), panel.weights(range(3)))
    assert len(kept) == 2
    assert set(np.argsort(-harms)[:2]) == set(kept)


def test_harm_is_what_the_loss_rises_by_without_a_member() -> None:
    panel = rated(3)
    weights = np.array([0.5, 0.3, 0.2])
    expected = panel.loss(np.array([0.5, 0.3, 0.0]) / 0.8) - panel.loss(weights)
    assert harms_of(panel, range(3), weights)[2] == pytest.approx(expected)


# By information


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_pie_keeps_all_but_one_of_three_or_more(count: int) -> None:
    panel = members_of([0.3] * count)
    assert len(pie(panel, range(count), rng())) == (count if count <= 2 else count - 1)


def test_pie_repeats_for_a_seed_and_begins_with_the_best_if_told() -> None:
    panel = members_of([0.4, 0.2, 0.5, 0.3, 0.45, 0.35])
    assert pie(panel, range(6), rng(3)) == pie(panel, range(6), rng(3))
    assert all(1 in pie(panel, range(6), rng(seed), start="best") for seed in range(5))


def test_pie_keeps_the_pairs_of_nearly_the_best_score_there_is() -> None:
    for seed in range(30):
        count = 4 + seed % 5
        panel = members_of(list(rng(seed).uniform(0.1, 0.6, count)), rows=120, seed=seed)
        scores = panel.tdac(0.5)
        values = {left: scores[np.ix_(left, left)].sum() for left in itertools.combinations(range(count), count - 1)}
        assert values[tuple(pie(panel, range(count), rng(seed)))] >= 0.95 * max(values.values())


def test_pie_removes_one_of_two_equal_members() -> None:
    found = 0
    for seed in range(100):
        draw = rng(seed)
        labels = draw.integers(0, 3, 200)
        decisions = noisy(labels, [0.3] * 6, draw)
        panel = classified(np.concatenate([decisions, decisions[:1]]), labels)
        found += not {0, 6} <= set(pie(panel, range(7), draw))
    assert found >= 95


def test_pure_diversity_does_not_look_at_the_labels() -> None:
    panel = members_of([0.2, 0.4, 0.3, 0.5, 0.35])
    votes = panel.votes[0]
    other = Panel([Votes(votes.outputs, rng(5).permutation(votes.labels), "classes")])
    for seed in range(10):
        assert pie(panel, range(5), rng(seed), alpha=1.0) == pie(other, range(5), rng(seed), alpha=1.0)


def test_pure_accuracy_never_prefers_a_constant() -> None:
    draw = rng(6)
    labels = draw.integers(0, 3, 300)
    panel = classified(np.concatenate([noisy(labels, [0.3, 0.4, 0.5, 0.6], draw), np.ones((1, 300), int)]), labels)
    for seed in range(20):
        chance = rng(seed)
        first = int(np.random.default_rng(seed).integers(5))
        kept = pie(panel, range(5), chance, alpha=0.0)
        assert (4 in kept) == (first == 4)


def test_ties_go_to_the_lowest_number() -> None:
    labels = np.arange(90) % 3
    shifted = np.stack([np.roll(labels, 30 * k) for k in range(3)])  # the same decisions, thus scores of 0
    panel = classified(shifted, labels)
    assert pie(panel, range(3), rng(), start="best") == [0, 1]


def test_labels_of_one_class_prune_nobody() -> None:
    panel = classified(rng().integers(0, 3, (4, 50)), np.ones(50, int))
    assert pie(panel, range(4), rng()) == [0, 1, 2, 3]


# Again and again


@pytest.mark.parametrize("rule", ["prs", "pap", "pie"])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_size_is_never_exceeded_and_weights_are_of_the_kept_alone(rule: str, size: int) -> None:
    found = prune(clicked(7), rule, size=size)
    assert 1 <= len(found.members) <= size
    assert set(np.flatnonzero(found.weights)) <= set(found.members)
    assert found.weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("rule", ["prs", "pap", "pie"])
def test_without_a_size_the_loss_does_not_rise(rule: str) -> None:
    for seed in range(5):
        panel = clicked(6, rows=200, seed=seed)
        found = prune(panel, rule, seed=seed)
        assert len(found.members) >= 2
        assert found.loss <= prune(panel, None).loss + 1e-12
        assert found.loss == pytest.approx(panel.loss(found.weights))


def with_idlers() -> Panel:
    """Returns two good models of clicks that are much alike, and three that have learned nothing."""
    votes = clicked(2, rows=1500, noise=0.2).votes[0]
    idle = 0.3 * rng(4).normal(size=(3, 1500))
    return Panel([Votes(np.concatenate([votes.outputs, idle]), votes.labels, "binary")])


def test_a_guarded_rule_drops_those_who_learned_nothing_where_diversity_alone_keeps_them() -> None:
    assert prune(with_idlers(), "pie", size=3).members == (0, 1)
    assert not {0, 1} <= set(prune(with_idlers(), "pie", size=3, guarded=False).members)


def test_a_rule_that_is_not_guarded_ends_at_the_size() -> None:
    assert len(prune(with_idlers(), "pie", size=4, guarded=False).members) == 4
    assert len(prune(clicked(7), "prs", size=3, guarded=False).members) == 3


def test_what_chance_may_do_drops_none_of_few_but_what_is_clear_does() -> None:
    panel = clicked(6, rows=100, noise=1.5, seed=2)
    assert len(prune(panel, "pie", size=4).members) == 3  # the loss falls
    assert len(prune(panel, "pie", size=4, enough=4).members) == 4
    assert len(prune(panel, "pie", size=3, enough=4).members) == 3
    assert prune(with_idlers(), "pie", size=5, enough=5).members == (0, 1, 2)


def test_a_tolerance_prunes_further() -> None:
    panel = clicked(8, rows=500)
    assert len(prune(panel, "pie", tolerance=1.0).members) == 2 < len(prune(panel, "pie").members)


def test_no_rule_keeps_everybody() -> None:
    assert prune(rated(5), None).members == (0, 1, 2, 3, 4)


def test_the_same_seed_gives_the_same_ensemble() -> None:
    panel = clicked(9)
    first, second = (prune(panel, "pie", size=4, start="random", seed=7) for _ in range(2))
    assert first.members == second.members
    np.testing.assert_array_equal(first.weights, second.weights)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rule": "pye"}, "`pruning` must be one of .*Did you mean 'pie'"),
        ({"size": 0}, "`size` must be a whole number of 1 or more"),
        ({"size": True}, "`size` must be a whole number of 1 or more"),
        ({"alpha": 1.5}, "`alpha` must be a number from 0 to 1"),
        ({"start": "worst"}, "`start` must be one of"),
        ({"enough": 1}, "`enough` must be a whole number of 2 or more"),
    ],
)
def test_what_is_not_allowed_is_named(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        prune(clicked(3), **arguments)  # type: ignore[arg-type]
