"""Trees as look-up tables: the leaf of a row in every tree at once, without a walk from node to node.

A tree of up to 31 leaves has a bit for each of them. What a column's value says is the set of leaves that its splits on
that column still allow: at each such split a value that goes left forbids the leaves of the right branch, and one that
goes right those of the left. The leaf of a row is the one bit that is left of

    allowed_1[x_1] & allowed_2[x_2] & ...

over the columns. A number is first turned into the count of thresholds below it; these are compared as float64.
(The idea of bit sets is that of Lucchese et al., QuickScorer, SIGIR 2015; there only the right branch forbids, in the
order of the leaves, and trees go one by one.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from autorec.data.vocabulary import MISSING

MOST_LEAVES = 31
FIRST_LEAF = 2  # the id of a tree's first leaf, behind the reserved ones
_BLOCK = 4_096  # rows; their bit sets fit the processor's cache


@dataclass(frozen=True)
class SplitColumn:
    """A column of encoded rows that trees split.

    Args:
        group: Its group, such as `ids` or `numbers`.
        position: Its place in the group.
        thresholds: Distinct increasing float64 numbers, of which `x <= threshold` is asked; None for ids, of which
            membership in a set is asked.
        first: Its first row in the table of bit sets. A number's rows are those of the counts of thresholds below it,
            0 to `len(thresholds)`, then the one of NaN; an id's row is the id itself.
        rows: How many rows it has.
    """

    group: str
    position: int
    thresholds: np.ndarray | None
    first: int
    rows: int

    def places(self, values: np.ndarray) -> np.ndarray:
        """Returns the rows of the table of bit sets for the values of a column."""
        if self.thresholds is None:
            return self.first + np.where(values < self.rows, values, 1)  # 1: unknown, as for all ids
        values = values.astype(np.float64)
        below = np.searchsorted(self.thresholds, values, side="left")
        return np.asarray(self.first + np.where(np.isnan(values), self.rows - 1, below))


@dataclass(frozen=True)
class Forest:
    """Trees over encoded rows.

    Args:
        columns: What the trees split.
        allowed: (rows of all columns, trees) int32 sets of leaves, bit `i` for leaf `i`.
        sizes: (trees,) int32 number of leaves of each tree.
        values: (trees, 31) float64 values of the leaves, 0 behind a tree's last one. They are multiples of one power of
            two and small enough that sums of them are exact, in whatever order they are added.
        targets: (trees,) int32 the target of each tree.
        shares: (trees,) int32 the share of the training rows that each tree has not seen. The trees of a target and a
            share are one forest; each target has one for each share.
        fields: Numbers of the trees whose leaves are columns of the group `leaves`.

    Example:
        >>> leaves = forest.leaves({"ids": ids, "numbers": numbers})  # (rows, trees)
    """

    columns: tuple[SplitColumn, ...]
    allowed: np.ndarray
    sizes: np.ndarray
    values: np.ndarray
    targets: np.ndarray
    shares: np.ndarray
    fields: np.ndarray

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that the trees read."""
        return tuple(dict.fromkeys(column.group for column in self.columns))

    @property
    def all_leaves(self) -> np.ndarray:
        """(trees,) int32 set of all leaves of each tree."""
        return ((np.int64(1) << self.sizes) - 1).astype(np.int32)

    @property
    def value_starts(self) -> np.ndarray:
        """(trees,) int32 where the values of each tree start in the flat array of them."""
        return np.arange(len(self.sizes), dtype=np.int32) * MOST_LEAVES

    @property
    def share_count(self) -> int:
        """Number of shares of the training rows."""
        return int(self.shares.max()) + 1

    @property
    def members(self) -> np.ndarray:
        """(trees, shares, targets) float64 with 1 where a tree belongs."""
        found = np.zeros((len(self.sizes), self.share_count, int(self.targets.max()) + 1))
        found[np.arange(len(self.sizes)), self.shares, self.targets] = 1.0
        return found

    def local_ids(self, leaves: np.ndarray, shares: np.ndarray | None = None) -> np.ndarray:
        """Returns the group `leaves`, (rows, `fields`) int32: the missing value for a tree that has seen the row.

        Args:
            leaves: What `leaves` returned.
            shares: As for `margins`.
        """
        found = leaves[:, self.fields] + FIRST_LEAF
        return found if shares is None else np.where(serves(shares, self.shares[self.fields]), found, MISSING)

    def leaves(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns the leaf of each row in each tree, (rows, trees) int32, counted from 0.

        Args:
            arrays: Group -> (rows, columns) for each of `groups`.
        """
        rows = len(next(iter(arrays.values())))
        out = np.empty((rows, len(self.sizes)), np.int32)
        for start in range(0, rows, _BLOCK):
            span = slice(start, min(start + _BLOCK, rows))
            left = np.tile(self.all_leaves, (span.stop - start, 1))
            for column in self.columns:
                left &= self.allowed[column.places(arrays[column.group][span, column.position])]
            out[span] = np.bitwise_count(left - 1)  # one bit is left: below it stand as many as its number
        return out

    def margins(self, leaves: np.ndarray, shares: np.ndarray | None = None) -> np.ndarray:
        """Returns the mean prediction of each target's forests, (rows, targets) float32: logits, or values of ratings.

        Args:
            leaves: What `leaves` returned.
            shares: (rows,) the share of the training rows that each row belongs to, -1 for none. None for rows of no
                share, which all forests serve.
        """
        values = self.values.reshape(-1)[leaves + self.value_starts]  # (rows, trees)
        sums = np.tensordot(values, self.members, 1)  # (rows, shares, targets)
        counted = np.ones((len(leaves), self.share_count, 1))
        if shares is not None:
            counted[:, :, 0] = serves(shares, np.arange(self.share_count))
        return np.asarray((sums * counted).sum(1) / counted.sum(1), np.float32)

    def save(self, path: Path) -> None:
        """Writes the arrays as `.npz`."""
        empty = np.zeros(0)
        thresholds = [empty if column.thresholds is None else column.thresholds for column in self.columns]
        np.savez_compressed(
            path,
            groups=np.array([column.group for column in self.columns], dtype=np.str_),
            positions=np.array([column.position for column in self.columns], np.int64),
            are_ids=np.array([column.thresholds is None for column in self.columns], bool),
            thresholds=np.concatenate([empty, *thresholds]),
            rows=np.array([column.rows for column in self.columns], np.int64),
            allowed=self.allowed,
            sizes=self.sizes,
            values=self.values,
            targets=self.targets,
            shares=self.shares,
            fields=self.fields,
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            rest = {name: arrays[name] for name in ("allowed", "sizes", "values", "targets", "shares", "fields")}
            return cls(columns=tuple(_columns(arrays)), **rest)


def serves(shares: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Returns whether trees have not seen rows, (rows, trees): for rows of a share, the trees grown without it.

    Args:
        shares: (rows,) the share of each row, -1 for none.
        unseen: (trees,) the share that each tree has not seen.
    """
    return np.asarray((shares[:, None] == unseen) | (shares[:, None] < 0))


def _columns(arrays: Any) -> Sequence[SplitColumn]:
    found, first, start = [], 0, 0
    for group, position, is_id, rows in zip(
        arrays["groups"], arrays["positions"], arrays["are_ids"], arrays["rows"], strict=True
    ):
        count = 0 if is_id else int(rows) - 2
        thresholds = None if is_id else arrays["thresholds"][start : start + count]
        found.append(SplitColumn(str(group), int(position), thresholds, first, int(rows)))
        first, start = first + int(rows), start + count
    return found
