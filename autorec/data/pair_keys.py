"""Which keys a pair of columns has in the training rows, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np

from autorec.data.statistics import BLOCK, Problem, joint_keys

MOST_PAIR_KEYS = 8_000_000  # of all pairs together
_WAITING = 4 * BLOCK  # rows of a pair that wait to be counted


def pair_keys(
    problem: Problem, sizes: Sequence[int], pairs: Sequence[tuple[int, ...]], pool: Executor
) -> dict[tuple[int, ...], np.ndarray]:
    """Returns the sorted keys of each pair, the rare ones left out where there are too many."""
    most = MOST_PAIR_KEYS // max(len(pairs), 1)
    counts = {pair: _PairCount(pair, sizes[pair[1]], 4 * most) for pair in pairs}
    for start in range(0, len(problem.order) if pairs else 0, BLOCK):
        ids = problem.read(np.arange(start, min(start + BLOCK, len(problem.order))))
        list(pool.map(partial(_PairCount.add, ids=ids), counts.values()))
    return dict(zip(pairs, pool.map(partial(_PairCount.finish, most=most), counts.values())))


class _PairCount:
    """Counts the keys of a pair; where there are more than `most`, the rarest so far are forgotten.

    Blocks wait until together they are as many as the keys, so that each key is moved a few times only.
    """

    def __init__(self, columns: tuple[int, ...], size: int, most: int) -> None:
        self._columns = columns
        self._size = size
        self._most = most
        self._keys = self._counts = np.zeros(0, np.int64)
        self._waiting: list[np.ndarray] = []
        self._rows = 0

    def add(self, ids: np.ndarray) -> None:
        """Adds a block of rows."""
        self._waiting.append(joint_keys([ids[:, column] for column in self._columns], self._size))
        self._rows += len(ids)
        if self._rows > max(len(self._keys), _WAITING) or len(self._keys) + self._rows > self._most:
            self._merge()

    def finish(self, most: int) -> np.ndarray:
        """Returns the sorted keys, at most so many."""
        self._merge()
        return _frequent(self._keys, self._counts, most)[0]

    def _merge(self) -> None:
        if not self._waiting:
            return
        fresh, times = np.unique(np.concatenate(self._waiting), return_counts=True)
        self._waiting, self._rows = [], 0
        where = np.searchsorted(self._keys, fresh)
        there = np.zeros(len(fresh), bool)
        inside = where < len(self._keys)
        there[inside] = self._keys[where[inside]] == fresh[inside]
        self._counts[where[there]] += times[there]
        keys = np.insert(self._keys, where[~there], fresh[~there])
        counts = np.insert(self._counts, where[~there], times[~there])
        self._keys, self._counts = _frequent(keys, counts, self._most)


def _frequent(keys: np.ndarray, counts: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    least = 1
    while len(keys) > most:
        least += 1
        keep = counts >= least
        keys, counts = keys[keep], counts[keep]
    return keys, counts
