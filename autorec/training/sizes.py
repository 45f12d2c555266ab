"""Batch size and number of epochs where the user names none."""

from __future__ import annotations

_STEPS = 100  # about so many steps an epoch: fewer learn too little from an epoch, more cost time
_LEAST, _MOST = 256, 4096


def default_batch_size(rows: int) -> int:
    """Returns a batch size for so many training rows: a power of two from 256 to 4096, about 100 steps an epoch.

    Args:
        rows: Number of training rows.

    Example:
        >>> default_batch_size(80_000)
        1024
    """
    size = _LEAST
    while size < _MOST and size * _STEPS * 2**0.5 < rows:
        size *= 2
    return size


def default_epochs(rows: int) -> int:
    """Returns the most epochs for so many training rows, from 10 to 100; early stopping ends nearly all before.

    Args:
        rows: Number of training rows.

    Example:
        >>> default_epochs(80_000)
        50
    """
    return max(10, min(100, 4_000_000 // max(rows, 1)))
