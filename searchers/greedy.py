"""Greedy search: one group of hyperparameters at a time, around the best trial so far."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import keras_tuner as kt

GROUPS = ("optimisation", "preprocess", "hyper", "architecture")

# First parts of the names of what happens before the first interaction.
_PREPROCESS = (
    "features",
    "field_embedding",
    "numeric_embedding",
    "numeric_transform",
    "numbers",
    "pooling",
    "preprocess",
    "statistics",
)


def group_of(name: str, parents: set[str]) -> str:
    """Returns the group of a hyperparameter.

    Args:
        name: Its name, such as `train/learning_rate`.
        parents: Names of the hyperparameters that switch others on.

    Returns:
        `optimisation` for `train/*`, `preprocess` for features and embeddings, `hyper` for what switches others on,
        else `architecture`.
    """
    first = name.split("/")[0]
    if first == "train":
        return "optimisation"
    if any(first == word or first.startswith(f"{word}_") for word in _PREPROCESS):
        return "preprocess"
    return "hyper" if name in parents else "architecture"


class Greedy(kt.Oracle):
    """Resamples one group of hyperparameters around the best trial.

    The first trial has the default values. Each later one draws a group with probability

        p(group) = size(group)^2 / sum of size^2

    over the sizes counted in hyperparameters that are active in the best trial, samples its members anew and keeps
    the best trial's values elsewhere; a hyperparameter that becomes active is sampled too. A proposal that was tried
    before is drawn again; after `collisions` of them the next group is drawn, and when all groups are through, the
    whole space is sampled. It stops when that gives nothing new either.

    Args:
        objective: As of `keras_tuner.Oracle`.
        max_trials: Number of trials at most, None for no limit.
        collisions: Repeats allowed for a group, at least 1. Default 5.
        group: Function `(name, parents) -> group`; `group_of` by default.
        **arguments: The other arguments of `keras_tuner.Oracle`, such as `seed`.

    Example:
        >>> oracle = Greedy(objective=kt.Objective("val_auc", "max"), max_trials=20, seed=1)

    Source: Wang et al., "AutoRec: An Automated Recommender System" (2020). The release put every hyperparameter in
    the architecture group, which made it random search; here the groups are those of their names.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        collisions: int = 5,
        group: Callable[[str, set[str]], str] = group_of,
        **arguments: Any,
    ) -> None:
        super().__init__(objective=objective, max_trials=max_trials, **arguments)
        self._group_collisions = collisions
        self._group_of = group

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of the next trial, in the manner of `keras_tuner.Oracle`."""
        values = self._next()
        return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}

    def _next(self) -> dict[str, Any] | None:
        if not self.trials:
            return self._defaults()
        best = self._best()
        return self._random_values() if best is None else self._around(best)

    def _best(self) -> Any:
        done = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        pick = max if self.objective.direction == "max" else min
        return pick(done, key=lambda trial: trial.score) if done else None

    def _defaults(self) -> dict[str, Any]:
        hps = kt.HyperParameters()
        for hp in self.hyperparameters.space:
            hps.merge([hp])  # gives an active one its default
        return hps.values

    def groups(self, active: Any) -> dict[str, list[str]]:
        """Returns the names in each group that are active in `active` (`keras_tuner.HyperParameters`)."""
        space = self.hyperparameters.space
        parents = {condition.name for hp in space for condition in hp.conditions}
        found: dict[str, list[str]] = {}
        for hp in space:
            names = found.setdefault(self._group_of(hp.name, parents), [])
            if hp.name not in names and not _is_fixed(hp) and active.is_active(hp):
                names.append(hp.name)
        return {group: names for group, names in found.items() if names}

    def _around(self, best: Any) -> dict[str, Any] | None:
        groups = self.groups(best.hyperparameters)
        while groups:
            names = list(groups)
            weights = [len(groups[name]) ** 2 for name in names]
            chosen = self._draw().choices(names, weights)[0]
            members = set(groups.pop(chosen))
            for _ in range(self._group_collisions):
                values = self._resample(best.hyperparameters, members)
                if not self._duplicate(values):
                    return values
        return self._random_values()

    def _resample(self, parent: Any, members: set[str]) -> dict[str, Any]:
        hps = kt.HyperParameters()
        for hp in self.hyperparameters.space:
            hps.merge([hp])
            if not hps.is_active(hp):
                continue
            # The same name may stand under other conditions with other values: keep only what was active there.
            kept = hp.name not in members and hp.name in parent.values and parent.is_active(hp)
            hps.values[hp.name] = parent.values[hp.name] if kept else self._sample(hp)
        return hps.values

    def _sample(self, hp: Any) -> Any:
        self._seed_state += 1
        return hp.random_sample(self._seed_state)

    def _draw(self) -> random.Random:
        self._seed_state += 1
        return random.Random(self._seed_state)


def _is_fixed(hp: Any) -> bool:
    return type(hp).__name__ == "Fixed"
