"""Target and count statistics of categorical columns and of pairs of them.

For a key `k` (a column's local id, or a pair of them) with `n` training rows whose targets sum to `s`, and the
training mean `m` of the target,

    rate(k) = logit((s + a m) / (n + a))    for a binary target; without the logit for a real one
    count(k) = log1p(n)

A training row must not see its own target. *Ordered* statistics (Prokhorenkova et al., CatBoost, 2018) take `n` and
`s` over the rows before it, in the order of the time column or of a seeded permutation; *k-fold* ones over the rows
of the other folds. All other rows use all training rows. The smoothing `a` is chosen for each key by the log loss
(squared error) with which the ordered rates themselves predict the training rows, each before it is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from autorec.data.groups import Groups

SMOOTHING = (1.0, 3.0, 10.0, 30.0, 100.0)
FOLDS = 10
BLOCK = 65_536


@dataclass
class Table:
    """The statistics of one key, from all training rows.

    Args:
        sources: The id columns of the key, one or two.
        keys: Sorted int64 keys `id_a * size_b + id_b` of a pair; None for a single column, whose key is its id.
        size: `size_b` of a pair, number of ids of a single column.
        values: (keys, targets + 1) float32: the rate for each target, then the count.
        default: (targets + 1,) float32, for a pair that was not seen.
        smoothing: `a` for each target.
    """

    sources: tuple[str, ...]
    keys: np.ndarray | None
    size: int
    values: np.ndarray
    default: np.ndarray
    smoothing: tuple[float, ...]

    def lookup(self, ids: Sequence[np.ndarray]) -> np.ndarray:
        """Returns (rows, targets + 1) float32 for the id arrays of the sources."""
        if self.keys is None:
            return self.values[ids[0]]
        wanted = joint_keys(ids, self.size)
        where = np.searchsorted(self.keys, wanted)
        where[where == len(self.keys)] = 0
        found = self.values[where] if len(self.keys) else np.tile(self.default, (len(wanted), 1))
        unseen = (self.keys[where] != wanted) if len(self.keys) else np.ones(len(wanted), bool)
        found[unseen] = self.default
        return found

    def save(self, path: Path) -> None:
        """Writes the arrays as `.npz`."""
        arrays: dict[str, Any] = {"values": self.values, "default": self.default, "smoothing": np.array(self.smoothing)}
        if self.keys is not None:
            arrays["keys"] = self.keys
        np.savez(path, sources=np.array(self.sources), size=np.array(self.size), **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return cls(
                tuple(str(name) for name in arrays["sources"]),
                arrays.get("keys"),
                int(arrays["size"]),
                arrays["values"],
                arrays["default"],
                tuple(float(a) for a in arrays["smoothing"]),
            )


def joint_keys(ids: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Returns the int64 keys of a pair of id arrays."""
    return ids[0].astype(np.int64) * size + ids[1]


@dataclass(frozen=True)
class Problem:
    """What the statistics are of.

    Args:
        read: Returns the (rows, columns) ids of given training rows.
        labels: (rows, targets) float32, NaN where unlabelled.
        binary: For each target, whether it is 0 or 1.
        order: Training rows in the order in which they count as seen.
        method: `ordered` or `kfold`.
    """

    read: Callable[[np.ndarray], np.ndarray]
    labels: np.ndarray
    binary: Sequence[bool]
    order: np.ndarray
    method: str

    @cached_property
    def complete(self) -> bool:
        """Whether every row has every label."""
        return not np.isnan(self.labels).any()

    @cached_property
    def priors(self) -> np.ndarray:
        """Mean of each target over its labelled training rows."""
        known = ~np.isnan(self.labels)
        return np.where(known, self.labels, 0).sum(0, dtype=np.float64) / np.maximum(known.sum(0), 1)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields (rows, ids, labels) in order, `BLOCK` rows at a time."""
        for start in range(0, len(self.order), BLOCK):
            rows = self.order[start : start + BLOCK]
            nearby = np.argsort(rows, kind="stable")  # read in file order, then restore
            back = np.empty_like(nearby)
            back[nearby] = np.arange(len(rows))
            yield rows, self.read(rows[nearby])[back], self.labels[rows]


class Accumulator:
    """Sums of the targets and counts by key, over the rows seen so far.

    Rows without a label count for `count` but not for that target's rate.

    Args:
        size: Number of keys.
        targets: Number of targets.
        complete: Whether every row has every label, so that one count serves all.
    """

    def __init__(self, size: int, targets: int, complete: bool) -> None:
        self.count = np.zeros(size, np.int32)
        self.labelled = None if complete else np.zeros((targets, size), np.int32)
        self.sums = np.zeros((targets, size), np.float64)

    def seen(self, target: int) -> np.ndarray:
        """Returns the number of labelled rows by key."""
        return self.count if self.labelled is None else self.labelled[target]

    def add(self, groups: Groups, labels: np.ndarray) -> None:
        """Adds rows, of which the places are the keys; rows without a place are left out."""
        first = 1 if groups.outside else 0
        places = groups.places[first:]
        self.count[places] += groups.lengths[first:].astype(np.int32)
        for target in range(len(self.sums)):
            values = labels[:, target].take(groups.order)
            known = ~np.isnan(values)
            self.sums[target][places] += groups.sums(np.where(known, values, 0))[first:]
            if self.labelled is not None:
                self.labelled[target][places] += groups.sums(known)[first:].astype(np.int32)


def before(positions: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns, for each row, the number and the sum of `values` of the earlier rows at the same position."""
    groups = Groups.of(positions)
    return groups.back(groups.index), groups.back(groups.before(values[groups.order]))


def smoothed(sums: np.ndarray, counts: np.ndarray, prior: float, smoothing: float, binary: bool) -> np.ndarray:
    """Returns the rate as the model sees it, float64."""
    rate = (sums + smoothing * prior) / (counts + smoothing)
    if not binary:
        return rate
    rate = np.clip(rate, 1e-6, 1 - 1e-6)
    return np.log(rate / (1 - rate))


def loss(rate: np.ndarray, labels: np.ndarray, binary: bool) -> np.ndarray:
    """Returns the log loss of logits, or the squared error of values, for each row; NaN for unlabelled rows."""
    if binary:
        return np.logaddexp(0.0, rate) - labels * rate
    return (rate - labels) ** 2
