"""Changes an array on disk in place, block by block."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

_BYTES = 1 << 20  # of a block; fits the processor's cache


def rewrite(
    path: Path,
    dtype: np.dtype | str,
    width: int,
    change: Callable[[np.ndarray], np.ndarray],
    pool: Executor,
) -> None:
    """Puts `change(block)` in the place of each block of rows.

    The file is read and written, not mapped: mapped pages would count as memory of the process.

    Args:
        path: A flat binary file.
        dtype: Type of its values.
        width: Columns, 0 for a file of single values.
        change: Takes (rows, columns) or (rows,) and returns the same shape and type; runs in several threads.
        pool: The threads.
    """
    dtype = np.dtype(dtype)
    step = max(_BYTES // (dtype.itemsize * max(width, 1)), 1) * dtype.itemsize * max(width, 1)
    with path.open("r+b", buffering=0) as file:

        def one(start: int) -> None:
            values = np.frombuffer(os.pread(file.fileno(), step, start), dtype)
            changed = change(values.reshape(-1, width) if width else values)
            os.pwrite(file.fileno(), np.ascontiguousarray(changed, dtype).data, start)

        list(pool.map(one, range(0, path.stat().st_size, step)))
