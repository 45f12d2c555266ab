"""The layout a space builds for: set around each build, read by what builds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from autorec.data.layout import Layout
from autorec.data.schema import Schema
from autorec.errors import ConfigError

_CURRENT: ContextVar[tuple[Layout, Schema | None] | None] = ContextVar("autorec_layout", default=None)


@contextmanager
def using_layout(layout: Layout, schema: Schema | None = None) -> Iterator[Layout]:
    """Makes `layout` the one that spaces build for inside the `with` block; blocks may be nested.

    Args:
        layout: Columns of the encoded rows.
        schema: The schema they were encoded by, if there is one.

    Example:
        >>> with using_layout(cache.layout):
        ...     inputs, fields = autorec.inputs(hp)
    """
    token = _CURRENT.set((layout, schema))
    try:
        yield layout
    finally:
        _CURRENT.reset(token)


def current_layout() -> Layout:
    """Returns the layout of the innermost `using_layout`.

    Raises:
        ConfigError: If there is none.
    """
    return _current()[0]


def current_schema() -> Schema | None:
    """Returns the schema of the innermost `using_layout`, or None if it was given none.

    Raises:
        ConfigError: Outside of `using_layout`.
    """
    return _current()[1]


def _current() -> tuple[Layout, Schema | None]:
    current = _CURRENT.get()
    if current is None:
        raise ConfigError(
            "layout",
            "set while a model is built",
            None,
            "Models are built by `search` and `fit`, or by `autorec.spaces.build(space, hp, layout)`; to call a "
            "build(hp) function yourself, wrap the call in `with autorec.spaces.using_layout(layout):`.",
        )
    return current
