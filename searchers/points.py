"""The points of a space as plain dicts: completed, sampled, mutated and listed, without KerasTuner's slow objects."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Values = dict[str, Any]

_MOST_OPTIONS = 1000
_STEP = 0.15  # deviation of a local step, in cumulative probability
_DRAWS = 20


@dataclass(frozen=True)
class Entry:
    """A hyperparameter under one set of conditions.

    Args:
        name: Its name.
        conditions: (name of another, values of it); all have to hold for this one to be active.
        hp: KerasTuner's object.
        options: All its values, or None where they are too many.
        numeric: Whether values next to each other are alike (a Float or an Int).
        switch: Whether other entries depend on it.
        part: The part of the model that its name tells: `dag/3` of `dag/3/skip_1`.
        kind: What it is there, without numbers: `skip_*`.
    """

    name: str
    conditions: tuple[tuple[str, tuple[Any, ...]], ...]
    hp: Any
    options: tuple[Any, ...] | None
    numeric: bool
    switch: bool
    part: str
    kind: str

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Returns whether all conditions hold."""
        return all(name in values and values[name] in allowed for name, allowed in self.conditions)

    def is_free(self) -> bool:
        """Returns whether there is more than one value."""
        return self.options is None or len(self.options) > 1

    def takes(self, value: Any) -> bool:
        """Returns whether `value` is one of its values."""
        if self.options is not None:
            return value in self.options
        kinds = (int, float) if type(self.hp).__name__ == "Float" else (int,)
        return isinstance(value, kinds) and self.hp.min_value <= value <= self.hp.max_value

    def sample(self, random: random.Random) -> Any:
        """Returns a value drawn as KerasTuner draws it."""
        return self.hp.prob_to_value(random.random())

    def change(self, value: Any, random: random.Random) -> Any:
        """Returns another value: of a number a step away or, half of the time, anywhere; of a choice any other."""
        if not self.numeric:
            return random.choice([option for option in self.options or () if option != value])
        for _ in range(_DRAWS):
            if random.random() < 0.5:
                place = self.hp.value_to_prob(value) + random.gauss(0.0, _STEP)
                # Reflected at both ends; KerasTuner's probabilities are below 1.
                place = min(abs(1.0 - abs(1.0 - place)), 1.0 - 1e-9)
            else:
                place = random.random()
            found = self.hp.prob_to_value(place)
            if found != value:
                return found
        return random.choice([option for option in self.options or (self.hp.min_value,) if option != value] or [value])


class Points:
    """What can be done with the points of a space whose hyperparameters are active or not.

    A point is a dict of the values of its active hyperparameters. The entries are gone through in the order of their
    declaration, so that a switch comes before what it switches on.

    Args:
        space: `keras_tuner.HyperParameters.space`.

    Example:
        >>> points = Points(hp.space)
        >>> child = points.mutate(points.complete({}), random.Random(1))
    """

    def __init__(self, space: Sequence[Any]) -> None:
        switches = {condition.name for hp in space for condition in hp.conditions}
        self.entries = [_entry(hp, switches) for hp in space]
        self.names = {entry.name for entry in self.entries}

    def active(self, values: Mapping[str, Any]) -> list[Entry]:
        """Returns the entries whose conditions hold under `values`."""
        return [entry for entry in self.entries if entry.is_active(values)]

    def complete(self, values: Mapping[str, Any]) -> Values:
        """Returns the active hyperparameters alone, with defaults where `values` has none that one may have."""
        point: Values = {}
        for entry in self.entries:
            if entry.is_active(point) and entry.name not in point:
                kept = entry.name in values and entry.takes(values[entry.name])
                point[entry.name] = values[entry.name] if kept else entry.hp.default
        return point

    def sample(self, random: random.Random) -> Values:
        """Returns a point of independent draws."""
        point: Values = {}
        for entry in self.entries:
            if entry.name not in point and entry.is_active(point):
                point[entry.name] = entry.sample(random)
        return point

    def genes(self, values: Mapping[str, Any]) -> list[list[list[Entry]]]:
        """Returns what can be mutated, by the part of the model and the kind that a name tells.

        `dag/3/skip_1` is a `skip` of the part `dag/3`. The lists are those of parts, kinds and entries.
        """
        parts: dict[str, dict[str, list[Entry]]] = {}
        for entry in self.active(values):
            if entry.is_free() and entry.name in values:
                parts.setdefault(entry.part, {}).setdefault(entry.kind, []).append(entry)
        return [list(kinds.values()) for kinds in parts.values()]

    def mutate(
        self, values: Mapping[str, Any], random: random.Random, genes: list[list[list[Entry]]] | None = None
    ) -> Values | None:
        """Returns a point that differs from a complete one in one hyperparameter and what this switches on or off.

        A part of the model is drawn, then a kind of its hyperparameters, then one of these. What becomes active is
        sampled.

        Args:
            values: A point.
            random: Source of the draws.
            genes: `genes(values)`, where it is known already.

        Returns:
            The new point, or None if nothing can be changed.
        """
        genes = self.genes(values) if genes is None else genes
        if not genes:
            return None
        changed = random.choice(random.choice(random.choice(genes)))
        new = changed.change(values[changed.name], random)
        if not changed.switch:
            return {**values, changed.name: new}
        point: Values = {}
        for entry in self.entries:
            if entry.name in point or not entry.is_active(point):
                continue
            if entry is changed:
                point[entry.name] = new
            # The same name may stand under other conditions with other values: keep only what was active there.
            elif entry.name in values and entry.is_active(values):
                point[entry.name] = values[entry.name]
            else:
                point[entry.name] = entry.sample(random)
        return point

    def all(self) -> Iterator[Values] | None:
        """Returns an iterator over all points, or None where a hyperparameter has too many values to list."""
        if any(entry.options is None for entry in self.entries):
            return None
        return self._from(0, {})

    def _from(self, place: int, point: Values) -> Iterator[Values]:
        while place < len(self.entries):
            entry = self.entries[place]
            place += 1
            if entry.name not in point and entry.is_active(point):
                for option in entry.options or ():
                    yield from self._from(place, {**point, entry.name: option})
                return
        yield point


def _entry(hp: Any, switches: set[str]) -> Entry:
    conditions = tuple((condition.name, tuple(condition.values)) for condition in hp.conditions)
    numeric = type(hp).__name__ in ("Float", "Int")
    part, _, last = hp.name.rpartition("/")
    kind = re.sub(r"\d+", "*", last)
    return Entry(hp.name, conditions, hp, _options(hp), numeric, hp.name in switches, part, kind)


def _options(hp: Any) -> tuple[Any, ...] | None:
    kind = type(hp).__name__
    if kind not in ("Float", "Int"):
        return (False, True) if kind == "Boolean" else tuple(hp.values)
    if hp.min_value == hp.max_value:
        return (hp.prob_to_value(0.0),)
    if hp.step is None:
        few = kind == "Int" and hp.max_value - hp.min_value < _MOST_OPTIONS
        return tuple(range(hp.min_value, hp.max_value + 1)) if few else None
    count = hp._get_n_values()
    return tuple(hp.prob_to_value((place + 0.5) / count) for place in range(count)) if count <= _MOST_OPTIONS else None
