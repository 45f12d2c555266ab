"""Oracles by name, and the user's own."""

from __future__ import annotations

import threading
from typing import Any

import keras_tuner as kt
import pytest

from autorec.errors import ConfigError
from autorec.searchers.oracles import complete, get_objective, get_oracle, spread

SCORE = kt.Objective("score", "max")


def test_an_unknown_searcher_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"`searcher`.*'random'.*got 'baysian'.*Did you mean 'bayesian'"):
        get_oracle("baysian", objective=SCORE)


def test_a_given_oracle_is_copied_and_stays_as_it_was() -> None:
    mine = kt.oracles.RandomSearchOracle(objective=SCORE, seed=5, max_trials=3)
    mine.hyperparameters.Int("a", 1, 5)
    oracle = get_oracle(mine, objective=SCORE, max_trials=9)
    oracle.create_trial("worker")
    assert (mine.trials, mine.max_trials) == ({}, 3)
    assert (len(oracle.trials), oracle.max_trials, oracle.seed) == (1, 9, 5)


def test_a_given_oracle_keeps_its_objective_and_gets_one_if_it_has_none() -> None:
    own = get_oracle(kt.oracles.RandomSearchOracle(objective=kt.Objective("loss", "min")), objective=SCORE)
    none = get_oracle(kt.oracles.RandomSearchOracle(), objective=SCORE)
    assert (own.objective.name, none.objective.name) == ("loss", "score")


def test_an_oracle_with_several_objectives_is_refused() -> None:
    oracle = kt.oracles.RandomSearchOracle(objective=[SCORE, kt.Objective("loss", "min")])
    with pytest.raises(ConfigError, match="one objective"):
        get_oracle(oracle, objective=SCORE)


def test_an_oracle_that_cannot_be_copied_is_refused() -> None:
    oracle = kt.oracles.RandomSearchOracle(objective=SCORE)
    oracle.held = threading.Lock()
    with pytest.raises(ConfigError, match="can be copied"):
        get_oracle(oracle, objective=SCORE)


def test_a_metric_of_the_users_own_carries_its_direction() -> None:
    objective = get_objective("min:val_cost")
    assert (objective.name, objective.direction) == ("val_cost", "min")
    with pytest.raises(ConfigError, match="objective"):
        get_objective(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["random", "bayesian", "hyperband", "greedy", "evolution"])
def test_failed_trials_in_a_row_never_end_a_search(name: str) -> None:
    oracle = get_oracle(name, objective=SCORE, seed=0)
    oracle.hyperparameters.Float("a", 0.0, 1.0)
    for _ in range(30):
        trial = oracle.create_trial("worker")
        trial.status = "FAILED"
        oracle.end_trial(trial)
    assert len(oracle.end_order) == 30


def test_neighbouring_seeds_share_no_values() -> None:
    def drawn(seed: int) -> set[Any]:
        oracle = get_oracle("random", objective=SCORE, seed=seed)
        for name in "abc":
            oracle.hyperparameters.Float(name, 0.0, 1.0)
        trials = [oracle.create_trial(f"worker-{number}") for number in range(6)]
        return {value for trial in trials[1:] for value in trial.hyperparameters.values.values()}  # the first: defaults

    assert not drawn(0) & drawn(1)


def test_seeds_are_positive_and_depend_on_every_number() -> None:
    seeds = {spread(seed, number) for seed in range(20) for number in range(20)}
    assert len(seeds) == 400
    assert all(0 < seed < 2**31 for seed in seeds)


def test_hyperband_goes_on_behind_its_last_bracket() -> None:
    oracle = get_oracle("hyperband", objective=SCORE, epochs=3, seed=1)
    oracle.hyperparameters.Float("a", 0.0, 1.0)
    for number in range(40):
        trial = oracle.create_trial("worker")
        oracle.update_trial(trial.trial_id, {"score": float(number)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert len(oracle.trials) == 40


def test_missing_values_become_defaults_where_they_are_active() -> None:
    hps = kt.HyperParameters()
    hps.Choice("kind", ["a", "b"], default="b")
    hps.Int("a/x", 1, 5, parent_name="kind", parent_values=["a"])
    hps.Int("b/x", 1, 5, default=4, parent_name="kind", parent_values=["b"])
    assert complete(hps.space, {}) == {"kind": "b", "b/x": 4}
    assert complete(hps.space, {"kind": "a"}) == {"kind": "a", "a/x": 1}


def test_values_of_inactive_hyperparameters_are_dropped_and_those_of_no_space_stay() -> None:
    hps = kt.HyperParameters()
    hps.Choice("kind", ["a", "b"])
    hps.Int("a/x", 1, 5, parent_name="kind", parent_values=["a"])
    found = complete(hps.space, {"kind": "b", "a/x": 3, "tuner/epochs": 2})
    assert found == {"kind": "b", "tuner/epochs": 2}


@pytest.mark.parametrize("searcher", ["random", "bayesian", "greedy", "evolution"])
def test_a_search_starts_from_the_default_values(searcher: str) -> None:
    oracle = get_oracle(searcher, objective=SCORE, seed=3)
    oracle.hyperparameters.Int("units", 1, 100, default=64)
    first, second = (oracle.create_trial(worker).hyperparameters.values for worker in "ab")
    assert first == {"units": 64}
    assert second != first
