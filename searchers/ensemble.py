"""A search that grows an ensemble: candidates of the same depth and of one more, the better one joins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras_tuner as kt

from autorec.errors import unknown_name
from autorec.searchers.pruning import ALPHA, RULES, STARTS

_DEPTHS = ("depth", "layers")
_DONE = ("COMPLETED", "FAILED", "INVALID")
_COLLISIONS = 20

#: Takes which of the oracle's trials an iteration had, from 0; returns that of the one that joined, or None.
Judge = Callable[[Sequence[int]], int | None]


class Ensemble(kt.Oracle):
    """Grows an ensemble: each iteration trains two candidates, and the one that helps the ensemble more joins it.

    An iteration draws a point of the space, the first one the default values, and makes two trials of it: one with the
    depth L of the newest member, one with L + 1. L starts from the least depth that the space has. Which of the two
    joins is up to `judge`, which knows what the members answer; the search sets it, and prunes the ensemble behind each
    iteration. Without a judge the candidate with the better score wins.

    Depths are the whole numbers named `<anything>/depth` or `<anything>/layers`; all of a point have the same rank
    among their values. Where a point has none, or none larger, the iteration has one trial.

    Args:
        objective: As of `keras_tuner.Oracle`.
        max_trials: Number of trials at most, None for no limit.
        pruning: The rule behind each iteration: `pie`, `pap`, `prs`, or None.
        alpha: Share of diversity against accuracy in PIE, in [0, 1].
        start: First member of PIE: `best` or `random`.
        **arguments: The other arguments of `keras_tuner.Oracle`, such as `seed`.

    Raises:
        ConfigError: If the rule or the start is not known.

    Example:
        >>> rec.search(frame, target="click", searcher=Ensemble(pruning="pap", seed=1), max_trials=22)

    Source: Cortes et al., "AdaNet: Adaptive Structural Learning of Artificial Neural Networks" (ICML 2017), whose
    candidates differ in depth alone: here an iteration also draws the rest of the point anew, the recipe included.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        pruning: str | None = "pie",
        alpha: float = ALPHA,
        start: str = "best",
        **arguments: Any,
    ) -> None:
        if pruning is not None and pruning not in RULES:
            raise unknown_name("pruning", pruning, RULES)
        if start not in STARTS:
            raise unknown_name("start", start, STARTS)
        super().__init__(objective=objective, max_trials=max_trials, **arguments)
        self.pruning, self.alpha, self.start = pruning, alpha, start
        self.judge: Judge | None = None
        self._depth = 0
        self._waiting: list[tuple[int, dict[str, Any]]] = []  # depth and values of candidates not yet proposed
        self._proposed: list[tuple[int, str]] = []  # depth and trial of those of this iteration that are

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of the next trial, in the manner of `keras_tuner.Oracle`."""
        if not self._waiting:
            if any(self.trials[known].status not in _DONE for _, known in self._proposed):
                return {"status": "IDLE"}
            self._settle()
            self._waiting = self._iteration()
        if not self._waiting:
            return {"status": "STOPPED"}
        depth, values = self._waiting.pop(0)
        self._proposed.append((depth, trial_id))
        return {"status": "RUNNING", "values": values}

    def _settle(self) -> None:
        """Ends an iteration: the depth is that of the candidate that joined."""
        places = {int(trial_id): depth for depth, trial_id in self._proposed}
        if places:
            winner = self._better(places) if self.judge is None else self.judge(sorted(places))
            self._depth = self._depth if winner is None else places[winner]
        self._proposed = []

    def _better(self, places: dict[int, int]) -> int | None:
        trials = {int(trial_id): self.trials[trial_id] for _, trial_id in self._proposed}
        done = [place for place in sorted(places) if trials[place].status == "COMPLETED"]
        pick = max if self.objective.direction == "max" else min
        return pick(done, key=lambda place: trials[place].score) if done else None

    def _iteration(self) -> list[tuple[int, dict[str, Any]]]:
        """Returns the depths and values of two candidates, or of one; none when nothing new is drawn."""
        for number in range(_COLLISIONS):
            point = {} if not self.trials and not number else self._random_point()
            found: list[tuple[int, dict[str, Any]]] = []
            for depth in (self._depth, self._depth + 1):
                values = self._at_depth(point, depth)
                if not self._duplicate(values) and all(values != other for _, other in found):
                    found.append((depth, values))
            if found:
                return found
        return []

    def _random_point(self) -> dict[str, Any]:
        hps = kt.HyperParameters()
        for hp in self.hyperparameters.space:
            hps.merge([hp])
            if hps.is_active(hp):
                self._seed_state += 1
                hps.values[hp.name] = hp.random_sample(self._seed_state)
        return dict(hps.values)

    def _at_depth(self, point: dict[str, Any], depth: int) -> dict[str, Any]:
        hps = kt.HyperParameters()
        for hp in self.hyperparameters.space:
            hps.merge([hp])
            if hps.is_active(hp):
                depths = depths_of(hp)
                deep = depths[min(depth, len(depths) - 1)] if depths else None
                hps.values[hp.name] = point.get(hp.name, hp.default) if deep is None else deep
        return dict(hps.values)


def depths_of(hp: Any) -> list[int]:
    """Returns the rising values of a hyperparameter that is a depth, none of another."""
    if hp.name.rsplit("/", 1)[-1] not in _DEPTHS:
        return []
    values = _between(hp) or list(getattr(hp, "values", ()))
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    return sorted(values) if whole else []


def _between(hp: Any) -> list[int]:
    low, high = getattr(hp, "min_value", None), getattr(hp, "max_value", None)
    if not isinstance(low, int) or not isinstance(high, int):
        return []
    return list(range(low, high + 1, getattr(hp, "step", None) or 1))


def depth_of(values: dict[str, Any]) -> int | None:
    """Returns the largest depth among some hyperparameters, None if there is none."""
    found = [value for name, value in values.items() if name.rsplit("/", 1)[-1] in _DEPTHS]
    return max((value for value in found if isinstance(value, int)), default=None)
