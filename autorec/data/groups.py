"""Groups rows of equal keys with one sort, and sums up what stands before each row in its group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Groups:
    """The rows of a block, group by group.

    Arrays in the order of the groups are `sorted` ones; `back` puts them into the order of the rows.

    Args:
        order: (rows,) Row numbers, group by group, rising within a group.
        places: (groups,) The key of each group, rising; -1 for the rows without a place in a table.
        lengths: (groups,) Number of rows of each group.
    """

    order: np.ndarray
    places: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray) -> Groups:
        """Returns the groups of rows with equal keys."""
        order, ranked = _sorted(keys)
        starts = np.flatnonzero(np.concatenate([np.ones(min(len(ranked), 1), bool), ranked[1:] != ranked[:-1]]))
        return cls(order, ranked[starts], np.diff(starts, append=len(ranked)))

    def within(self, table: np.ndarray) -> Groups:
        """Returns the groups with their positions in a sorted table as places; rows of keys that it lacks are one."""
        if len(table) == 0:
            return Groups(np.arange(len(self.order)), np.array([-1]), np.array([len(self.order)]))
        where = np.minimum(np.searchsorted(table, self.places), len(table) - 1)
        known = table[where] == self.places
        if known.all():
            return Groups(self.order, where, self.lengths)
        rows = known[self._group]
        order = np.concatenate([np.sort(self.order[~rows]), self.order[rows]])
        lengths = self.lengths[known]
        return Groups(order, np.r_[-1, where[known]], np.r_[len(order) - lengths.sum(), lengths])

    @property
    def outside(self) -> int:
        """Number of rows without a place; they are the first ones of `order`."""
        return int(self.lengths[0]) if len(self.places) and self.places[0] < 0 else 0

    @cached_property
    def positions(self) -> np.ndarray:
        """The place of each row, in the order of the rows."""
        return self.back(self.places[self._group])

    @cached_property
    def index(self) -> np.ndarray:
        """Number of earlier rows in the group of each, sorted, float64."""
        return (np.arange(len(self.order)) - self._starts[self._group]).astype(np.float64)

    def before(self, values: np.ndarray) -> np.ndarray:
        """Returns the sum of the earlier values in the group of each row; takes and returns sorted arrays."""
        totals = np.cumsum(values) - values
        return np.asarray(totals - totals[self._starts][self._group])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Returns the sum of each group's values, given sorted."""
        return np.bincount(self._group, values, minlength=len(self.places))

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Returns for each row, sorted, what its group has."""
        return np.asarray(values[self._group])

    def back(self, values: np.ndarray) -> np.ndarray:
        """Returns sorted values in the order of the rows."""
        out = np.empty_like(values)
        out[self.order] = values
        return out

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def _group(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def _sorted(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the stable order of whole-number keys, and the keys in it."""
    bits = len(keys).bit_length()
    low, high = (int(keys.min()), int(keys.max())) if len(keys) else (0, 0)
    if high - low < 1 << (63 - bits):
        # To sort one number made of key and row is several times as fast as a stable sort of the rows by key.
        packed = ((keys.astype(np.int64) - low) << bits) | np.arange(len(keys))
        packed.sort()
        return packed & ((1 << bits) - 1), (packed >> bits) + low
    order = np.argsort(keys, kind="stable")
    return order, keys[order]
