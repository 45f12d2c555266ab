"""From a sample of a column to the feature it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from autorec.data.arrow_types import TIME
from autorec.data.name_hints import head_kind, says_sequence, says_time
from autorec.data.schema import Feature
from autorec.data.text_kinds import is_comma_text, is_numeric_text, list_kind, no_times, separator_of
from autorec.data.text_times import MISSING_WORDS, are_dates, are_times
from autorec.data.whole_numbers import kind_of
from autorec.errors import DataError

_YEAR = 365.25 * 86_400
_UNITS = (("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000))
_CALENDARS = ((8, "%Y%m%d", "YYYYMMDD"), (8, "%y%m%d%H", "YYMMDDHH"), (10, "%Y%m%d%H", "YYYYMMDDHH"))
_UNIQUE = 0.95


@dataclass
class Found:
    """What a sample says of a column.

    Args:
        feature: The feature, None if the column is to be left out.
        distinct: Number of distinct values in the sample, 0 if all are missing. One value that some rows lack makes
            two to `infer`.
        warnings: What should be looked at.
    """

    feature: Feature | None
    distinct: int
    warnings: list[str] = field(default_factory=list)


def feature_of(name: str, column: pa.ChunkedArray, *, is_id: bool, is_time: bool) -> Found:
    """Returns what a column is.

    Args:
        name: Its name.
        column: Sampled values, of one of a source's types.
        is_id: Whether it is known to hold ids (of users, items, groups).
        is_time: Whether it is known to be the time that orders the rows.

    Raises:
        DataError: If ids are floats that cannot tell them apart.
    """
    values: Any = pl.from_arrow(column.combine_chunks())
    if pa.types.is_list(column.type):
        return _of_lists(name, values.drop_nulls())
    if column.type == pa.string() or column.type == pa.null():
        found = _of_text(name, values.filter(values != "").drop_nulls(), is_id)
    elif column.type == TIME:
        found = Found(Feature(name, "time", "time"), values.drop_nulls().n_unique())
    else:
        found = _of_numbers(name, values, is_id, is_time)
    if found.feature is not None and found.feature.kind == "categorical":
        present = len(values) - values.null_count()
        if present >= 100 and found.distinct > _UNIQUE * present:
            found.warnings.append(
                f"`{name}` has a value of its own in nearly every row, as a row number has; it cannot help, "
                f"schema.drop({name!r})"
            )
    return found


def present(array: pa.Array) -> tuple[pl.Series, bool]:
    """Returns the values that are there, those of lists one after the other, and whether a row is without any.

    Args:
        array: Values of one of a source's types, no dictionary.
    """
    values: Any = pl.from_arrow(array)
    if isinstance(values.dtype, pl.List):
        lists = values.list.drop_nulls()
        return lists.explode().drop_nulls(), bool((lists.list.len().fill_null(0) == 0).any())
    if values.dtype == pl.String:
        found = values.filter(values != "")
    else:
        found = values.filter(values.is_finite()) if values.dtype == pl.Float64 else values.drop_nulls()
    return found, len(found) < len(values)


def _of_numbers(name: str, values: pl.Series, is_id: bool, is_time: bool) -> Found:
    dtype = "int" if values.dtype == pl.Int64 else "float"
    numbers = values.drop_nulls().to_numpy()
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Found(Feature(name, "numeric", dtype), 0)
    distinct = len(np.unique(numbers))
    if not is_id:
        found = _of_unix_times(name, numbers, dtype, distinct, is_time or says_time(name))
        if found is not None:
            return found
    large = np.abs(numbers) >= 2.0**53 if dtype == "float" else np.zeros(len(numbers), bool)
    fractions = dtype == "float" and (numbers != np.floor(numbers)).any()
    if is_id and not fractions:
        if len(np.unique(numbers[large])) > 1:  # one alone may stand for no id
            raise DataError(
                f"ids of 2^53 and more, such as {numbers[large][0]:.17g}, were rounded by their floats: give Int64 or "
                "text",
                column=name,
            )
        return Found(Feature(name, "categorical", dtype), distinct)
    if large.any() or fractions:
        return Found(Feature(name, "numeric", dtype), distinct)
    if is_time:
        return Found(Feature(name, "numeric", dtype), distinct)
    return _of_whole_numbers(name, numbers.astype(np.int64), dtype, distinct)


def _of_unix_times(name: str, numbers: np.ndarray, dtype: str, distinct: int, hinted: bool) -> Found | None:
    """Returns a time, with a warning if the values alone say so, or None; a name that says otherwise is believed."""
    if not hinted and head_kind(name) is not None:
        return None
    unit = _unix_unit(numbers, hinted)
    if unit is None:
        return None
    found = Found(Feature(name, "time", dtype, unit=unit), distinct)
    if not hinted:
        found.warnings.append(
            f"`{name}` was taken as Unix times in {unit}, as its numbers lie within a few of the last years; if they "
            f"are ids, schema[{name!r}].kind = 'categorical', if they are amounts, 'numeric'"
        )
    return found


def _of_whole_numbers(name: str, numbers: np.ndarray, dtype: str, distinct: int) -> Found:
    calendar = _calendar(numbers)
    if calendar is not None:
        warning = (
            f"`{name}` looks like a date written as the whole number {calendar}; as categories it says nothing about "
            "later dates: turn it into a timestamp"
        )
        return Found(Feature(name, "categorical", dtype), distinct, [warning])
    kind, close = kind_of(name, numbers)
    found = Found(Feature(name, kind, dtype), distinct)
    if close:
        other, words = ("categorical", "ids or codes") if kind == "numeric" else ("numeric", "amounts")
        found.warnings.append(
            f"`{name}` holds whole numbers that were taken as {kind} by a narrow margin; if they are {words}, "
            f"schema[{name!r}].kind = {other!r}"
        )
    return found


def _unix_unit(numbers: np.ndarray, hinted: bool) -> str | None:
    """Returns the unit of Unix times; without a hint they must lie within a few of the last years."""
    low, high = float(numbers.min()), float(numbers.max())
    for unit, factor in _UNITS:
        first, last = 1970 + low / factor / _YEAR, 1970 + high / factor / _YEAR
        if hinted and first >= 1975 and last <= 2100:
            return unit
        if first >= 2000 and last <= 2035 and last - first <= 5 and len(np.unique(numbers)) > 12:
            return unit
    return None


def _calendar(numbers: np.ndarray) -> str | None:
    values = np.unique(numbers)
    digits = len(str(int(values[-1])))
    if len(str(int(values[0]))) != digits or values[0] <= 0:
        return None
    for length, form, words in _CALENDARS:
        if length == digits and all(_is_date(str(value), form) for value in values[:5_000].tolist()):
            return words
    return None


def _is_date(text: str, form: str) -> bool:
    try:
        return 1950 <= datetime.strptime(text, form).year <= 2100
    except ValueError:
        return False


def _of_text(name: str, cells: pl.Series, is_id: bool) -> Found:
    distinct = cells.n_unique() if len(cells) else 0
    found = Found(Feature(name, "categorical", "string"), distinct)
    written = cells.filter(~cells.is_in(list(MISSING_WORDS)))
    if is_id or not len(written):
        return found
    if are_times(written):
        found.feature = Feature(name, "time", "time")
    elif (others := no_times(written)) is not None:
        found.warnings.append(_not_all_times(name, others, len(written)))
    elif are_dates(written):
        found.warnings.append(
            f"`{name}` looks like dates that are not written as ISO 8601, such as {written[0]!r}; as categories they "
            "say nothing about later dates: write them like 2024-01-31 or 2024-01-31 23:59:00"
        )
    elif is_numeric_text(written):
        found.warnings.append(f"`{name}` holds numbers written as text, read as categories; turn it into numbers")
    elif (separator := separator_of(cells)) is not None:
        lists = cells.str.split(separator)
        found.feature = Feature(name, list_kind(name, lists), "string", separator=separator)
    elif is_comma_text(written):
        found.warnings.append(
            f"`{name}` holds numbers written with commas, such as {written[0]!r}, read as categories; turn it into "
            "numbers, written like 1234.5"
        )
    if len(written) and written.str.contains(r"^\s*\[.*\]\s*$").all():
        found.warnings.append(
            f"`{name}` holds lists written as text, such as {written[0]!r}, whose brackets stick to their values; "
            f"give lists, or values split at one sign, such as 1|2"
        )
    return found


def _not_all_times(name: str, others: pl.Series, cells: int) -> str:
    if len(others) == 0:
        return (
            f"`{name}` holds times written in different ways, read as categories, which say nothing about later times: "
            "write all with a zone, or all without"
        )
    return (
        f"`{name}` holds times, but {len(others)} of {cells} cells are no times, such as {others[0]!r}, so all are "
        "read as categories, which say nothing about later times: empty those cells"
    )


def _of_lists(name: str, lists: pl.Series) -> Found:
    values = lists.explode().drop_nulls() if len(lists) else lists
    distinct = values.n_unique() if len(values) else 0
    kind = list_kind(name, lists)
    dtype = "int" if lists.dtype == pl.List(pl.Int64) else "string"
    found = Found(Feature(name, kind, dtype), distinct)
    if not says_sequence(name):
        other, words = ("sequence", "stand in the order of time") if kind == "bag" else ("bag", "have no order")
        found.warnings.append(
            f"`{name}` holds lists, taken as a {kind}; if their values {words}, schema[{name!r}].kind = {other!r}"
        )
    return found
