"""What is learned about number columns: moments, knots and the share of missing values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from autorec.data.layout import NumberColumn

SAMPLE = 131_072
BINS = (16, 64)  # fewest and most intervals between knots, where there are as many values
_ROWS_A_BIN = 256
_BLOCK = 1 << 20
_LEAST_SPREAD = 1e-12  # of the largest value: what is below is rounding
_FAR = 1_000  # times the distance between the outer quantiles


class NumberSample:
    """An even sample of the training rows' numbers, of at most `SAMPLE` rows; all of them when there are fewer."""

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []
        self._step = 1
        self._seen = 0
        self._size = 0

    def add(self, rows: np.ndarray, train: np.ndarray | None = None) -> None:
        """Adds (rows, columns) float64 training rows, or those whose numbers `train` gives."""
        train = np.arange(len(rows)) if train is None else train
        kept = rows[train[-self._seen % self._step :: self._step]]
        self._seen += len(train)
        self._kept.append(kept)
        self._size += len(kept)
        while self._size > SAMPLE:
            self._kept = [np.concatenate(self._kept)[::2]]
            self._step *= 2
            self._size = len(self._kept[0])

    @property
    def rows(self) -> np.ndarray:
        """The sampled rows, (rows, columns)."""
        return np.concatenate(self._kept) if self._kept else np.zeros((0, 0))


def number_columns(
    rows: np.ndarray, names: Sequence[tuple[str, str]], pool: Executor | None = None
) -> tuple[NumberColumn, ...]:
    """Returns what is learned from sampled rows, a column for each (name, feature)."""
    places = range(len(names))
    run = map if pool is None else pool.map
    return tuple(run(lambda i: _column(*names[i], rows[:, i]), places))


def _column(name: str, feature: str, values: np.ndarray) -> NumberColumn:
    present = values[np.isfinite(values)]
    if len(present) == 0:
        return NumberColumn(name, feature, 0.0, 1.0, 0.0, 1.0, (0.0,), 1.0)
    low, median, high = np.quantile(present, (1 / 64, 1 / 2, 63 / 64), method="nearest")
    # A single sentinel such as 1e300 would otherwise leave all others the same.
    near = np.clip(present, low - _FAR * (high - low), high + _FAR * (high - low)) if high > low else present
    logs = np.sign(near) * np.log1p(np.abs(near))
    return NumberColumn(
        name,
        feature,
        mean=float(near.mean()),
        std=spread_of(near),
        log_mean=float(logs.mean()),
        log_std=spread_of(logs),
        knots=tuple(float(value) for value in knots_of(present)),
        missing=float(1 - len(present) / len(values)),
        median=float(median),
        span=float(high - low),
    )


def knots_of(present: np.ndarray) -> np.ndarray:
    """Returns increasing values, the least and the largest among them, with about equally many rows in between.

    A value that as many rows have as lie between two knots is a knot itself, and the others share the rest: quantiles
    alone would leave what differs from a frequent value, as where most rows are 0, one interval or two. There are 16
    intervals up to 4,096 rows, one for each 256 rows above, 64 at most; of fewer values all are knots.

    Args:
        present: Values, one at least.
    """
    values, counts = np.unique(present, return_counts=True)
    most = 1 + int(np.clip(len(present) // _ROWS_A_BIN, *BINS))
    if len(values) <= most:
        return values
    own = np.zeros(len(values), bool)
    own[[0, -1]] = True
    frequent = own.copy()
    while frequent.any():
        share = counts[~own].sum() / (most - own.sum())
        frequent = ~own & (counts >= share)
        own |= frequent
    rest, below = values[~own], np.cumsum(counts[~own])
    free = most - own.sum()
    points = np.arange(1, free + 1) / (free + 1) * below[-1]
    return np.unique(np.concatenate([values[own], rest[np.searchsorted(below, points)]]))


def spread_of(values: np.ndarray) -> float:
    """Returns the standard deviation, 1 for a constant or for no values."""
    std = float(values.std()) if len(values) else 0.0
    return std if std > _LEAST_SPREAD * float(np.abs(values).max(initial=0.0)) else 1.0


def target_moments(labels: np.ndarray) -> dict[str, Any]:
    """Returns mean, std, low and high of the labelled rows; block by block, as labels may lie on disk."""
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(labels), _BLOCK)]
    number, total, low, high = 0, 0.0, np.inf, -np.inf
    for present in _present(labels, blocks):
        number, total = number + len(present), total + float(present.sum())
        low, high = min(low, float(present.min())), max(high, float(present.max()))
    if number == 0:
        return {"mean": 0.0, "std": 1.0, "low": 0.0, "high": 0.0}
    mean = total / number
    std = float(np.sqrt(sum(float(((present - mean) ** 2).sum()) for present in _present(labels, blocks)) / number))
    varies = std > _LEAST_SPREAD * max(abs(low), abs(high))
    return {"mean": mean, "std": std if varies else 1.0, "low": low, "high": high}


def _present(labels: np.ndarray, blocks: Sequence[slice]) -> Iterator[np.ndarray]:
    for rows in blocks:
        values = np.asarray(labels[rows], np.float64)
        values = values[~np.isnan(values)]
        if len(values):
            yield values
