"""Lists as Python and JSON write them, such as [1, 2] and ['a', 'b'], in the cells of text columns."""

from __future__ import annotations

from enum import Enum

import polars as pl
import pyarrow as pa

_QUOTED = r"""('[^',"\[\]]*'|"[^",'\[\]]*")"""  # no delimiter within, so that splitting is safe
_WHOLE = r"-?\d{1,18}"


class Lists(Enum):
    """What lists hold: nothing, whole numbers or texts."""

    EMPTY = r"^\s*\[\s*\]\s*$"
    WHOLE = rf"^\s*\[\s*({_WHOLE}(\s*,\s*{_WHOLE})*)?\s*\]\s*$"
    TEXTS = rf"^\s*\[\s*({_QUOTED}(\s*,\s*{_QUOTED})*)?\s*\]\s*$"


def lists_of(cells: pl.Series) -> Lists | None:
    """Returns what the lists hold that all cells are, None if some cell is no list or not of the others' kind."""
    if not cells.str.contains(r"^\s*\[").all():  # quickly told of most columns
        return None
    return next((kind for kind in Lists if cells.str.contains(kind.value).all()), None)


def common(one: Lists, other: Lists | None) -> Lists | None:
    """Returns what all lists of two blocks hold; an empty list is of every kind."""
    if other is None or one == other or one == Lists.EMPTY:
        return other
    return one if other == Lists.EMPTY else None


def read_lists(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    """Returns cells that `lists_of` knows as lists of `kind`, others as missing; the marks of a text are taken off."""
    series = pl.Series(pl.from_arrow(cells))
    inner = series.str.strip_chars(" []")
    parts = inner.str.split(",").list.eval(pl.element().str.strip_chars().str.strip_chars("'\""))
    if pa.types.is_int64(kind.value_type):
        parts = parts.list.eval(pl.element().cast(pl.Int64, strict=False))
    present, empty = series.str.contains("[", literal=True), pl.lit([], parts.dtype)
    found = pl.select(pl.when(present & (inner == "")).then(empty).when(present).then(parts)).to_series()
    return found.to_arrow().cast(kind)
