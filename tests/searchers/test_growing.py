"""A step of a growing ensemble."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.errors import ConfigError
from autorec.searchers.growing import grow
from autorec.searchers.mixture import fit_weights
from autorec.searchers.panel import Panel, Votes
from tests.searchers.panels import clicked, rated


def test_the_first_step_takes_the_better_candidate() -> None:
    panel = rated(2)
    found = grow(panel, [], [0, 1])
    assert found.winner == int(np.argmin(panel.single_losses))
    assert found.members == (found.winner,)


def test_the_candidate_joins_whose_ensemble_has_the_least_loss() -> None:
    panel = clicked(5, rows=2000)
    losses = {each: panel.loss(fit_weights(panel, [0, 1, each])) for each in (2, 3, 4)}
    found = grow(panel, [0, 1], [2, 3, 4], None)
    assert found.winner == min(losses, key=lambda each: losses[each])
    assert found.loss == pytest.approx(min(losses.values()))


def test_a_candidate_that_harms_does_not_join() -> None:
    votes = clicked(2, rows=2000, noise=0.1).votes[0]
    outputs = np.concatenate([votes.outputs, -3 * votes.outputs[:1]])
    found = grow(Panel([Votes(outputs, votes.labels, "binary")]), [0, 1], [2])
    assert found.winner is None
    assert found.members == (0, 1)


def test_a_duplicate_is_pruned() -> None:
    votes = clicked(3, rows=1000).votes[0]
    panel = Panel([Votes(np.concatenate([votes.outputs, votes.outputs[:1]]), votes.labels, "binary")])
    assert len(grow(panel, [0, 1, 2], [3], "pie").members) == 3
    assert not {0, 3} <= set(grow(panel, [0, 1, 2], [3], "pie").members)


@pytest.mark.parametrize("rule", ["prs", "pap", "pie", None])
def test_pruning_never_raises_the_loss(rule: str | None) -> None:
    for seed in range(6):
        panel = clicked(6, rows=150, seed=seed)
        pruned, whole = (grow(panel, [0, 1, 2, 3], [4, 5], each, seed=seed) for each in (rule, None))
        assert pruned.loss <= whole.loss
        assert pruned.winner == whole.winner


def test_members_keep_the_order_in_which_they_joined() -> None:
    assert grow(clicked(4, rows=2000), [3, 0], [1], None).members == (3, 0, 1)


def test_without_members_and_candidates_there_is_nothing() -> None:
    assert grow(clicked(2), [], []).members == ()


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="`pruning` must be one of"):
        grow(clicked(2), [], [0], "forward")
