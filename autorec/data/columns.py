"""From Arrow columns to the plain arrays that encoding works on."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from autorec.data.schema import Feature
from autorec.data.text_times import read_times
from autorec.errors import DataError

MISSING_INT = np.iinfo(np.int64).min
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
DAY = 86_400_000_000  # microseconds


def numbers(array: pa.Array, name: str | None = None) -> np.ndarray:
    """Returns float64 values, NaN where missing.

    Raises:
        DataError: If a text is not a number; names the row and the column.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type):
        array = _parsed(array, pa.float64(), "a number", name)
    values = _known(array).cast(pa.float64(), safe=False) if array.type != pa.float64() else array
    return values.to_numpy(zero_copy_only=False)  # a null becomes NaN


def microseconds(array: pa.Array, unit: str | None, name: str | None = None) -> np.ndarray:
    """Returns int64 microseconds since 1970, `MISSING_INT` where missing or not finite.

    Raises:
        DataError: If a text is no time; names the row and the column.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type):
        array = read_times(array, name)
    if pa.types.is_timestamp(array.type):
        values = array.cast(pa.timestamp("us", array.type.tz), safe=False).view(pa.int64())
        return values.fill_null(MISSING_INT).to_numpy(zero_copy_only=False)
    missing = np.asarray(array.is_null(nan_is_null=True))
    raw = array.fill_null(0).to_numpy(zero_copy_only=False)
    missing |= ~np.isfinite(raw) if raw.dtype.kind == "f" else raw == MISSING_INT
    raw = np.where(missing, 0, raw)
    factor = _PER_SECOND[unit or "s"]
    if raw.dtype.kind == "f":
        values = (raw * (1_000_000 / factor)).astype(np.int64)
    else:
        values = raw * (1_000_000 // factor) if factor <= 1_000_000 else raw // (factor // 1_000_000)
    return np.where(missing, MISSING_INT, values)


def order_values(array: pa.Array, name: str | None = None) -> np.ndarray:
    """Returns numbers that sort as the times of a column do; missing ones come first.

    Whole numbers, `MISSING_INT` where missing; of a column of fractions fractions, -inf where missing or not finite.

    Args:
        array: The times.
        name: Column, for an error.
    """
    if pa.types.is_timestamp(array.type) or pa.types.is_string(array.type) or pa.types.is_dictionary(array.type):
        return microseconds(array, None, name)
    if pa.types.is_floating(array.type):
        values = array.to_numpy(zero_copy_only=False)  # a null becomes NaN
        return np.where(np.isfinite(values), values, -np.inf)
    return array.fill_null(MISSING_INT).to_numpy(zero_copy_only=False)


def dictionary(array: pa.Array) -> pa.DictionaryArray:
    """Returns a column as a dictionary of its values."""
    return array if pa.types.is_dictionary(array.type) else array.dictionary_encode()


def keys(array: pa.Array, feature: Feature) -> pa.DictionaryArray:
    """Returns a categorical column as a dictionary of strings or whole numbers; missing values are null."""
    if not pa.types.is_dictionary(array.type):
        if feature.dtype == "int" or feature.dtype == "float":
            array = _whole(array, feature)
        else:
            array = array if pa.types.is_string(array.type) else pc.cast(array, pa.string())
        array = array.dictionary_encode()
    return array


def _whole(array: pa.Array, feature: Feature) -> pa.Array:
    if pa.types.is_string(array.type):
        array = _parsed(array, pa.float64() if feature.dtype == "float" else pa.int64(), "a whole number", feature.name)
    if pa.types.is_floating(array.type):
        values = array.fill_null(float("nan")).to_numpy(zero_copy_only=False)
        present = np.isfinite(values)
        odd = present & (values != np.floor(values))
        if odd.any():
            row = int(np.argmax(odd))
            raise DataError(
                f"a categorical column of numbers must hold whole numbers, got {values[row]:g}; "
                "make it numeric, or turn it into text",
                row=row,
                column=feature.name,
            )
        rounded = present & (np.abs(values) >= 2.0**53)
        if feature.dtype == "int" and (rounded & (np.abs(values) < 2.0**63)).any():
            row = int(np.argmax(rounded))
            raise DataError(
                f"ids of 2^53 and more, such as {values[row]:.17g}, were rounded by their floats: give Int64 or text",
                row=row,
                column=feature.name,
            )
        whole = np.where(present & ~rounded, values, 0).astype(np.int64)
        whole[rounded] = MISSING_INT + 1  # no id: the graph takes the same
        return pa.array(whole, mask=~present)
    return _known(array.cast(pa.int64()))


def _known(array: pa.Array) -> pa.Array:
    """Returns whole numbers without the smallest int64, which stands for a missing one wherever none can be null."""
    if not pa.types.is_int64(array.type) or pc.min(array).as_py() != MISSING_INT:
        return array
    return pc.if_else(pc.equal(array, MISSING_INT), None, array)


def _parsed(array: pa.Array, kind: pa.DataType, expected: str, name: str | None) -> pa.Array:
    array = _blank_to_null(array)
    try:
        return pc.cast(array, kind)
    except pa.ArrowInvalid:
        for row, text in enumerate(array):
            try:
                pc.cast(text, kind)
            except pa.ArrowInvalid:
                raise DataError(f"expected {expected}, got {text.as_py()!r}", row=row, column=name) from None
        raise


def _blank_to_null(array: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(array, ""), None, array)


def flat_list(array: pa.Array, feature: Feature) -> tuple[np.ndarray, pa.Array]:
    """Returns a bag's or sequence's newest `max_length` values as (offsets, flat values); missing rows are empty.

    Raises:
        DataError: If the column holds no lists, nor texts to split.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if array.null_count == len(array) and not pa.types.is_list(array.type):
        array = pa.nulls(len(array), pa.list_(_element(feature)))
    lists: Any = pl.from_arrow(array if pa.types.is_list(array.type) else _split(array, feature))
    if lists.dtype == pl.List(pl.String):
        lists = lists.list.eval(pl.element().filter(pl.element() != ""))
    elif lists.dtype == pl.List(pl.Int64):
        lists = lists.list.eval(pl.element().filter(pl.element() != MISSING_INT))
    tail = lists.list.drop_nulls().list.tail(feature.max_length)
    lengths = tail.list.len().fill_null(0).to_numpy().astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    flat = tail.drop_nulls().explode(empty_as_null=False, keep_nulls=False).to_arrow()
    return offsets, flat.cast(pa.string()) if pa.types.is_large_string(flat.type) else flat


def _element(feature: Feature) -> pa.DataType:
    return pa.int64() if feature.dtype == "int" and feature.separator is None else pa.string()


def _split(array: pa.Array, feature: Feature) -> pa.Array:
    if feature.separator is None or not pa.types.is_string(array.type):
        allowed = "lists" if feature.separator is None else f"texts to split at {feature.separator!r}"
        hint = "; a `separator` in the schema splits texts" if pa.types.is_string(array.type) else ""
        raise DataError(f"a {feature.kind} must hold {allowed}, got {array.type}{hint}", column=feature.name)
    text = pl.Series(pl.from_arrow(array)).fill_null("")
    return text.str.split(feature.separator).to_arrow().cast(pa.list_(pa.string()))


def time_ids(micros: np.ndarray) -> np.ndarray:
    """Returns local ids of hour and weekday, (rows, 2): 0 missing, hour + 2, weekday (Monday 0) + 2."""
    hour = micros // 3_600_000_000 % 24
    weekday = (micros // DAY + 3) % 7
    ids = np.stack([hour, weekday], 1) + 2
    return np.where(micros[:, None] == MISSING_INT, 0, ids).astype(np.int32)


def time_numbers(micros: np.ndarray, latest: int) -> np.ndarray:
    """Returns age in days before `latest`, then sine and cosine of the day and the week, (rows, 5)."""
    missing = micros == MISSING_INT
    age = (latest - np.where(missing, latest, micros)) / DAY
    day = micros % DAY * (2 * np.pi / DAY)
    week = (micros + 3 * DAY) % (7 * DAY) * (2 * np.pi / (7 * DAY))
    found = np.stack([age, np.sin(day), np.cos(day), np.sin(week), np.cos(week)], 1)
    found[missing] = np.nan
    return found


def text_keys(values: pa.Array) -> pl.Series:
    """Returns dictionary values as strings, the form in which vocabularies hold them; an empty string is null."""
    series: Any = pl.from_arrow(values)
    if not pa.types.is_string(values.type):
        return series.cast(pl.String)
    shortest = pc.min(pc.binary_length(values)).as_py()
    return series.set((series == "").fill_null(False), None) if shortest == 0 else series
