"""Sources that are tables in memory, or are read through PyArrow's or Polars's own readers."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from autorec.data import fingerprint
from autorec.data.any_column import to_arrow
from autorec.data.source import BLOCK, Source, even_rows, repeated_names, table_of
from autorec.data.typed_source import TypedSource, normal_batch
from autorec.errors import DataError


class ArrowSource(TypedSource):
    """A PyArrow table in memory, and what pandas, Polars and NumPy data become."""

    def __init__(self, table: pa.Table, name: str, problems: Mapping[str, DataError] | None = None) -> None:
        self.name = name
        self._learn(table.schema, lambda name: _overflows(table.column(name)), problems)
        chunks = max((column.num_chunks for column in table.columns), default=0)
        self._table = table.combine_chunks() if chunks > 1 + table.num_rows // 10_000 else table
        self.rows = table.num_rows

    def _read(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield from self._table.select(columns).to_batches(max_chunksize=rows)

    def sample(self, columns: Sequence[str], rows: int) -> pa.Table:
        schema = self.select(columns)
        chosen = self._table.select(list(columns)).take(pa.array(even_rows(self._table.num_rows, rows)))
        return table_of([normal_batch(batch, schema, self.name, 0) for batch in chosen.to_batches()], schema)


class DatasetSource(TypedSource):
    """A PyArrow dataset."""

    def __init__(self, dataset: Any) -> None:
        self.name = f"pyarrow.dataset of {dataset.files[0]}" if getattr(dataset, "files", None) else "pyarrow.dataset"
        self._learn(dataset.schema)
        self._dataset = dataset
        self.rows = dataset.count_rows()

    def _read(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield from self._dataset.to_batches(columns=columns, batch_size=rows, fragment_readahead=1, batch_readahead=4)

    def fingerprint(self) -> str:
        paths = [Path(path) for path in getattr(self._dataset, "files", [])]
        local = bool(paths) and all(path.is_file() for path in paths)
        filtered = bool(getattr(self._dataset, "_scan_options", None))
        if filtered or not local:
            return super().fingerprint()
        # Of a partitioned one, what its folders say is not in its files.
        places = [str(fragment.partition_expression) for fragment in self._dataset.get_fragments()]
        return fingerprint.of_files(paths, *places)


class LazySource(TypedSource):
    """A Polars LazyFrame, run once, into a temporary file that goes with the source.

    Joins, groups and distinct rows may come in another order each time, and passes are matched by their rows' numbers.
    """

    def __init__(self, frame: pl.LazyFrame) -> None:
        self.name = "polars.LazyFrame"
        folder = tempfile.mkdtemp(prefix="autorec-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder) / "rows.arrow"
        try:
            frame.sink_ipc(path, compression="lz4")
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"the query fails: {error}", file=self.name) from error
        self._frame = pl.scan_ipc(path)
        self._learn(self._frame.head(0).collect().to_arrow().schema)
        self.rows = int(self._frame.select(pl.len()).collect().item())

    def _read(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        for frame in self._frame.select(columns).collect_batches(chunk_size=rows, maintain_order=True):
            yield from frame.to_arrow().to_batches(max_chunksize=rows)


class LogSource(TypedSource):
    """Anything that streams itself: an object with `name`, `rows`, `schema` and `batches(columns, rows)`."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self.name = log.name
        self.rows = log.rows
        self._learn(log.schema)

    def _read(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield from self._log.batches(columns, rows)

    def fingerprint(self) -> str:
        if hasattr(self._log, "fingerprint"):
            return str(self._log.fingerprint())
        first = next(iter(self.batches(self.schema.names, 16_384)), None)
        return fingerprint.of_batches([] if first is None else [first], self.name, self.rows)


class LabelledSource(Source):
    """A source with one more column, held in memory: the target given as `y`."""

    def __init__(self, source: Source, name: str, values: pa.Array) -> None:
        if source.has(name):
            raise DataError(
                "`y` was given, but the data has a column of the target's name", file=source.name, column=name
            )
        rows = source.count()
        if len(values) != rows:
            raise DataError(f"`y` must have a value for each of the {rows} rows, got {len(values)}", file=source.name)
        self._source = source
        self._labels = ArrowSource(pa.table([values], [name]), "y")
        self._labels.select([name])  # raises if it cannot be read
        self.name, self.rows, self.notes = source.name, rows, {**source.notes, **self._labels.notes}
        self.problems = source.problems
        self.schema = pa.schema([*source.schema, *self._labels.schema])

    def batches(self, columns: Sequence[str], rows: int = BLOCK) -> Iterator[pa.RecordBatch]:
        fields = self.select(columns)
        own = self._labels.schema.names
        rest = [name for name in columns if name not in own]
        if not rest:
            yield from self._labels.batches(columns, rows)
            return
        labels = next(self._labels.batches(own, len(self._labels._table))).column(0)
        start = 0
        for batch in self._source.batches(rest, rows):
            part = {name: batch.column(name) for name in rest} | {own[0]: labels.slice(start, batch.num_rows)}
            yield pa.RecordBatch.from_arrays([part[name] for name in fields.names], names=fields.names)
            start += batch.num_rows

    def fingerprint(self) -> str:
        return f"{self._source.fingerprint()}-{self._labels.fingerprint()}"

    def line(self, row: int) -> int:
        return self._source.line(row)

    def read_as_text(self, name: str) -> bool:
        return self._took(self._source.read_as_text(name))

    def read_as_missing(self, name: str) -> bool:
        return self._took(self._source.read_as_missing(name))

    def _took(self, changed: bool) -> bool:
        if changed:
            self.schema = pa.schema([*self._source.schema, *self._labels.schema])
        return changed


def from_columns(columns: Mapping[Any, Any], kind: str) -> ArrowSource:
    """Returns the source of named columns of equal length.

    Raises:
        DataError: If lengths differ or no column can be read.
    """
    arrays, problems = _arrays([(str(name), values) for name, values in columns.items()], kind)
    first, rows = next(((name, len(array)) for name, array in arrays.items()), ("", 0))
    for name, array in arrays.items():
        if len(array) != rows:
            raise DataError(
                f"all columns must be of equal length; {first!r} has {rows} rows, this one {len(array)}",
                file=kind,
                column=name,
            )
    return ArrowSource(pa.table(arrays), kind, problems)


def from_pandas(frame: Any) -> ArrowSource:
    """Returns the source of a pandas frame; its index is not read.

    Raises:
        DataError: If no column can be read.
    """
    kind = "pandas.DataFrame"
    arrays, problems = _arrays([(str(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns)], kind)
    return ArrowSource(pa.table(arrays), kind, problems)


def _arrays(columns: Sequence[tuple[str, Any]], kind: str) -> tuple[dict[str, Any], dict[str, DataError]]:
    """Returns the columns that can be read, and the problems of the others."""
    arrays: dict[str, Any] = {}
    problems = repeated_names([name for name, _ in columns], kind)
    for name, values in columns:
        if name in problems:
            continue
        try:
            arrays[name] = to_arrow(values, name, kind)
        except DataError as error:  # made anew: a traceback would keep the values in memory
            problems[name] = DataError(error.message, file=error.file, row=error.row, column=error.column)
    return arrays, problems


def _overflows(column: pa.ChunkedArray) -> bool:
    largest = pc.max(column).as_py()
    return largest is not None and largest > np.iinfo(np.int64).max
