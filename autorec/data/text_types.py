"""What the cells of a text column are: whole numbers, numbers, booleans, times, lists or text."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pyarrow as pa

from autorec.data.arrow_types import TIME
from autorec.data.text_lists import Lists, common, lists_of, read_lists
from autorec.data.text_times import MISSING_WORDS, are_times, read_times
from autorec.errors import DataError

BOOLEANS = {"True": 1, "False": 0, "true": 1, "false": 0, "TRUE": 1, "FALSE": 0}
COMMA = pa.decimal128(38)  # stands for fractions behind a comma
_FRACTION = r"^[+-]?\d+,\d+$"
_THOUSANDS = r"^[+-]?[1-9]\d{0,2},\d{3}$"
_CODE = r"^\+|^-?0\d"  # a number would not be written like this
_LONG = r"^-?\d+$"
_RARE = 0.1
_LISTS = {Lists.EMPTY: pa.null(), Lists.WHOLE: pa.list_(pa.int64()), Lists.TEXTS: pa.list_(pa.string())}


class TextColumn:
    """Learns the type of a column while its cells stream by.

    A column is of numbers if every filled cell is one, or a word for a missing value; one of such words alone has no
    value and fits every type. True and false alone, in any usual writing, are booleans, and lists as Python and JSON
    write them are lists. A column of fractions in which at most one cell in ten is text has mixed types. Whole numbers
    with leading zeros, or too long for 64 bits, are codes, that is text.

    Args:
        commas: Whether decimals may stand behind a comma, as they do where fields are split at semicolons.
    """

    def __init__(self, *, commas: bool = False) -> None:
        self._commas = commas
        self.filled = self.whole = self.fractions = self.texts = self.booleans = self.decimals = self.thousands = 0
        self.code = self.words = False
        self.truths: set[int] = set()
        self.time: bool | None = None
        self.lists: Lists | None = None
        self.first_text: tuple[int, str] | None = None

    def observe(self, cells: pl.Series, start: int) -> None:
        """Takes the next cells; the first of them stands in row `start`."""
        if self._is_text():
            self.filled += 1
            return
        present = cells.str.len_bytes() > 0
        filled = int(present.sum())
        if filled == 0:
            return
        self.filled += filled
        self._observe_times(cells, present)
        stripped = cells.str.strip_chars()
        whole = stripped.cast(pl.Int64, strict=False).is_not_null()
        self.whole += int(whole.sum())
        self.code = bool(stripped.filter(whole).str.contains(_CODE).any())
        if int(whole.sum()) < filled:
            self._observe_others(cells, stripped, present & ~whole, start)

    def _observe_others(self, cells: pl.Series, stripped: pl.Series, mask: pl.Series, start: int) -> None:
        rest = stripped.filter(mask)
        numbers = rest.cast(pl.Float64, strict=False).is_not_null()
        words = rest.is_in(list(MISSING_WORDS)) | (rest == "")
        self.code |= bool(rest.filter(numbers).str.contains(_LONG).any())
        self.fractions += int((numbers & ~words).sum())
        self.words |= bool(words.any())
        text = ~numbers & ~words
        if text.any() and self.first_text is None:
            at = mask.arg_true().filter(text)[0]
            self.first_text = start + int(at), cells[at]
        self._observe_texts(rest.filter(text))

    def _observe_texts(self, texts: pl.Series) -> None:
        if self.texts == self.booleans:  # else there is other text, whatever comes
            booleans = texts.filter(texts.is_in(list(BOOLEANS)))
            self.booleans += len(booleans)
            self.truths |= {BOOLEANS[word] for word in booleans.unique()}
        if self._commas and self.texts == self.decimals:
            fractions = texts.filter(texts.str.contains(_FRACTION))
            self.decimals += len(fractions)
            self.thousands += int(fractions.str.contains(_THOUSANDS).sum())
            self.code |= bool(fractions.str.contains(_CODE).any())
        if self.texts == 0:
            self.lists = lists_of(texts)
        elif self.lists is not None and len(texts):
            self.lists = common(self.lists, lists_of(texts))
        self.texts += len(texts)

    def _is_text(self) -> bool:
        """Returns whether the cells so far make the column text, whatever comes."""
        settled = self.texts > max(1000, self.booleans, self.decimals) and self.texts > _RARE * self.filled
        return self.code or (settled and self.lists is None)

    def _observe_times(self, cells: pl.Series, present: pl.Series) -> None:
        if self.time is False:
            return
        found = are_times(cells.filter(present))
        if found is not None:
            self.time = found

    def decide(self, file: str, name: str, line: Callable[[int], int]) -> tuple[pa.DataType, str | None]:
        """Returns the type, and a note if text stands among numbers; `bool` and `COMMA` become 0 and 1 and fractions.

        Args:
            file: File, for the error.
            name: Column, for the error.
            line: Returns the line of a row.

        Raises:
            DataError: If text stands among fractions.
        """
        numbers = self.whole + self.fractions
        if numbers == 0 and self.texts == 0:
            return pa.null(), None
        if self.time:
            return TIME, None
        if numbers == 0 and self.texts == self.booleans:
            # Of true and none alone, none is what the column tells.
            return (pa.string() if self.words and len(self.truths) < 2 else pa.bool_()), None
        if numbers == 0 and self.lists is not None:
            return _LISTS[self.lists], None
        if self.texts and self.texts == self.decimals and not self.fractions and not self.code:
            if self.thousands < self.decimals:  # else they may be whole numbers, with a comma behind the thousands
                return COMMA, f"{self.decimals} of {self.filled} cells were read as fractions behind a comma"
            return pa.string(), None
        if self.code or numbers == 0:
            return pa.string(), None
        if self.texts == 0:
            return (pa.float64() if self.fractions else pa.int64()), None
        row, cell = self.first_text or (0, "")
        if self.fractions > self.whole and self.texts <= _RARE * self.filled:
            raise DataError(
                f"mixed types: {cell!r} stands in a column of numbers; a cell must hold a number or be empty",
                file=file,
                row=line(row),
                column=name,
            )
        if self.texts > _RARE * self.filled:
            return pa.string(), None
        where = f"{self.texts} of {self.filled} cells hold text, the first {cell!r} in line {line(row)}"
        return pa.string(), f"{where}; the column is read as text, not as numbers"


def convert(cells: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    """Returns text cells as a column of a type that `TextColumn.decide` gave, in its normal type.

    Args:
        cells: The cells.
        kind: The type.
        name: Column, for errors.

    Raises:
        DataError: If a cell of a column of times is none.
    """
    if kind == pa.string():
        return cells
    if kind == pa.null():
        return pa.nulls(len(cells), pa.string())
    if kind == TIME:
        return read_times(cells, name).view(pa.int64()).cast(TIME)
    if pa.types.is_list(kind):
        return read_lists(cells, kind)
    series = pl.from_arrow(cells).str.strip_chars()  # type: ignore[union-attr]
    if kind == pa.bool_():
        return series.replace_strict(BOOLEANS, default=None, return_dtype=pl.Int64).to_arrow()
    if kind == COMMA:
        series = series.str.replace(",", ".", literal=True)
    return series.cast(pl.Int64 if kind == pa.int64() else pl.Float64, strict=False).to_arrow()
