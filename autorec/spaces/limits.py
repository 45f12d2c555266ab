"""Limits of a cheap trial: set around a build, read by the features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from autorec.blocks.field_embedding import RESERVED

_CURRENT: ContextVar[tuple[int | None, int | None]] = ContextVar("autorec_limits", default=(None, None))


@contextmanager
def using_limits(*, vocabulary: int | None = None, dim: int | None = None) -> Iterator[None]:
    """Limits what `Features` makes inside the `with` block, whatever its hyperparameters say.

    Args:
        vocabulary: Ids of a table, at most; rarer ones share the row of unknown values. None is no limit.
        dim: Width of the fields, at most. None is no limit.

    Example:
        >>> with using_limits(vocabulary=10_000):
        ...     model = build("deepfm", hp, cache.layout)
    """
    token = _CURRENT.set((vocabulary, dim))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def limited_cap(cap: int | None) -> int | None:
    """Returns the most ids of a table under the limits of the innermost `using_limits`, None for all."""
    found = [limit for limit in (cap, _CURRENT.get()[0]) if limit is not None]
    return max(min(found), RESERVED) if found else None


def limited_dim(dim: int) -> int:
    """Returns the width of the fields under the limits of the innermost `using_limits`."""
    return min(limit for limit in (dim, _CURRENT.get()[1]) if limit is not None)
