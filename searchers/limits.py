"""Applies a fidelity to the rows of a trial: which of them it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import psutil

from autorec.data.cache import Part, rows_of
from autorec.data.layout import Layout
from autorec.data.lists import Lists
from autorec.searchers.fidelity import Fidelity

_BLOCK = 1_000_000
_MEMORY = 8  # a selection of less than this part of the memory is copied into it


class SelectedPart(Part):
    """Some rows of a part, read from it when they are needed.

    Args:
        base: The part.
        rows: Numbers of its rows, rising, so that a file is read in its order.
    """

    def __init__(self, base: Part, rows: np.ndarray) -> None:
        self._base = base
        self._selected = rows
        more = [None if array is None else rows_of(array, rows) for array in (base.weights, base.users)]
        super().__init__(base.arrays, rows_of(base.labels, rows), *more)

    def take(self, rows: np.ndarray | slice, groups: Iterable[str]) -> dict[str, np.ndarray]:
        """Returns some of the selected rows of some groups as arrays."""
        return self._base.take(self._selected[rows], groups)

    def row_bytes(self, groups: Iterable[str]) -> int:
        """Returns the mean size of a row in these groups."""
        return self._base.row_bytes(groups)

    def copied(self) -> Part:
        """Returns the same rows in memory."""
        arrays = {
            group: array.rows(self._selected) if isinstance(array, Lists) else rows_of(array, self._selected)
            for group, array in self.arrays.items()
        }
        return Part(arrays, self.labels, self.weights, self.users)


def limited(
    part: Part, layout: Layout, fidelity: Fidelity, *, seed: int = 0, newest: str | None = None, users: bool = False
) -> Part:
    """Returns the rows of a part that trials of a fidelity read: in memory if that is little, else as they lie.

    Fewer rows are among more of the same seed, so that a raised trial reads what it has read and more.

    Args:
        part: Training or validation rows.
        layout: Columns of the rows.
        fidelity: Only `rows` matters here.
        seed: Seed of the choice, the same for all trials of a run.
        newest: Name of the time feature whose newest rows are taken, instead of a choice by chance; without an age
            among the numbers the last rows are.
        users: Whether to choose whole users, as a metric by user needs them.

    Raises:
        ConfigError: If the fidelity is not one.
    """
    count = fidelity.rows
    if count is None or count >= part.rows:
        return part
    if newest is not None:
        rows = _newest(part, layout, newest, count)
    elif users and part.users is not None:
        rows = _of_users(np.asarray(part.users), count, seed)
    else:
        rows = _by_chance(part.rows, count, seed)
    selected = SelectedPart(part, rows)
    size = len(rows) * selected.row_bytes(part.arrays)
    return selected.copied() if size < psutil.virtual_memory().total // _MEMORY else selected


def _by_chance(rows: int, count: int, seed: int) -> np.ndarray:
    """Returns the rows with the least of as many random keys: the prefix of a permutation that is never made."""
    rng = np.random.default_rng([seed, 5])
    return _least((rng.random(stop - start) for start, stop in _blocks(rows)), count)


def _newest(part: Part, layout: Layout, feature: str, count: int) -> np.ndarray:
    names = [column.name for column in layout.numbers]
    if f"{feature}:age" not in names:
        return np.arange(part.rows - count, part.rows)
    position = names.index(f"{feature}:age")
    numbers = part.arrays["numbers"]
    return _least((np.nan_to_num(numbers[a:b, position], nan=np.inf) for a, b in _blocks(part.rows)), count)


def _of_users(users: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Returns all rows of users in a random order, up to the first one that `count` is reached with."""
    found, user, sizes = np.unique(users, return_inverse=True, return_counts=True)
    order = np.random.default_rng([seed, 6]).permutation(len(found))
    taken = order[: int(np.searchsorted(np.cumsum(sizes[order]), count)) + 1]
    return np.flatnonzero(np.isin(user, taken))


def _blocks(rows: int) -> Iterator[tuple[int, int]]:
    for start in range(0, rows, _BLOCK):
        yield start, min(start + _BLOCK, rows)


def _least(blocks: Iterable[np.ndarray], count: int) -> np.ndarray:
    """Returns the places of the `count` least keys, rising, out of blocks of them that are read once."""
    keys, places, start = np.empty(0), np.empty(0, np.int64), 0
    for block in blocks:
        keys = np.concatenate([keys, block])
        places = np.concatenate([places, np.arange(start, start + len(block))])
        start += len(block)
        if len(keys) > count:
            best = np.argpartition(keys, count - 1)[:count]
            keys, places = keys[best], places[best]
    return np.sort(places)
