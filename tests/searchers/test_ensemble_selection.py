"""Rules by name, and what a choice is worth on rows it did not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autorec.errors import ConfigError
from autorec.searchers.condensing import condense
from autorec.searchers.ensemble_selection import PRUNINGS, TRIED, best_single, cross_fitted, quick_rule, select
from autorec.searchers.forward_selection import forward_selection
from autorec.searchers.panel import Panel
from autorec.searchers.pruning import Pruned, prune
from tests.searchers.panels import clicked, rated


@pytest.mark.parametrize("pruning", [*PRUNINGS, None])
def test_every_name_gives_an_ensemble_of_the_size(pruning: str | None) -> None:
    found, rule = select(rated(6, rows=1200), pruning, size=3)
    assert 1 <= len(found.members) <= 3
    assert found.weights.shape == (6,)
    assert found.weights.sum() == pytest.approx(1.0)
    assert rule in (("pie", "pap", "forward") if pruning == "auto" else (pruning,))


def test_without_a_rule_the_first_ones_are_taken() -> None:
    assert select(clicked(5), None, size=2)[0].members == (0, 1)
    assert select(clicked(5), None)[0].members == (0, 1, 2, 3, 4)


def test_a_name_stands_for_its_rule() -> None:
    panel = clicked(7)
    assert select(panel, "pie", size=3)[0].members == prune(panel, "pie", size=3).members
    assert select(panel, "forward", size=3)[0].members == forward_selection(panel, size=3).members
    assert select(panel, "answers", size=3)[0].members == condense(panel, 3).members
    assert len(select(clicked(10), "answers")[0].members) == 8


def test_of_few_labelled_rows_answers_choose() -> None:
    panel = rated(6, rows=999)
    found, rule = select(panel, size=2)
    assert (found.members, rule) == (condense(panel, 2).members, "answers")
    many, rare = rated(6, rows=1500).votes[0], np.arange(0, 1500, 10)
    sparse = replace(many, outputs=many.outputs[:, rare], labels=many.labels[rare], numbers=rare)
    assert select(Panel([many, sparse]), size=2)[1] == "answers"
    assert cross_fitted(panel, lambda some: condense(some, 2)) > 0.0
    assert [quick_rule(rows) for rows in (999, 1000)] == ["answers", "pie"]


def test_auto_takes_the_rule_that_is_best_on_unseen_rows() -> None:
    panel = rated(6, rows=1000)
    losses = {rule: cross_fitted(panel, lambda some, rule=rule: select(some, rule, size=2)[0]) for rule in TRIED}  # type: ignore[misc]
    assert select(panel, "auto", size=2)[1] == min(losses, key=lambda rule: losses[rule])


def test_the_best_single_member_is_an_ensemble_of_one() -> None:
    found = best_single(rated(4))
    assert found.members == (int(np.argmin(rated(4).single_losses)),)
    assert found.loss == pytest.approx(rated(4).single_losses.min())


def test_rows_by_which_a_choice_was_made_flatter_it() -> None:
    gaps = []
    for seed in range(8):
        panel = clicked(20, rows=120, seed=seed)
        gaps.append(cross_fitted(panel, best_single, seed=seed) - best_single(panel).loss)
    assert np.mean(gaps) > 0.0


def test_no_row_judges_a_choice_that_it_took_part_in() -> None:
    panel, seen = clicked(2, rows=200), []

    def choose(some: Panel) -> Pruned:
        seen.append(set(some.votes[0].numbers))  # type: ignore[arg-type]
        return best_single(some)

    cross_fitted(panel, choose, folds=4)
    assert [len(rows) for rows in seen] == [150] * 4
    assert set.intersection(*seen) == set()


def test_too_few_rows_are_not_divided() -> None:
    panel = clicked(3, rows=60)
    assert cross_fitted(panel, best_single) == best_single(panel).loss


def test_an_unknown_rule_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="`pruning` must be one of .*'forward'.*Did you mean 'forward'"):
        select(clicked(3), "foward")
