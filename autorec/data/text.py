"""CSV and TSV files, also gzipped, read block by block."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from autorec.data import fingerprint
from autorec.data.arrow_types import normal_type
from autorec.data.source import BLOCK, Source, again, check_names
from autorec.data.text_types import TextColumn, convert
from autorec.errors import DataError

_BLOCK_BYTES = 1 << 23
_DELIMITERS = ",;\t|"


class TextSource(Source):
    """A CSV or TSV file with a header line.

    The types come from a pass over the whole file (see `TextColumn`), so that no late row can contradict them. An
    empty field is missing. Where fields are split at semicolons, decimals may stand behind a comma. A column of
    fractions in which some text stands is refused when it is read. A first column of whole numbers without a name is
    taken as row numbers, as pandas and R write them, and left out with a note.

    Args:
        path: The file; `.tsv` is split at tabs, `.csv` at the delimiter its header shows.

    Raises:
        DataError: If the file is empty, has no header or no rows, or a line has another number of fields.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        suffixes = [suffix.lower() for suffix in path.suffixes]
        self._gzipped = suffixes[-1:] == [".gz"]
        self._tabs = (suffixes[:-1] if self._gzipped else suffixes)[-1:] == [".tsv"]
        self._quoted_lines = False
        self._header = self._read_header()
        names = [name.strip() for name in self._header]
        check_names(names, self.name)
        _check_is_header(names, self.name)
        self._names = names
        self.rows, learned = self._learn()
        self.notes: dict[str, str] = {}
        self._kinds: dict[str, pa.DataType] = {}
        self._mixed: dict[str, DataError] = {}
        fields: list[pa.Field] = []
        for name, column in zip(names, learned):
            try:
                kind, note = column.decide(self.name, name, self.line)
            except DataError as error:  # no matter to who reads other columns
                self._mixed[name] = error
                kind, note = pa.float64(), None
            if not name and not fields and kind == pa.int64():
                self.notes[name] = (
                    "the first column, of whole numbers without a name, was taken as row numbers; it is not read"
                )
                continue
            self._kinds[name] = kind
            fields.append(pa.field(name, normal_type(kind)))
            if note:
                self.notes[name] = note
        self.schema = pa.schema(fields)

    def batches(self, columns: Sequence[str], rows: int = BLOCK) -> Iterator[pa.RecordBatch]:
        schema = self.select(columns)
        kinds = [self._kinds[name] for name in columns]
        done = 0
        for batch in self._cells(list(columns), lambda name: schema.field(name).type == pa.string()):
            for start in range(0, batch.num_rows, rows):
                part = batch.slice(start, rows)
                try:
                    arrays = [convert(*each) for each in zip(part.columns, kinds, schema.names)]
                except DataError as error:
                    row = None if error.row is None else self.line(done + start + error.row)
                    raise DataError(error.message, file=self.name, row=row, column=error.column) from error
                yield pa.RecordBatch.from_arrays(arrays, names=schema.names)
            done += batch.num_rows

    def select(self, columns: Sequence[str]) -> pa.Schema:
        for name in columns:
            if name in self._mixed:
                raise again(self._mixed[name])
        return super().select(columns)

    def fingerprint(self) -> str:
        return fingerprint.of_files([self._path])

    def line(self, row: int) -> int:
        """Counts the lines where some are blank, or quoted cells hold line ends."""
        if self._lines == self.count() + 1:
            return row + 2
        blank = len(self._names) == 1  # in one column a blank line is a row
        before, last = -2, 0  # the header is row -1; the line on which the record before ended
        with suppress(UnicodeDecodeError, EOFError, OSError, csv.Error), self._open() as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            for cells in reader:
                before += bool(cells) or blank
                if (cells or blank) and before == row:
                    return last + 1
                last = reader.line_num
        return row + 2

    @cached_property
    def _lines(self) -> int:
        """The number of lines of the file."""
        opener: Any = gzip.open if self._gzipped else open
        lines, last = 0, b"\n"
        with suppress(OSError, EOFError), opener(self._path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                lines, last = lines + block.count(b"\n"), block[-1:]
        return lines + (last != b"\n")

    def read_as_text(self, name: str) -> bool:
        index = self.schema.get_field_index(name)
        if index < 0:
            return False
        self._mixed.pop(name, None)
        self._kinds[name] = pa.string()
        self.schema = self.schema.set(index, pa.field(name, pa.string()))
        return True

    def _open(self) -> TextIO:
        opener: Any = gzip.open if self._gzipped else open
        return opener(self._path, "rt", encoding="utf-8-sig", newline="")

    def _read_header(self) -> list[str]:
        try:
            with self._open() as file:
                line = file.readline()
                self._delimiter = "\t" if self._tabs else max(_DELIMITERS, key=line.count)
                file.seek(0)
                header = next(csv.reader(file, delimiter=self._delimiter), [])
        except (UnicodeDecodeError, EOFError, OSError) as error:
            raise DataError(f"the file cannot be read as UTF-8 text: {error}", file=self._path) from error
        if not any(cell.strip() for cell in header):
            raise DataError("the file is empty; a header line and rows are needed", file=self._path)
        return header

    def _learn(self) -> tuple[int, list[TextColumn]]:
        """Passes over the file; once more with line ends allowed in quoted fields if it does not parse without."""
        for self._quoted_lines in (False, True):
            learned, rows = [TextColumn(commas=self._delimiter == ";") for _ in self._names], 0
            try:
                for batch in self._cells(self._names, lambda name: False):
                    for column, cells in zip(learned, batch.columns):
                        column.observe(pl.Series(pl.from_arrow(cells)), rows)
                    rows += batch.num_rows
                break
            except DataError:
                if self._quoted_lines:
                    raise
        if rows == 0:
            raise DataError("there are no rows below the header", file=self._path)
        return rows, learned

    def _cells(self, columns: list[str], as_dictionary: Callable[[str], bool]) -> Iterator[pa.RecordBatch]:
        """Streams cells as text, those of some columns as dictionaries."""
        types = {n: pa.dictionary(pa.int32(), pa.string()) if as_dictionary(n) else pa.string() for n in columns}
        try:
            with pa.input_stream(self._path, compression="gzip" if self._gzipped else None) as stream:
                yield from pc.open_csv(
                    stream,
                    pc.ReadOptions(column_names=self._names, skip_rows=1, block_size=_BLOCK_BYTES),
                    pc.ParseOptions(
                        delimiter=self._delimiter,
                        newlines_in_values=self._quoted_lines,
                        ignore_empty_lines=len(self._names) > 1,
                    ),
                    pc.ConvertOptions(column_types=types, include_columns=columns),
                )
        except StopIteration:
            return
        except (pa.ArrowException, OSError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> DataError:
        """Returns the error with the first line that has another number of fields than the header."""
        try:
            with self._open() as file:
                reader = csv.reader(file, delimiter=self._delimiter)
                for cells in reader:
                    if cells and len(cells) != len(self._names):
                        wanted = f"each line must have {len(self._names)} fields as the header has"
                        return DataError(f"{wanted}, this one has {len(cells)}", file=self._path, row=reader.line_num)
        except (UnicodeDecodeError, EOFError, OSError, csv.Error) as other:
            error = other
        return DataError(f"the file cannot be read: {error}", file=self._path)


def _check_is_header(names: Sequence[str], file: str) -> None:
    series = pl.Series(names).cast(pl.Float64, strict=False)
    if series.null_count() == 0:
        raise DataError(f"the first line must name the columns, got {list(names)[:5]}", file=file, row=1)
