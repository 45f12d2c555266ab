"""Survivors, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.searchers.survival import SURVIVAL, age, comb, fit, mix

NAN = np.nan


def survivors(rule: str, losses: list[float], population: int, operations: list[float] | None = None) -> list[int]:
    known = np.full(len(losses), NAN) if operations is None else np.array(operations)
    return SURVIVAL[rule](np.array(losses), known, population).tolist()


def test_age_keeps_the_newest() -> None:
    assert survivors("age", [0.1, 0.5, 0.3, 0.4, 0.2], 2) == [3, 4]


def test_fit_keeps_those_of_least_loss() -> None:
    assert survivors("fit", [0.1, 0.5, 0.3, 0.4, 0.2], 2) == [0, 4]


def test_fit_keeps_the_newer_of_equals() -> None:
    assert survivors("fit", [0.1, 0.5, 0.1, 0.1], 2) == [2, 3]


def test_mix_keeps_half_the_newest_and_half_the_best_of_the_rest() -> None:
    assert survivors("mix", [0.2, 0.1, 0.3, 0.5, 0.6, 0.05], 4) == [0, 1, 4, 5]


def test_comb_of_six_with_a_population_of_two() -> None:
    # The newest 4 of 6 count, m = 4: losses .3 .1 .4 .2, operations 1 4 2 3.
    # age:      min(4, 3)/4, 3/4, 2/4, 1/4 = .75 .75 .5 .25
    # 0.1/4 of: loss ranks 3 1 4 2 and ranks of operations 1 4 2 3 = sums 4 5 6 5 = .1 .125 .15 .125
    # sum:      .85 .875 .65 .375
    assert survivors("comb", [0.0, 0.0, 0.3, 0.1, 0.4, 0.2], 2, [9, 9, 1, 4, 2, 3]) == [4, 5]


def test_comb_lets_an_old_good_and_cheap_one_stay_for_a_new_bad_one() -> None:
    # Population 10, 11 trials: ages min(11 - i, 2)/11, so the oldest ten have 2/11 alike; ranks decide among them.
    losses = [0.5] * 11
    losses[0], losses[5] = 0.1, 0.9
    assert survivors("comb", losses, 10) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]


def test_comb_prefers_few_operations_among_equals() -> None:
    operations = [5.0, 5.0, 9.0, 5.0]
    assert survivors("comb", [0.5] * 4, 3, operations) == [0, 1, 3]
    assert survivors("comb", [0.5] * 4, 3) == [1, 2, 3]  # unknown ones are equal, and of equals the newer stay


@pytest.mark.parametrize("rule", sorted(SURVIVAL))
def test_what_failed_never_survives(rule: str) -> None:
    losses = [0.3, NAN, 0.2, np.inf, 0.4, NAN, NAN]
    assert survivors(rule, losses, 5) == [0, 2, 4]
    assert set(survivors(rule, losses, 2)) < {0, 2, 4}
    assert survivors(rule, [NAN, NAN], 2) == []


@pytest.mark.parametrize("rule", sorted(SURVIVAL))
@pytest.mark.parametrize("population", [2, 3, 5])
def test_there_are_as_many_survivors_as_the_population_in_order_of_time(rule: str, population: int) -> None:
    losses = np.random.default_rng(population).permutation(20) / 20
    found = SURVIVAL[rule](losses, np.full(20, NAN), population).tolist()
    assert len(found) == population
    assert found == sorted(set(found))


def test_all_survive_while_there_are_no_more_than_the_population() -> None:
    for rule in (age, comb, fit, mix):
        assert rule(np.arange(4.0), np.full(4, NAN), 6).tolist() == [0, 1, 2, 3]
