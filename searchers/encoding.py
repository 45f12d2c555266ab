"""Hyperparameter values as rows of numbers, for what learns from trials."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_ABSENT = object()


class Encoding:
    """Turns points of a space into rows of a matrix.

    ====================  ========================================================================================
    hyperparameter        columns
    ====================  ========================================================================================
    Float, Int            the value as cumulative probability in [0, 1], so on a log scale where it is sampled so
    Choice, Boolean       a column of 0 or 1 for each value; an ordered choice of 3 or more also its place in [0, 1]
    Fixed                 none
    each of these         1 where it is not active or does not matter (the others are 0 then)
    several alike         for names that differ in numbers alone (`dag/0/type`, `dag/1/type`) the sum of each column
                          over them, divided by the root of their number
    ====================  ========================================================================================

    Args:
        space: `keras_tuner.HyperParameters.space`, as far as it is known.

    Example:
        >>> Encoding(hp.space)([{"type": "mlp", "units": 64}])  # (points, columns) float64
    """

    def __init__(self, space: Sequence[Any]) -> None:
        by_name: dict[str, list[Any]] = {}
        for hp in space:
            if type(hp).__name__ != "Fixed":
                by_name.setdefault(hp.name, []).append(hp)
        self._coders = {name: _Coder(hps) for name, hps in by_name.items()}
        self.columns = [f"{name}{label}" for name, coder in self._coders.items() for label in coder.labels]
        alike: dict[str, list[int]] = {}
        for place, column in enumerate(self.columns):
            name, equals, value = column.partition("=")
            alike.setdefault(re.sub(r"\d+", "*", name) + equals + value, []).append(place)
        self._alike = {name: places for name, places in alike.items() if len(places) > 1}
        self.columns += list(self._alike)

    def __call__(self, points: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Returns (points, columns) float64; values of hyperparameters that are not in the space are left out."""
        rows = []
        for point in points:
            row: list[float] = []
            for name, coder in self._coders.items():
                row += coder(point.get(name, _ABSENT))
            rows.append(row)
        matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(self.columns) - len(self._alike))
        sums = [matrix[:, places].sum(axis=1) / np.sqrt(len(places)) for places in self._alike.values()]
        return np.column_stack([matrix, *sums])


class _Coder:
    """The columns of one name, which may stand under several conditions with other values."""

    def __init__(self, hps: Sequence[Any]) -> None:
        self._numeric = [hp for hp in hps if type(hp).__name__ in ("Float", "Int")]
        others = [hp for hp in hps if hp not in self._numeric]
        options = list(dict.fromkeys(value for hp in others for value in _options(hp)))
        ordered = len(options) > 2 and all(getattr(hp, "ordered", False) for hp in others)
        labels = ["=number"] * bool(self._numeric) + [f"={value}" for value in options] + ["=place"] * ordered
        self.labels = [*labels, "=absent"]
        width = len(self.labels)
        self._blank = [0.0] * (width - 1) + [1.0]
        self._table: dict[Any, list[float]] = {}
        places = {value: place for place, value in enumerate(sorted(options))} if ordered else {}
        for column, value in enumerate(options, start=bool(self._numeric)):
            self._table[value] = row = [0.0] * width
            row[column] = 1.0
            if ordered:
                row[-2] = places[value] / (len(options) - 1)

    def __call__(self, value: Any) -> list[float]:
        if value is _ABSENT:
            return self._blank
        found = self._table.get(value)
        if found is None and self._numeric:
            self._table[value] = found = [self._place(value), *[0.0] * (len(self._blank) - 1)]
        return self._blank if found is None else found

    def _place(self, value: Any) -> float:
        hps = [hp for hp in self._numeric if hp.min_value <= value <= hp.max_value] or self._numeric
        within = min(max(value, hps[0].min_value), hps[0].max_value)
        return float(hps[0].value_to_prob(within))


def _options(hp: Any) -> Sequence[Any]:
    return (False, True) if type(hp).__name__ == "Boolean" else hp.values
