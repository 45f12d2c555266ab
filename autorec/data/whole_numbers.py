"""Tells ids from numbers in a column of whole numbers, by the distribution of its values.

What tells them apart is the neighbourhood of a value. Of an amount, 41 is about as frequent as 40 and 42, in-between
values do occur, and the largest values lie far out. A code's neighbours have nothing to do with it: counts jump from
one code to the next, codes are handed out densely or leave gaps everywhere, and the largest is as good as any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autorec.data.name_hints import whole_numbers_kind

_FEW = 12
_WINDOWS = 16
_WIDEST = 20_000


@dataclass(frozen=True)
class Shape:
    """How the values of a column lie.

    Args:
        rows: Number of values.
        values: The distinct ones, sorted.
        counts: How often each occurs.
        fill: Distinct values over the number that a smooth density would show, in windows of equal mass.
        jump: Spread of the log of neighbouring counts about their trend, beyond chance; NaN if none can be compared.
        runs: Number of neighbourhoods in which `jump` is measured.
        roughness: Variance between neighbouring counts over the variance of all, beyond chance; NaN if all are equal.
        flat: Whether counts differ no more than by chance.
        top: Share of the range that the largest tenth of the distinct values takes.
        heaped: Whether multiples of five stand out from their neighbours nearly everywhere.
    """

    rows: int
    values: np.ndarray
    counts: np.ndarray
    fill: float
    jump: float
    runs: int
    roughness: float
    flat: bool
    top: float
    heaped: bool


def kind_of(name: str, numbers: np.ndarray) -> tuple[str, bool]:
    """Returns `categorical` or `numeric` for whole numbers, and whether the choice was a close one.

    Args:
        name: Column name; decides where it says what the column is.
        numbers: The present values, int64.
    """
    values, counts = np.unique(numbers, return_counts=True)
    if len(values) <= 2:
        return "categorical", False
    hint = whole_numbers_kind(name)
    if hint is not None and (hint == "categorical" or len(values) > 4):
        return hint, False
    if len(values) <= _FEW:
        return ("numeric" if _is_count(values, counts) else "categorical"), False
    return _by_shape(shape_of(values, counts))


def shape_of(values: np.ndarray, counts: np.ndarray) -> Shape:
    """Measures how distinct values with their counts lie."""
    rows = int(counts.sum())
    jump, runs = _jump(values, counts)
    roughness, flat, heaped = _grid(values, counts, rows)
    tenth = values[max(int(0.9 * len(values)) - 1, 0)]
    top = float(values[-1] - tenth) / float(values[-1] - values[0])
    return Shape(rows, values, counts, _fill(values, counts, rows), jump, runs, roughness, flat, top, heaped)


def _is_count(values: np.ndarray, counts: np.ndarray) -> bool:
    """Returns whether few small values fall off like a count: from 0 or 1 up to an early peak, then down to rarity."""
    if len(values) < 5 or values[0] not in (-1, 0, 1) or values[-1] > 3 * _FEW:
        return False
    every = np.bincount(values - values[0], counts).astype(float)
    peak = int(every.argmax())
    falls = np.diff(every[peak:]) <= 2 * np.sqrt(every[peak:-1] + 1)
    rises = np.diff(every[: peak + 1]) >= 0
    return bool(peak <= len(every) / 3 and falls.all() and rises.all() and every[-1] <= 0.05 * every[peak])


def _by_shape(shape: Shape) -> tuple[str, bool]:
    if shape.heaped:
        return "numeric", False
    if _is_spread_evenly(shape):
        return "categorical", False
    if shape.runs >= 8:
        return _by_neighbours(shape)
    # Too few rows for each value: an amount of many digits, or a code.
    least = 0.2 if shape.fill >= 0.5 else 0.35
    return ("numeric" if shape.top >= least else "categorical"), 0.75 * least < shape.top < 1.5 * least


def _by_neighbours(shape: Shape) -> tuple[str, bool]:
    roughness = 0.0 if np.isnan(shape.roughness) else max(shape.roughness, 0.0)
    score = roughness + max(shape.jump, 0.0)
    if shape.fill < 0.5 and shape.top < 0.2:  # gaps everywhere and no tail
        return "categorical", False
    return ("categorical" if score > 0.6 else "numeric"), 0.4 < score < 0.8


def _is_spread_evenly(shape: Shape) -> bool:
    """Returns whether no value is preferred: ids handed out in turn or drawn at random, hours, weekdays."""
    low, high = int(shape.values[0]), int(shape.values[-1])
    cumulated = np.cumsum(shape.counts) / shape.rows
    place = (shape.values - low + 1) / (high - low + 1)
    even = float(np.abs(cumulated - place).max()) < max(0.02, 1.5 / np.sqrt(shape.rows))
    wide = high - low > 10_000 or shape.fill < 0.5
    dense_once = len(shape.values) > 0.95 * shape.rows and high - low < 2 * shape.rows
    return even and (wide or dense_once or (shape.flat and shape.fill >= 0.9))


def _fill(values: np.ndarray, counts: np.ndarray, rows: int) -> float:
    ends = np.cumsum(counts)
    edges = np.searchsorted(ends, np.linspace(0, rows - 1, _WINDOWS + 1), "right").clip(0, len(values) - 1)
    found = expected = 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        width = float(values[high] - values[low] - 1)
        if width < 1:
            continue
        mass = float(ends[high - 1] - ends[low]) if high > low + 1 else 0.0
        found += high - low - 1
        expected += width * -np.expm1(-mass / width) if mass else min(width, 1.0)
    return found / expected if expected >= 1 else 1.0


def _jump(values: np.ndarray, counts: np.ndarray) -> tuple[float, int]:
    """Second differences of log counts at three neighbouring values; robust against single peaks."""
    enough = np.minimum(np.minimum(counts[2:], counts[1:-1]), counts[:-2]) >= 5
    here = (values[2:] - values[:-2] == 2) & enough
    before, at, behind = (part[here].astype(float) for part in (counts[:-2], counts[1:-1], counts[2:]))
    if len(at) < 3:
        return float("nan"), len(at)
    bends = np.log(before) - 2 * np.log(at) + np.log(behind)
    chance = np.median(1 / before + 4 / at + 1 / behind)
    variance = (np.median(bends**2) / 0.455 - chance) / 6  # 0.455: median of a chi-squared with one degree of freedom
    return float(np.sqrt(max(variance, 0.0))), len(at)


def _grid(values: np.ndarray, counts: np.ndarray, rows: int) -> tuple[float, bool, bool]:
    """Roughness, flatness and heaping over every whole number between the outer half percents."""
    ends = np.cumsum(counts)
    low, high = np.searchsorted(ends, (0.005 * rows, 0.995 * (rows - 1)), "right")
    start, stop = int(values[low]), int(values[min(high, len(values) - 1)])
    if not 4 <= stop - start <= _WIDEST:
        return float("nan"), False, False
    inside = (values >= start) & (values <= stop)
    roots = np.zeros(stop - start + 1)
    roots[values[inside] - start] = counts[inside]
    roots = np.sqrt(roots + 0.375)  # of a Poisson count it has the variance 1/4
    spread = float(roots.var()) - 0.25
    steps = float(np.mean(np.diff(roots) ** 2)) / 2 - 0.25
    flat = spread < 0.05 * max(float(roots.mean()), 1.0)
    return (steps / spread if not flat else float("nan")), flat, _is_heaped(roots, start)


def _is_heaped(roots: np.ndarray, start: int) -> bool:
    places = np.arange(2, len(roots) - 2)
    places = places[(places + start) % 5 == 0]
    if len(places) < 6:
        return False
    around = np.stack([roots[places + step] for step in (-2, -1, 1, 2)])
    return bool(np.mean(roots[places] > around.max(0) + 0.5) >= 0.75)
