"""Times written as text."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from autorec.errors import DataError

MISSING_WORDS = ("NA", "N/A", "na", "n/a", "null", "NULL", "None", "none", "?", "-", "NaN", "nan", "NAN")
_ISO = r"^\d{4}-\d\d-\d\d"
_KINDS = (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns"))
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_OTHER = (
    r"(?i)^([a-z]{3,9},? )?("
    rf"\d{{1,2}}/\d{{1,2}}/(\d{{4}}|\d\d)|\d{{1,2}}([.-])\d{{1,2}}[.-]\d{{4}}|\d{{4}}[/.]\d{{1,2}}[/.]\d{{1,2}}"
    rf"|\d{{1,2}}[ -]{_MONTH}[ -](\d{{4}}|\d\d)|{_MONTH} \d{{1,2}}(,? \d{{4}}| [\d:]+ ([A-Z]+ |[+-]\d{{4}} )?\d{{4}})"
    r")\b"
)


def read_times(array: pa.Array, name: str | None = None) -> pa.Array:
    """Returns ISO 8601 dates and times as timestamps in microseconds; those without a zone are in UTC.

    Args:
        array: Texts; empty ones and words for a missing value become null.
        name: Column, for the error.

    Raises:
        DataError: If a text is no time, or only some have a zone.
    """
    array = pc.if_else(pc.equal(array, ""), None, array)
    found = _cast(array)
    if found is None:  # only now, as most columns have no such words
        array = pc.if_else(pc.is_in(array, pa.array(MISSING_WORDS)), None, array)
        found = _cast(array)
    if found is not None:
        return found
    for row, text in enumerate(array):
        try:
            pc.cast(text, pa.timestamp("us"))
        except pa.ArrowInvalid:
            allowed = "a time must be written like 2024-01-31 or 2024-01-31 23:59:00, all with a zone or all without"
            raise DataError(f"{allowed}, got {text.as_py()!r}", row=row, column=name) from None
    raise DataError("times are written in different ways; write all with a zone, or all without", column=name)


def _cast(array: pa.Array) -> pa.Array | None:
    for kind in _KINDS:
        try:
            return pc.cast(array, kind).cast(pa.timestamp("us", kind.tz), safe=False)
        except pa.ArrowInvalid:
            continue
    return None


def are_times(cells: pl.Series) -> bool | None:
    """Returns whether all cells but words for a missing value are ISO 8601 times; None if there are such words only."""
    dates = cells.str.contains(_ISO)
    if not dates.all():
        others = cells.filter(~dates)
        if not others.is_in(list(MISSING_WORDS)).all():
            return False
        if len(others) == len(cells):
            return None
    try:
        read_times(cells.to_arrow().cast(pa.string()))
    except DataError:
        return False
    return True


def are_dates(cells: pl.Series) -> bool:
    """Returns whether all cells look like dates in another form than ISO 8601, such as 31/01/2024 or Jan 31, 2024."""
    return bool(cells.str.contains(_OTHER).all())
