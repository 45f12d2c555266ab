"""Evolutionary search: children of good architectures, the most promising of many by a learned ranker."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner as kt
import numpy as np

from autorec.errors import ConfigError, unknown_name
from autorec.searchers.auto_ranker import AutoRanker
from autorec.searchers.points import Points, Values
from autorec.searchers.ranker import Ranker
from autorec.searchers.survival import SURVIVAL

# Fewer results than these tell a ranker nothing.
_RANKED_FROM = 10
# Parents of which all children were seen, before their children's children are tried too, and then given up.
_PARENTS = 5
_GENERATIONS = 3
# Draws in a row that gave nothing new, behind which there is nothing new to expect.
_STALE = 30
_RANDOM_DRAWS = 200
_LISTED = 20_000
_REMEMBERED = 100_000

Key = tuple[tuple[str, Any], ...]


def selection(population: int, pressure: int) -> np.ndarray:
    """Returns the probability of each rank, the best first, to be a parent.

        p(r) = C(P - r + c, c) / C(P + c, c + 1),    r = 1 ... P

    Args:
        population: Number P of candidates, 1 or more.
        pressure: c, 0 or more: 0 is uniform; the best has (c + 1) / (P + c).

    Returns:
        (population,) float64; the sum is 1.
    """
    total = math.comb(population + pressure, pressure + 1)
    return np.array([math.comb(population - rank + pressure, pressure) / total for rank in range(1, population + 1)])


@dataclass(frozen=True)
class Member:
    """A trial that ended: its complete values, those that matter, and how it did (NaN where it failed)."""

    values: Values
    canonical: Values
    score: float
    operations: float


class Evolution(kt.Oracle):
    """Tries the most promising of many children of a good architecture.

    The first trial has the default values, then come those of `warm_start`, then random ones until there are
    `population`; as soon as there are 10 results, each of these is the best of `neighbours` random points by the
    ranker. From then on

    1. survivors are taken from the history by the rule `survival`, and ordered by score;
    2. a parent is drawn, the survivor of rank r with p(r) = C(P - r + c, c) / C(P + c, c + 1), c = `pressure`;
    3. up to `neighbours` distinct children are made, each by one mutation, none of which was tried before;
    4. the ranker, fitted to the whole history, proposes the best of them.

    A mutation draws a part of the model, one of its hyperparameters, and another value for it; what becomes active is
    sampled. Two points are the same if their canonical forms are. Where a parent has fewer new children others are
    drawn, then children of children join; without any a random point that was not tried is proposed. In a space that
    can be listed the search ends when all points were tried.

    Args:
        objective: As of `keras_tuner.Oracle`.
        max_trials: Number of trials at most, None for no limit.
        population: Survivors, 2 or more. Default 20.
        pressure: Preference for good parents, 0 or more. Default 10.
        neighbours: Children to choose among, 1 or more. Default 100.
        survival: `"comb"` (young, good and cheap), `"age"`, `"fit"` or `"mix"`. Default `"comb"`.
        ranker: `"auto"`, a `Ranker`, or None to propose a child at random.
        canonical: Function values -> values that clears what does not change the model; None keeps the values of
            active hyperparameters. A search sets it to its space's `canonical`, if that has one.
        warm_start: Values to try first; what the space does not know of them is left out.
        **arguments: The other arguments of `keras_tuner.Oracle`, such as `seed`.

    Raises:
        ConfigError: If an argument is out of its range.

    Example:
        >>> oracle = Evolution(objective=kt.Objective("val_auc", "max"), max_trials=60, survival="fit", seed=1)

    Source: Song et al., "Towards Automated Neural Interaction Discovery for Click-Through Rate Prediction" (KDD
    2020). Differs in that any space can be searched, that equal models are told by their canonical forms, that the
    ranker takes part after 10 results, and that other rankers than trees do while the history is short.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        population: int = 20,
        pressure: int = 10,
        neighbours: int = 100,
        survival: str = "comb",
        ranker: str | Ranker | None = "auto",
        canonical: Callable[[Values], Values] | None = None,
        warm_start: Iterable[Mapping[str, Any]] = (),
        **arguments: Any,
    ) -> None:
        super().__init__(objective=objective, max_trials=max_trials, **arguments)
        for name, value, least in (
            ("population", population, 2),
            ("pressure", pressure, 0),
            ("neighbours", neighbours, 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(name, f"a whole number of {least} or more", value)
        if survival not in SURVIVAL:
            raise unknown_name("survival", survival, SURVIVAL)
        self.population, self.pressure, self.neighbours, self.survival = population, pressure, neighbours, survival
        self.ranker = _as_ranker(ranker)
        self.canonical = canonical
        self.warm_start = [dict(values) for values in warm_start]
        self._told: tuple[Values, int] | None = None
        self._points_of: tuple[int, Points] | None = None
        self._known: dict[str, tuple[Any, Values, Values]] = {}
        self._keys: dict[Key, Key] = {}
        self._fitted: tuple[Any, ...] | None = None

    def replay(self, values: Values, seed_state: int) -> None:
        """Makes `values` the next proposal, and `seed_state` what it leaves behind."""
        self._told = (values, seed_state)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of the next trial, in the manner of `keras_tuner.Oracle`."""
        if self._told is not None:
            values, self._seed_state = self._told
            self._told = None
            return {"status": "RUNNING", "values": dict(values)}
        found = self._next()
        return {"status": "STOPPED"} if found is None else {"status": "RUNNING", "values": found}

    @property
    def ranker_correlation(self) -> float | None:
        """Rank correlation of the ranker's scores with the truth on trials it was not fitted to, or None."""
        ranker = self._fitted_ranker(self._history())
        return None if ranker is None else ranker.correlation

    # Proposals

    def _next(self) -> Values | None:
        if not self.trials:
            return self._points().complete({})
        seen = self._seen()
        for values in self.warm_start:
            point = self._points().complete(values)
            if self._key(point) not in seen:
                return point
        self._seed_state += 1
        draw = random.Random(self._seed_state)
        history = self._history()
        tried = sum(trial.status != "FAILED" for trial in self.trials.values())
        if tried < self.population or not any(math.isfinite(member.score) for member in history):
            return self._best(self._random_points(seen, draw), history) or self._last_resort(seen, draw)
        return self._best(self._children(history, seen, draw), history) or self._last_resort(seen, draw)

    def _best(self, candidates: Sequence[Values], history: Sequence[Member]) -> Values | None:
        """Returns the candidate that the ranker puts first; without one, candidates are in the order of their draws."""
        ranker = self._fitted_ranker(history)
        if ranker is None or len(candidates) < 2:
            return candidates[0] if candidates else None
        scores = np.asarray(ranker.score([dict(self._key(values)) for values in candidates]), dtype=np.float64)
        return candidates[int(np.argmax(np.where(np.isnan(scores), -np.inf, scores)))]

    def _random_points(self, seen: set[Key], draw: random.Random) -> list[Values]:
        found: dict[Key, Values] = {}
        for _ in range(max(self.neighbours, _STALE)):
            point = self._points().sample(draw)
            key = self._key(point)
            if key not in seen:
                found.setdefault(key, point)
        return list(found.values())

    def _children(self, history: Sequence[Member], seen: set[Key], draw: random.Random) -> list[Values]:
        survivors = self._survivors(history)
        weights = selection(len(survivors), self.pressure).tolist()
        found: dict[Key, Values] = {}
        for generations in range(1, _GENERATIONS + 1):
            for _ in range(_PARENTS):
                parent = draw.choices(survivors, weights)[0]
                self._breed(parent.values, generations, seen, found, draw)
                if len(found) >= self.neighbours:
                    return list(found.values())
        return list(found.values())

    def _breed(
        self, parent: Values, generations: int, seen: set[Key], found: dict[Key, Values], draw: random.Random
    ) -> None:
        """Adds new children of a parent to `found` until there are enough, or its children seem to be used up."""
        points = self._points()
        genes, stale = points.genes(parent), 0
        while len(found) < self.neighbours and stale < _STALE:
            child = points.mutate(parent, draw, genes)
            for _ in range(generations - 1):
                child = child and points.mutate(child, draw)
            key = child and self._key(child)
            if not child or not key or key in seen or key in found:
                stale += 1
            else:
                found[key], stale = child, 0

    def _survivors(self, history: Sequence[Member]) -> list[Member]:
        """Returns the survivors, best first and of equals the newest."""
        losses = np.array([member.score for member in history]) * (-1.0 if self.objective.direction == "max" else 1.0)
        operations = np.array([member.operations for member in history])
        kept = SURVIVAL[self.survival](losses, operations, self.population)
        return [history[place] for place in sorted(kept, key=lambda place: (losses[place], -place))]

    def _last_resort(self, seen: set[Key], draw: random.Random) -> Values | None:
        """Returns a random point that was not tried, or None if there seems to be none."""
        points = self._points()
        for _ in range(_RANDOM_DRAWS):
            point = points.sample(draw)
            if self._key(point) not in seen:
                return point
        new: dict[Key, Values] = {}
        for _, point in zip(range(_LISTED), points.all() or (), strict=False):
            new.setdefault(self._key(point), point)
        left = [point for key, point in new.items() if key not in seen]
        return draw.choice(left) if left else None

    # What is known

    def _points(self) -> Points:
        space = self.hyperparameters.space
        if self._points_of is None or self._points_of[0] != len(space):
            self._points_of = (len(space), Points(space))
        return self._points_of[1]

    def _canonical(self, point: Values) -> Values:
        return point if self.canonical is None else self.canonical(dict(point))

    def _key(self, point: Values) -> Key:
        raw = tuple(point.items())
        found = self._keys.get(raw)
        if found is None:
            if len(self._keys) >= _REMEMBERED:
                self._keys.clear()
            self._keys[raw] = found = tuple(sorted(self._canonical(point).items()))
        return found

    def _of_trial(self, trial: Any) -> tuple[Values, Values]:
        """Returns the complete and the canonical values of a trial."""
        state = (len(self.hyperparameters.space), trial.status)
        known = self._known.get(trial.trial_id)
        if known is None or known[0] != state:
            values = self._points().complete(trial.hyperparameters.values)
            self._known[trial.trial_id] = known = (state, values, self._canonical(values))
        return known[1], known[2]

    def _seen(self) -> set[Key]:
        return {tuple(sorted(self._of_trial(trial)[1].items())) for trial in self.trials.values()}

    def _history(self) -> list[Member]:
        """Returns the trials that ended, in the order in which they did."""
        return [_member(self.trials[number], *self._of_trial(self.trials[number])) for number in self.end_order]

    def _fitted_ranker(self, history: Sequence[Member]) -> Ranker | None:
        """Returns the ranker fitted to the history, None where there is none or the history is too short."""
        done = sum(math.isfinite(member.score) for member in history)
        if self.ranker is None or done < _RANKED_FROM:
            return None
        state = (len(history), len(self.hyperparameters.space))
        if self._fitted != state:
            self.ranker.prepare(self.hyperparameters.space)
            values, scores = [member.canonical for member in history], [member.score for member in history]
            self.ranker.fit(values, scores, self.objective.direction)
            self._fitted = state
        return self.ranker


def _member(trial: Any, values: Values, canonical: Values) -> Member:
    score = trial.score if trial.status == "COMPLETED" and trial.score is not None else math.nan
    operations = trial.metrics.get_best_value("operations") if trial.metrics.exists("operations") else None
    return Member(values, canonical, score, math.nan if operations is None else operations)


def _as_ranker(ranker: str | Ranker | None) -> Ranker | None:
    if ranker == "auto":
        return AutoRanker()
    if ranker is not None and not isinstance(ranker, Ranker):
        raise ConfigError("ranker", "'auto', None or an autorec.searchers.ranker.Ranker", ranker)
    return ranker
