"""Random orders of rows that a disk can follow."""

from __future__ import annotations

import numpy as np

_CHUNK = 4096
_WINDOW = 128


def windowed_order(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a permutation that reads a file larger than memory in long runs.

    Runs of 4,096 rows are put in random order, and rows are shuffled within windows of 128 runs, which the page
    cache holds: every window is a random sample of the file's regions.
    """
    starts = rng.permutation(np.arange(0, rows, _CHUNK))
    order = np.concatenate([np.arange(start, min(start + _CHUNK, rows)) for start in starts])
    for begin in range(0, rows, _CHUNK * _WINDOW):
        rng.shuffle(order[begin : begin + _CHUNK * _WINDOW])
    return order
