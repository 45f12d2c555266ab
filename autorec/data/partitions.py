"""Columns that stand in the names of folders, as Hive and Spark write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

_MISSING = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"-?[0-9]+")


class Partitions:
    """The columns that the folders of files name: in `day=5/hour=7/x.parquet`, `day` is 5 in every row.

    A column is of whole numbers if every value is one, else of text; a file whose path does not name it misses it.

    Args:
        root: Folder of the table; only what lies below it counts.
        paths: Its files.
        stored: Columns that the files themselves hold; they are none of these.
    """

    def __init__(self, root: Path, paths: Sequence[Path], stored: Sequence[str]) -> None:
        self._values = {path: _values(path.relative_to(root)) for path in paths} if root.is_dir() else {}
        names = dict.fromkeys(name for values in self._values.values() for name in values if name not in stored)
        self.fields = [pa.field(name, self._kind(name)) for name in names]
        self.names = list(names)

    def fill(self, batch: pa.RecordBatch, path: Path, schema: pa.Schema, rows: int) -> pa.RecordBatch:
        """Returns rows of a file with the columns of a schema: those of a batch, and of these those it asks for."""
        arrays = [
            self._column(path, field, rows) if field.name in self.names else batch.column(field.name)
            for field in schema
        ]
        return pa.RecordBatch.from_arrays(arrays, names=schema.names)

    def words(self) -> list[list[str | None]]:
        """Returns the values of each file, in the order of the files."""
        return [[values.get(name) for name in self.names] for values in self._values.values()]

    def _kind(self, name: str) -> pa.DataType:
        known = [text for values in self._values.values() if (text := values.get(name)) is not None]
        if not known:
            return pa.null()
        return pa.int64() if all(map(_is_whole, known)) else pa.string()

    def _column(self, path: Path, field: pa.Field, rows: int) -> pa.Array:
        text = self._values[path].get(field.name)
        if text is None:
            return pa.nulls(rows, pa.string() if field.type == pa.null() else field.type)
        if field.type == pa.int64():
            return pa.array(np.full(rows, int(text)))
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), [text])


def _values(path: Path) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for part in path.parts[:-1]:
        name, sign, value = part.partition("=")
        if name and sign:
            found[unquote(name)] = None if value == _MISSING else unquote(value)
    return found


def _is_whole(text: str) -> bool:
    return _WHOLE.fullmatch(text) is not None and -(2**63) < int(text) < 2**63
