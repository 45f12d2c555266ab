"""Oracles by name: KerasTuner's algorithms as they are, without its files."""

from __future__ import annotations

import copy
import sys
from types import MethodType
from typing import Any

import keras_tuner as kt
import numpy as np

from autorec.errors import ConfigError, unknown_name
from autorec.searchers.bayesian import Bayesian
from autorec.searchers.ensemble import Ensemble
from autorec.searchers.evolution import Evolution
from autorec.searchers.greedy import Greedy

SEARCHERS = ("random", "bayesian", "hyperband", "greedy", "evolution", "ensemble")


def get_oracle(
    searcher: str | kt.Oracle,
    *,
    objective: str | kt.Objective,
    max_trials: int | None = None,
    seed: int = 0,
    epochs: int | None = None,
    hyperparameters: kt.HyperParameters | None = None,
) -> kt.Oracle:
    """Returns the oracle of a search, which writes nothing to disk and never ends a search for failed trials.

    The first trial of all but `hyperband` has the default values of the space; of `ensemble` at the least depth.

    Args:
        searcher: `"random"`, `"bayesian"`, `"hyperband"`, `"greedy"`, `"evolution"`, `"ensemble"`, or an oracle,
            which is copied: the caller's stays as it was. An oracle with an objective of its own keeps it.
        objective: Metric, such as `"val_auc"`.
        max_trials: Number of trials in all; None is no limit, or the given oracle's own.
        seed: Seed of the proposals; a given oracle has its own.
        epochs: Most epochs of a trial, for Hyperband; 9 by default.
        hyperparameters: Hyperparameters known in advance.

    Raises:
        ConfigError: If the searcher or the metric is not known, with the nearest names.

    Example:
        >>> oracle = get_oracle("greedy", objective="val_auc", max_trials=20, seed=1)
    """
    goal = get_objective(objective)
    if isinstance(searcher, kt.Oracle):
        return _prepare(_adopt(searcher, goal, max_trials))
    if searcher not in SEARCHERS:
        raise unknown_name("searcher", searcher, SEARCHERS)
    known: dict[str, Any] = {"objective": goal, "seed": spread(seed), "hyperparameters": hyperparameters}
    if searcher == "hyperband":
        # Without an end of its own: the runner knows when to stop.
        return _prepare(kt.oracles.HyperbandOracle(max_epochs=epochs or 9, hyperband_iterations=None, **known))
    kinds = {
        "random": kt.oracles.RandomSearchOracle,
        "bayesian": Bayesian,
        "greedy": Greedy,
        "evolution": Evolution,
        "ensemble": Ensemble,
    }
    oracle = kinds[searcher](max_trials=None, **known)
    oracle.max_trials = max_trials
    return _prepare(oracle, from_defaults=searcher != "ensemble")


def get_objective(objective: str | kt.Objective) -> kt.Objective:
    """Returns the objective with its direction.

    Raises:
        ConfigError: If the metric is not known and the text does not say `max:` or `min:`.
    """
    if isinstance(objective, kt.Objective):
        return objective
    if not isinstance(objective, str):
        raise ConfigError("objective", "the name of a metric or a keras_tuner.Objective", objective)
    direction, colon, name = objective.partition(":")
    if colon and direction in ("max", "min") and name:
        return kt.Objective(name, direction)
    from autorec.training.metrics import direction as known_direction

    return kt.Objective(objective, known_direction(objective))


def spread(seed: int, *more: int) -> int:
    """Returns a seed in [1, 2^31) that differs widely for neighbouring `seed`s (KerasTuner counts up from its own)."""
    return int(np.random.SeedSequence([seed, *more]).generate_state(1)[0] >> 1) or 1


def _adopt(oracle: kt.Oracle, objective: kt.Objective, max_trials: int | None) -> kt.Oracle:
    try:
        oracle = copy.deepcopy(oracle)
    except Exception as error:
        raise ConfigError("searcher", "an oracle that can be copied", oracle, f"{error}") from error
    if isinstance(oracle.objective, list) or not hasattr(oracle.objective, "direction"):
        raise ConfigError("searcher", "an oracle with one objective", oracle.objective)
    if type(oracle.objective).__name__ == "MultiObjective":
        raise ConfigError("searcher", "an oracle with one objective", oracle.objective)
    if type(oracle.objective).__name__ == "DefaultObjective":
        oracle.objective = objective
    if max_trials is not None:
        oracle.max_trials = max_trials
    return oracle


def _nothing(*arguments: object, **more: object) -> None:
    """Takes the place of what KerasTuner writes and reads."""


def _prepare(oracle: kt.Oracle, from_defaults: bool = False) -> kt.Oracle:
    for name in ("save", "reload", "_save_trial"):
        setattr(oracle, name, _nothing)
    oracle.verbose = 0
    oracle.max_consecutive_failed_trials = sys.maxsize
    original = oracle.populate_space

    def populate_space(self: kt.Oracle, trial_id: str) -> dict[str, Any]:
        first = from_defaults and not self.trials and getattr(self, "_told", None) is None
        response: dict[str, Any] = {"status": "RUNNING", "values": {}} if first else dict(original(trial_id))
        if response.get("values") is not None:
            response["values"] = complete(self.hyperparameters.space, response["values"])
        return response

    oracle.populate_space = MethodType(populate_space, oracle)
    return oracle


def complete(space: list[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Returns plain values of the active hyperparameters alone, each that has none at its default.

    KerasTuner would draw those without a seed, for example where a promoted trial of Hyperband is older than a
    hyperparameter. Values of what is not in the space, such as `tuner/epochs`, stay.
    """
    hps = kt.HyperParameters()
    hps.values = {name: value.item() if hasattr(value, "item") else value for name, value in values.items()}
    active = set()
    for hp in space:
        if hps.is_active(hp):
            active.add(hp.name)
            hps.values.setdefault(hp.name, hp.default)
    inactive = {hp.name for hp in space} - active
    return {name: value for name, value in hps.values.items() if name not in inactive}
