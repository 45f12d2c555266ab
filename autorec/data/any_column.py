"""From a column of any library to Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from numbers import Number
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from autorec.errors import DataError

_MISSING = ("NoneType", "NAType", "NaTType")


def to_arrow(values: Any, name: str, kind: str) -> Any:
    """Returns a column of any library as an Arrow array.

    Raises:
        DataError: If it is not one-dimensional, or holds values of different types.
    """
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, pl.Series):
        return values.to_arrow()
    dtype = getattr(values, "dtype", None)
    if type(dtype).__name__ == "SparseDtype":  # of pandas; Arrow cannot read it
        values = np.asarray(values)
        dtype = values.dtype
    if dtype is None and not isinstance(values, list | tuple):
        values = np.asarray(values)
    if getattr(values, "ndim", 1) != 1:
        raise DataError(f"a column must have one dimension, got shape {values.shape}", file=kind, column=name)
    if isinstance(values, list | tuple) or dtype == np.dtype(object):
        values = list(values)
        _check_one_type(values, name, kind)
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"the column cannot be read: {error}", file=kind, column=name) from error


def _check_one_type(values: Sequence[Any], name: str, kind: str) -> None:
    kinds = {cls: _word(cls) for cls in set(map(type, values))}
    words = {word for cls, word in kinds.items() if word is not None and not issubclass(cls, float)}
    if len(words) + (float in kinds or np.float64 in kinds) < 2:
        return
    if len(words) == 1 and all(value != value for value in values if isinstance(value, float)):
        return  # NaN stands for a missing value: no need to look at each
    first: tuple[int, str, Any] | None = None
    for row, value in enumerate(values):
        word = kinds[type(value)]
        if word is None or (isinstance(value, float) and np.isnan(value)):
            continue
        if first is None:
            first = row, word, value
        elif word != first[1]:
            raise DataError(
                f"the column has mixed types: {value!r} is {word}, but {first[2]!r} in row {first[0]} is {first[1]}; "
                "a column must hold values of one type",
                file=kind,
                row=row,
                column=name,
            )


def _word(cls: type) -> str | None:
    if cls.__name__ in _MISSING:
        return None
    if issubclass(cls, Number | np.generic | Decimal) and not issubclass(cls, np.str_ | np.bytes_ | np.datetime64):
        return "a number"
    if issubclass(cls, str | bytes):
        return "text"
    return "a list" if issubclass(cls, list | tuple | np.ndarray) else f"a {cls.__name__}"
