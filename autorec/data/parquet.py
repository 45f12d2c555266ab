"""Parquet: a file, or a folder of files read as one table."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from autorec.data import fingerprint
from autorec.data.arrow_types import is_text, normal_schema, normal_type
from autorec.data.parquet_folder import parquet_files
from autorec.data.partitions import Partitions
from autorec.data.source import BLOCK, repeated_names, table_of
from autorec.data.typed_source import TypedSource, normal_batch
from autorec.errors import DataError

_READ = 4 * BLOCK
_SPREAD = 8  # with fewer row groups, a sample reads through them all


class ParquetSource(TypedSource):
    """Parquet files, read row group by row group; text columns arrive as dictionaries.

    Args:
        path: A file, or a folder; a folder's files (also in subfolders) are read in the order of their names, those
            whose name starts with `.` or `_` are left out. Subfolders `key=value` are columns (see `Partitions`).
            Without any value in a file a column is of every type, and fractions take whole numbers: it has the widest
            type. One that is not the same in all files otherwise is a problem of its own: see `Source`.

    Raises:
        DataError: If there is no file, or a file is not whole.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._paths, skipped = parquet_files(path)
        first = _metadata(self._paths[0])
        fields = first.schema.to_arrow_schema()
        problems = repeated_names(fields.names, str(self._paths[0]))
        owners = dict.fromkeys(fields.names, self._paths[0])  # the file that a column has its type of
        self._groups = [(self._paths[0], first)]
        for other in self._paths[1:]:
            found = _metadata(other)
            stored = found.schema.to_arrow_schema()
            problems |= self._differences(fields, stored, owners, other, problems)
            for i, field in enumerate(fields):
                wider = None if field.name in problems else _wider(field, stored.field(field.name))
                if wider is not None and wider is not field:
                    fields, owners[field.name] = fields.set(i, wider), other
            self._groups.append((other, found))
        self.rows = sum(found.num_rows for _, found in self._groups)
        self._partitions = Partitions(path, self._paths, [*fields.names, *problems])
        self._learn(pa.schema([*fields, *self._partitions.fields]), self._may_overflow, problems)
        self.notes = {**self.notes, **skipped}
        self._text = [field.name for field in fields if is_text(field.type)]

    def batches(self, columns: Sequence[str], rows: int = BLOCK) -> Iterator[pa.RecordBatch]:
        schema = self.select(columns)
        start = 0
        for path, _ in self._groups:
            for batch in self._read_file(path, schema, rows, start):
                start += batch.num_rows
                yield batch

    def sample(self, columns: Sequence[str], rows: int) -> pa.Table:
        groups = [(path, i) for path, found in self._groups for i in range(found.num_row_groups)]
        if len(groups) < _SPREAD or (self.rows or 0) <= rows:
            return super().sample(columns, rows)
        schema = self.select(columns)
        chosen = np.unique(np.linspace(0, len(groups) - 1, min(len(groups), 4 * _SPREAD)).astype(int))
        size = max(rows // len(chosen), 1)
        heads = [next(self._read_file(groups[i][0], schema, size, 0, [groups[i][1]]), None) for i in chosen]
        return table_of([head for head in heads if head is not None], schema)

    def fingerprint(self) -> str:
        found = fingerprint.of_files(self._paths)
        if not self._partitions.names:
            return found
        return f"{found}-{fingerprint.of_batches([], self._partitions.names, self._partitions.words())}"

    def _read_file(
        self, path: Path, schema: pa.Schema, rows: int, start: int, groups: list[int] | None = None
    ) -> Iterator[pa.RecordBatch]:
        stored = pa.schema([field for field in schema if field.name not in self._partitions.names])
        text = [name for name in self._text if name in stored.names]
        try:
            # Buffers read beforehand are kept until the file is closed: memory would grow with the rows.
            with pq.ParquetFile(path, read_dictionary=text, pre_buffer=False) as file:
                for group in range(file.num_row_groups) if groups is None else groups:
                    # Each batch brings its dictionaries anew: fewer batches, fewer dictionaries to look through.
                    size = rows if rows < BLOCK else max(rows, _READ)
                    for batch in file.iter_batches(size, columns=stored.names, row_groups=[group]):
                        found = normal_batch(_with_values(batch, stored), stored, str(path), start)
                        if len(stored) < len(schema):
                            found = self._partitions.fill(found, path, schema, batch.num_rows)
                        for first in range(0, batch.num_rows, rows):
                            yield found.slice(first, rows)
                        start += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"the file is damaged: {error}", file=path, row=start) from error

    def _differences(
        self,
        fields: pa.Schema,
        stored: pa.Schema,
        owners: Mapping[str, Path],
        path: Path,
        known: Container[str],
    ) -> dict[str, DataError]:
        """Returns the problems of columns that a file has otherwise than those before; those known are left out."""
        found = repeated_names(stored.names, str(path))
        for name in dict.fromkeys([*fields.names, *stored.names]):
            if name in known or name in found:
                continue
            lacking = next(
                (where for schema, where in ((fields, self._paths[0]), (stored, path)) if name not in schema.names),
                None,
            )
            if lacking is not None:
                message = f"all files of a folder must have the same columns; {lacking} lacks it"
                found[name] = DataError(message, file=path, column=name)
            elif _wider(fields.field(name), stored.field(name)) is None:
                message = (
                    f"all files of a folder must have the same types; {owners[name]} has {fields.field(name).type}, "
                    f"this one {stored.field(name).type}"
                )
                found[name] = DataError(message, file=path, column=name)
        return {name: problem for name, problem in found.items() if name not in known}

    def _may_overflow(self, name: str) -> bool:
        for _, found in self._groups:
            if pa.types.is_null(found.schema.to_arrow_schema().field(name).type):
                continue
            for i in range(found.num_row_groups):
                group = found.row_group(i)
                column = next(c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == name)
                if column.statistics is None or not column.statistics.has_min_max:
                    return True
                if column.statistics.max > np.iinfo(np.int64).max:
                    return True
        return False


def _metadata(path: Path) -> pq.FileMetaData:
    if path.stat().st_size == 0:
        raise DataError("the file is empty", file=path)
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"not a whole Parquet file (truncated, or of another format): {error}", file=path) from error


def _wider(first: pa.Field, other: pa.Field) -> pa.Field | None:
    """Returns which of two fields has room for the values of both, the first if both have; None if none has."""
    kinds = normal_type(first.type), normal_type(other.type)
    if kinds[1] == pa.null() or kinds == (pa.float64(), pa.int64()):
        return first
    if kinds[0] == pa.null() or kinds == (pa.int64(), pa.float64()):
        return other
    return first if normal_schema([first]) == normal_schema([other]) else None


def _with_values(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Returns a batch whose columns of no type, which hold no value, have the types of other files."""
    arrays = list(batch.columns)
    for i, field in enumerate(batch.schema):
        kind = schema.field(field.name).type
        if normal_type(field.type) == pa.null() != kind:
            arrays[i] = pa.nulls(len(batch), kind)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
