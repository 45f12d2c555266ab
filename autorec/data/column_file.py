"""Files of further columns of a cache, written behind its first pass."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np


def new_column_file(
    folder: Path, description: dict[str, Any], part: str, group: str, dtype: str, width: int
) -> np.ndarray:
    """Returns the file of a further group as an array to write to, and describes it.

    Args:
        folder: Where the parts are.
        description: Of each part's files; gets the new one.
        part: `train` or `validation`.
        group: The group.
        dtype: Type of its values, such as `<f4`.
        width: Its columns.

    Returns:
        (rows, width) of zeros, a memory map.

    Raises:
        OSError: If the disk is full.
    """
    description[part]["files"][group] = [dtype, width]
    shape = (description[part]["rows"], width)
    path = folder / part / f"{group}.bin"
    with path.open("wb") as file:
        _reserve(file.fileno(), np.dtype(dtype).itemsize * width * shape[0])
    return np.memmap(path, dtype, "r+", shape=shape)


def _reserve(file: int, size: int) -> None:
    """Gives an open file its size, with room on the disk: to write to a map without would end the process."""
    os.truncate(file, size)
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
