"""What sources share whose columns have Arrow types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import pyarrow as pa

from autorec.data import fingerprint
from autorec.data.arrow_types import is_whole, normal, normal_schema
from autorec.data.source import BLOCK, Source, repeated_names
from autorec.errors import DataError

_INDEX = r"__index_level_\d+__"  # what pandas calls an index without a name when it stores a frame


class TypedSource(Source):
    """A source whose rows come as Arrow batches of any types."""

    _fields: pa.Schema

    def _learn(
        self,
        fields: pa.Schema,
        overflows: Callable[[str], bool] = lambda name: False,
        problems: Mapping[str, DataError] | None = None,
    ) -> None:
        """Takes the columns with the types in which they are stored; an index that pandas stored is none.

        Args:
            fields: The columns.
            overflows: Whether an unsigned column holds a number that is no int64; the column is then read as text.
            problems: Of columns that cannot be read, be they among the fields or not.

        Raises:
            DataError: If there is no column, or the problem of the first if none can be read.
        """
        self._fields = fields
        problems = {**repeated_names(fields.names, self.name), **(problems or {})}
        index = [name for name in dict.fromkeys([*fields.names, *problems]) if re.fullmatch(_INDEX, name)]
        self.problems = {name: problem for name, problem in problems.items() if name not in index}
        self.schema, notes = normal_schema(f for f in fields if f.name not in problems and f.name not in index)
        note = "this is the index of a pandas frame, which is not read; `reset_index` makes it a column"
        self.notes = {**notes, **dict.fromkeys(index, note)}
        if not len(self.schema) and not self.notes:
            raise next(iter(self.problems.values()), DataError("there is no column", file=self.name))
        for field in self.schema:
            if fields.field(field.name).type == pa.uint64() and overflows(field.name):
                self.read_as_text(field.name)

    def read_as_text(self, name: str) -> bool:
        index = self.schema.get_field_index(name)
        if index < 0 or not is_whole(self._fields.field(name).type):
            return False
        self.schema = self.schema.set(index, pa.field(name, pa.string()))
        return True

    def batches(self, columns: Sequence[str], rows: int = BLOCK) -> Iterator[pa.RecordBatch]:
        schema = self.select(columns)
        start = 0
        for batch in self._read(list(columns), rows):
            if batch.num_rows:
                yield normal_batch(batch, schema, self.name, start)
                start += batch.num_rows

    def _read(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        raise DataError("this table cannot be read", file=self.name)

    def fingerprint(self) -> str:
        return fingerprint.of_batches(self.batches(self.schema.names))


def normal_batch(batch: pa.RecordBatch, schema: pa.Schema, file: str, start: int) -> pa.RecordBatch:
    """Returns a batch in its normal types.

    Raises:
        DataError: If a value does not fit its column's type.
    """
    arrays = []
    for field in schema:
        try:
            arrays.append(normal(batch.column(field.name), field.type))
        except pa.ArrowException as error:
            raise DataError(
                f"a value does not fit the type {field.type}: {error}", file=file, row=start, column=field.name
            ) from error
    return pa.RecordBatch.from_arrays(arrays, names=schema.names)
