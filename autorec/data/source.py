"""What every table becomes: a source that streams record batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from autorec.errors import DataError, nearest

BLOCK = 65_536


class Source(ABC):
    """A table that is read in batches and never held whole by its readers.

    Column types are normal: `int64` (also booleans), `float64`, `string`, `timestamp("us")`, lists of `int64` or
    `string`, and `null` for a column without any value (its batches hold missing strings). String columns may arrive
    as dictionaries of strings. An empty string, a null and a NaN are missing values.

    Attributes:
        name: File or kind of object, for messages.
        schema: Names and types of the columns that can be read. A field with the metadata `kind: categorical` was
            declared a category by its maker.
        rows: Number of rows, or None if it takes a pass to know.
        notes: Column -> what its reader should know, also for columns that cannot be read; and a file of a folder that
            is not read -> why.
        problems: Column -> the error that it cannot be read, or that it is not known which it is. The schema is without
            it; who can do without it too reads the rest, who asks for it by `select` gets the error. `infer`, which
            wants every column, asks for them all, so that none is left out in silence.
    """

    name: str
    schema: pa.Schema
    rows: int | None
    notes: Mapping[str, str] = {}
    problems: Mapping[str, DataError] = {}

    @abstractmethod
    def batches(self, columns: Sequence[str], rows: int = BLOCK) -> Iterator[pa.RecordBatch]:
        """Streams some columns, in this order, in batches of at most `rows` rows.

        Raises:
            DataError: If a column is absent, or the data cannot be read.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Returns a text that depends on the content alone."""

    def sample(self, columns: Sequence[str], rows: int) -> pa.Table:
        """Returns at most `rows` rows drawn evenly from the whole source, in its order; the same in every call."""
        total = self.count()
        chosen = even_rows(total, rows)
        pieces, start = [], 0
        for batch in self.batches(columns):
            low, high = np.searchsorted(chosen, (start, start + batch.num_rows))
            if high > low:
                taken = batch if total <= rows else batch.take(pa.array(chosen[low:high] - start))
                # A piece would keep the whole dictionaries of its batch.
                pieces.append(pa.RecordBatch.from_arrays([_plain(c) for c in taken.columns], names=batch.schema.names))
            start += batch.num_rows
        return table_of(pieces, self.select(columns))

    def count(self) -> int:
        """Returns the number of rows, reading one column if it is not known."""
        if self.rows is not None:
            return self.rows
        return sum(batch.num_rows for batch in self.batches(self.schema.names[:1]))

    def line(self, row: int) -> int:
        """Returns how a message names the row with this number: for a text file the line, counted from 1."""
        return row

    def read_as_text(self, name: str) -> bool:
        """Reads a column as it is written from now on; returns whether this source can.

        Text files can, and whole numbers can be read as their digits.
        """
        return False

    def read_as_missing(self, name: str) -> bool:
        """Reads a column without any value as one of no type from now on; returns whether it has none.

        Libraries give such a column some type (pandas gives fractions), whatever would stand in it. Rows are read up to
        the first value.
        """
        if not all(_is_missing(batch.column(0)) for batch in self.batches([name])):
            return False
        self.schema = self.schema.set(self.schema.get_field_index(name), pa.field(name, pa.null()))
        return True

    def has(self, name: str) -> bool:
        """Returns whether there is a column of a name, be it one that cannot be read."""
        return name in self.schema.names or name in self.problems

    def select(self, columns: Sequence[str]) -> pa.Schema:
        """Returns the fields of some columns.

        Raises:
            DataError: If a column is absent or its type cannot be read.
        """
        for name in columns:
            if name in self.problems:
                raise again(self.problems[name])
            if name not in self.schema.names:
                reason = self.notes.get(name) or f"the column is absent; the data has {self.schema.names}"
                hint = "" if name in self.notes else nearest(name, self.schema.names)
                raise DataError(f"{reason}. {hint}".rstrip(), file=self.name, column=name)
        return pa.schema([self.schema.field(name) for name in columns])


def even_rows(total: int, rows: int) -> np.ndarray:
    """Returns the sorted numbers of at most `rows` rows, one at a random place in each of equal stretches."""
    if total <= rows:
        return np.arange(total)
    edges = np.linspace(0, total, rows + 1).astype(np.int64)
    return edges[:-1] + (np.random.default_rng(0).random(rows) * np.diff(edges)).astype(np.int64)


def table_of(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Returns batches as a table without dictionaries."""
    tables = [pa.table([_plain(column) for column in batch.columns], names=schema.names) for batch in batches]
    types = [pa.string() if field.type == pa.null() else field.type for field in schema]
    empty = pa.table([pa.nulls(0, kind) for kind in types], names=schema.names)
    return pa.concat_tables(tables) if tables else empty


def _is_missing(array: pa.Array) -> bool:
    array = _plain(array)
    missing = pc.equal(array, "") if pa.types.is_string(array.type) else pc.is_null(array, nan_is_null=True)
    return bool(pc.all(missing, min_count=0).as_py())  # skips the nulls


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def check_names(names: Sequence[str], file: str) -> None:
    """Refuses a table with two columns of one name, or with no column.

    Raises:
        DataError: If it has.
    """
    if not names:
        raise DataError("there is no column", file=file)
    for problem in repeated_names(names, file).values():
        raise problem


def repeated_names(names: Sequence[str], file: str) -> dict[str, DataError]:
    """Returns the problem of each name that more than one column has."""
    message = "two columns have this name; names must be unique"
    return {name: DataError(message, file=file, column=name) for name, number in Counter(names).items() if number > 1}


def again(error: DataError) -> DataError:
    """Returns an error anew: one that is kept and raised would keep the frames that it went through."""
    return DataError(error.message, file=error.file, row=error.row, column=error.column)


def placed(error: DataError, source: Source, start: int) -> DataError:
    """Returns the error with the file, and the row counted from the first one."""
    if error.file is not None:
        return error
    row = None if error.row is None else source.line(error.row + start)
    return DataError(error.message, file=source.name, row=row, column=error.column)
