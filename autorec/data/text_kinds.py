"""What columns of text and of lists are: delimited lists, numbers written as text, or categories."""

from __future__ import annotations

import re

import polars as pl

from autorec.data.name_hints import says_sequence
from autorec.data.text_times import MISSING_WORDS

_WITH_COMMA = (
    r"^\s*[+-]?(\d+|\d+,\d+|\d{1,3}(,\d{3})+(\.\d+)?|\d{1,3}(\.\d{3})+(,\d+)?|\d{1,2}(,\d\d)+,\d{3}(\.\d+)?)\s*$"
)
_SEPARATORS = (" | ", "|", " ; ", "; ", ";", " , ", ", ", ",", " ")
_FITS = 0.95  # of the signs in a column stand between spaces, where the spaces belong to the separator
_TIMES = 0.99
_CLOCK = r"^\d{4}-\d\d-\d\d([T ]([01]\d|2[0-3])(:[0-5]\d(:[0-5]\d(\.\d{1,9})?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?$"


def is_numeric_text(cells: pl.Series) -> bool:
    """Returns whether all cells are numbers and some have a fraction."""
    return cells.cast(pl.Float64, strict=False).null_count() == 0 and bool(cells.str.contains(r"\d\.\d").any())


def is_comma_text(cells: pl.Series) -> bool:
    """Returns whether all cells are numbers and some have a comma: before decimals, or between thousands."""
    return bool(cells.str.contains(_WITH_COMMA).all()) and bool(cells.str.contains(",", literal=True).any())


def no_times(cells: pl.Series) -> pl.Series | None:
    """Returns the cells that are no ISO 8601 times if nearly all are, else None.

    None may be left where times are written in different ways: some with a zone, others without.
    """
    dates = cells.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).is_not_null()
    others = cells.filter(~(dates & cells.str.contains(_CLOCK)))
    return others if len(others) <= (1 - _TIMES) * len(cells) else None


def separator_of(cells: pl.Series) -> str | None:
    """Returns what separates the values of a cell if cells are lists of values that come again in other cells."""
    distinct = cells.unique(maintain_order=True)
    for separator in _SEPARATORS:
        if _fits(cells, separator) and _splits(cells, distinct, separator):
            return separator
    return None


def _splits(cells: pl.Series, distinct: pl.Series, separator: str) -> bool:
    share = float(cells.str.contains(re.escape(separator)).mean() or 0.0)  # type: ignore[arg-type]
    if share < (0.6 if separator == " " else 0.3):
        return False
    parts = distinct.str.split(separator).explode().str.strip_chars()
    parts = parts.filter(parts != "")
    combinations, values = len(distinct), parts.n_unique()
    if separator == "," and _is_thousands(cells, parts):
        return False
    # Lists combine few values in many ways; names of two words do not.
    enough = 3.0 if separator == " " else 1.5
    return combinations >= 8 and combinations >= enough * values or (combinations < 8 and values < combinations)


def _fits(cells: pl.Series, separator: str) -> bool:
    """Returns whether a sign between spaces stands without them hardly anywhere; true of other separators."""
    sign = separator.strip()
    if separator != f" {sign} ":
        return True
    signs, spaced = (int(cells.str.count_matches(each, literal=True).sum()) for each in (sign, separator))
    return 0 < spaced >= _FITS * signs


def _is_thousands(cells: pl.Series, parts: pl.Series) -> bool:
    """Returns whether cells are numbers with commas; among lists of small numbers are cells that are no number."""
    words = list(MISSING_WORDS)
    small = parts.filter(~parts.is_in(words)).str.contains(r"^\d{1,3}(\.\d+)?$").all()
    return bool(small) and is_comma_text(cells.filter(~cells.is_in(words)))


def list_kind(name: str, lists: pl.Series) -> str:
    """Returns `sequence` for lists of things in the order in which they happened, else `bag`.

    A name such as `history` says so; so does a value that stands twice in a list, which no bag of tags has.
    """
    if says_sequence(name):
        return "sequence"
    longer = lists.filter(lists.list.len() > 1)
    if len(longer) == 0:
        return "bag"
    repeats = (longer.list.n_unique() < longer.list.len()).mean()
    return "sequence" if float(repeats or 0.0) > 0.05 else "bag"  # type: ignore[arg-type]
