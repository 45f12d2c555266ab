"""A text file of a known format as a source of record batches."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from autorec.data import fingerprint
from autorec.data.source import BLOCK, Source
from autorec.errors import ConfigError, DataError

_BLOCK_BYTES = 1 << 20
_LINE = 1 << 16
Convert = Callable[[pa.Array], pa.Array]


@dataclass(eq=False)
class LineSource(Source):
    """The rows of a separated text file of a known format, plain or gzip, read in batches and never held whole.

    Args:
        path: The file.
        fields: Name and type of each field, in the file's order; an empty field is missing.
        separator: What stands between fields; with more than one character the file is read whole.
        header: Whether the first line holds the fields' names, which must then be these.
        encoding: Text encoding.
        dropped: Fields that are not handed on.
        converted: Field -> its type when handed on, and the function that makes it; what that cannot read it turns
            into null.
        required: Fields in which a missing value is an error.
        start: First row of the slice.
        stop: Row behind the last one; None for the end of the file.

    Raises:
        DataError: While reading, if a line is not of the format; names file, line (from 1) and column.
    """

    path: Path
    fields: Mapping[str, pa.DataType]
    separator: str
    header: bool = False
    encoding: str = "utf8"
    dropped: tuple[str, ...] = ()
    converted: Mapping[str, tuple[pa.DataType, Convert]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    start: int = 0
    stop: int | None = None

    def __post_init__(self) -> None:
        self.name = str(self.path)
        self.rows = None if self.stop is None else self.stop - self.start
        kept = {name: kind for name, kind in self.fields.items() if name not in self.dropped}
        self.schema = pa.schema({name: self.converted.get(name, (kind,))[0] for name, kind in kept.items()})

    def count(self) -> int:
        """Returns the number of rows; the first call counts the file's lines."""
        if self.rows is None:
            self.rows = max(self._lines() - self.header - self.start, 0)
        return self.rows

    def line(self, row: int) -> int:
        return self.start + row + 1 + self.header

    def slice(self, start: int, stop: int) -> LineSource:
        """Returns rows `start` to `stop` (not included) as a source of the same file.

        Raises:
            ConfigError: If the range is empty or not within the rows.
        """
        if not 0 <= start < stop <= self.count():
            raise ConfigError("start, stop", f"a range of rows within 0 and {self.count()}", (start, stop))
        return replace(self, start=self.start + start, stop=self.start + stop)

    def split(self, fraction: float) -> tuple[LineSource, LineSource]:
        """Returns the earlier rows and the last `fraction` of the rows, rounded down.

        Raises:
            ConfigError: If a side would be empty.
        """
        rows = self.count()
        held = int(rows * fraction)
        if not 0 < held < rows:
            raise ConfigError("test_fraction", f"between 0 and 1, with some of the {rows} rows on each side", fraction)
        return self.slice(0, rows - held), self.slice(rows - held, rows)

    def fingerprint(self) -> str:
        mark = f"{self.schema} {self.start} {self.stop} {fingerprint.of_files([self.path])}"
        return hashlib.blake2b(mark.encode(), digest_size=16).hexdigest()

    def frame(self) -> pl.DataFrame:
        """Returns all rows as a Polars frame."""
        frame = pl.from_arrow(pa.Table.from_batches(self.batches(), schema=self.schema))
        return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()

    def batches(self, columns: Sequence[str] | None = None, rows: int = BLOCK) -> Iterator[pa.RecordBatch]:
        names = self.schema.names if columns is None else list(columns)
        schema = self.select(names)
        held = pa.Table.from_batches([], schema=schema)
        for batch in self._read(names):
            held = pa.concat_tables([held, pa.Table.from_batches([batch], schema=schema)])
            ready = held.num_rows // rows * rows
            for first in range(0, ready, rows):
                yield from held.slice(first, rows).combine_chunks().to_batches()
            held = held.slice(ready)
        yield from held.combine_chunks().to_batches()

    def _read(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        at = 0
        for batch in self._parse(names):
            low = max(self.start - at, 0)
            high = len(batch) if self.stop is None else min(self.stop - at, len(batch))
            if low < high:
                yield self._finish(batch.slice(low, high - low), at + low + 1 + self.header)
            at += len(batch)
            if self.stop is not None and at >= self.stop:
                return

    def _finish(self, batch: pa.RecordBatch, line: int) -> pa.RecordBatch:
        for name in self.required:
            if name in batch.schema.names and batch.column(name).null_count:
                self._refuse(batch.column(name).is_null(), line, name, "a value", pa.nulls(len(batch)))
        names = batch.schema.names
        return pa.record_batch([self._convert(batch.column(name), name, line) for name in names], names)

    def _convert(self, array: pa.Array, name: str, line: int) -> pa.Array:
        if name not in self.converted:
            return array
        kind, convert = self.converted[name]
        found = convert(array)
        if found.null_count > array.null_count:
            self._refuse(pc.and_not(found.is_null(), array.is_null()), line, name, f"a {kind}", array)
        return found

    def _refuse(self, wrong: pa.Array, line: int, column: str, expected: str, values: pa.Array) -> None:
        row = pc.index(wrong, True).as_py()
        raise DataError(
            f"expected {expected}, got {values[row].as_py()!r}", file=self.path, row=line + row, column=column
        )

    def _parse(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        try:
            with self._open() as stream:
                reader = csv.open_csv(
                    stream,
                    csv.ReadOptions(
                        use_threads=False,  # as quick, and it counts the lines for messages
                        block_size=_BLOCK_BYTES,
                        skip_rows=self._check_header(),
                        column_names=list(self.fields),
                        encoding=self.encoding,
                    ),
                    csv.ParseOptions(
                        delimiter=self.separator if len(self.separator) == 1 else "\t",
                        quote_char=False,
                        double_quote=False,
                        ignore_empty_lines=False,
                    ),
                    csv.ConvertOptions(
                        column_types=dict(self.fields),
                        null_values=[""],
                        strings_can_be_null=True,
                        include_columns=list(names),
                    ),
                )
                yield from reader
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise self._located(str(error)) from error
        except OSError as error:
            raise DataError(f"the file cannot be read: {error}", file=self.path) from error

    def _open(self) -> Any:
        stream = pa.input_stream(str(self.path), compression="detect")
        if len(self.separator) == 1:
            return stream
        with stream:
            return io.BytesIO(stream.read().replace(self.separator.encode(), b"\t"))

    def _check_header(self) -> int:
        if not self.header:
            return 0
        with pa.input_stream(str(self.path), compression="detect") as stream:
            line = io.BufferedReader(io.BytesIO(stream.read(_LINE))).readline()
        found = line.decode(self.encoding, "replace").rstrip("\r\n").split(self.separator)
        for expected, received in zip([*self.fields, None], [*found, None]):
            if expected != received:
                raise DataError(f"expected the column {expected!r}, got {received!r}", file=self.path, row=1)
        return 1

    def _located(self, message: str) -> DataError:
        row = re.search(r"Row #(\d+): ", message)
        column = re.search(r"CSV column #(\d+): ", message)
        reason = re.sub(r"(CSV parse error|In CSV column #\d+|Row #\d+): ", "", message)
        return DataError(
            reason if row or column else f"the file is not of the format: {reason}",
            file=self.path,
            row=int(row.group(1)) if row else None,
            column=list(self.fields)[int(column.group(1))] if column else None,
        )

    def _lines(self) -> int:
        lines, last = 0, b"\n"
        with pa.input_stream(str(self.path), compression="detect") as stream:
            while chunk := stream.read(_BLOCK_BYTES):
                lines += chunk.count(b"\n")
                last = chunk[-1:]
        return lines + (last != b"\n")
