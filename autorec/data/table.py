"""From whatever holds a table to a source that streams it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from autorec.data.any_column import to_arrow
from autorec.data.frames import (
    ArrowSource,
    DatasetSource,
    LabelledSource,
    LazySource,
    LogSource,
    from_columns,
    from_pandas,
)
from autorec.data.parquet import ParquetSource
from autorec.data.source import Source
from autorec.data.text import TextSource
from autorec.errors import ConfigError, DataError

__all__ = ["Source", "as_source"]

_ALLOWED = (
    "a path (Parquet, a folder of Parquet files, CSV, TSV, also .gz), a pandas, Polars or PyArrow table, a dict of "
    "arrays, or a NumPy matrix with `y`"
)


def as_source(data: Any, y: Any = None, target: str | Sequence[str] | None = None, *, empty: bool = False) -> Source:
    """Returns the source of a table in any of the forms that AutoRec takes.

    Args:
        data: Path of a Parquet, CSV or TSV file (the last two also gzipped) or of a folder of Parquet files; pandas
            or Polars frame (also lazy); PyArrow table, record batch or dataset; dict of arrays; NumPy matrix, whose
            columns are called `x0`, `x1`, ...; click log; or a source, which is returned as it is.
        y: The target's values, if `data` does not hold them.
        target: The target's name, if `y` is given; by default that of `y`, else `target`.
        empty: Whether it may have no row.

    Raises:
        ConfigError: If `data` is none of these.
        DataError: If it cannot be read, is empty, or `y` does not fit it.

    Example:
        >>> as_source({"user": ["a", "b"], "click": [0, 1]}).rows
        2
    """
    source = data if isinstance(data, Source) else _source(data)
    if source.rows == 0 and not empty:
        raise DataError("there are no rows", file=source.name)
    if y is None:
        return source
    name = _target_name(y, target)
    return LabelledSource(source, name, _labels(y, name))


def _source(data: Any) -> Source:
    if isinstance(data, str | Path):
        return _from_path(Path(data).expanduser())
    library = type(data).__module__.partition(".")[0]
    if isinstance(data, pl.DataFrame):
        return ArrowSource(data.to_arrow(), "polars.DataFrame")
    if isinstance(data, pl.LazyFrame):
        return LazySource(data)
    if isinstance(data, pa.Table):
        return ArrowSource(data, "pyarrow.Table")
    if isinstance(data, pa.RecordBatch):
        return ArrowSource(pa.Table.from_batches([data]), "pyarrow.RecordBatch")
    if library == "pyarrow" and hasattr(data, "to_batches") and hasattr(data, "count_rows"):
        return DatasetSource(data)
    if library == "pandas" and getattr(data, "ndim", 0) == 2:
        return from_pandas(data)
    if isinstance(data, Mapping):
        return from_columns(data, "dict")
    if isinstance(data, np.ndarray):
        return _from_matrix(data)
    if all(hasattr(data, name) for name in ("name", "schema", "rows", "batches")):
        return LogSource(data)
    raise ConfigError("data", _ALLOWED, data if isinstance(data, int | float | bool | None) else type(data))


def _from_path(path: Path) -> Source:
    if not path.exists():
        raise DataError("there is no such file or folder", file=path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if path.is_dir() or suffixes[-1:] in ([".parquet"], [".pq"]):
        return ParquetSource(path)
    plain = suffixes[:-1] if suffixes[-1:] == [".gz"] else suffixes
    if plain[-1:] in ([".csv"], [".tsv"]):
        if path.stat().st_size == 0:
            raise DataError("the file is empty", file=path)
        return TextSource(path)
    raise DataError(
        f"a file's name must end in .parquet, .csv, .tsv, .csv.gz or .tsv.gz, got {path.suffix or 'no suffix'!r}",
        file=path,
    )


def _from_matrix(data: np.ndarray) -> Source:
    if data.dtype.names:
        return from_columns({name: data[name] for name in data.dtype.names}, "numpy.ndarray")
    if data.ndim != 2:
        raise DataError(f"a NumPy array must have two dimensions (rows, columns), got shape {data.shape}")
    return from_columns({f"x{i}": data[:, i] for i in range(data.shape[1])}, "numpy.ndarray")


def _target_name(y: Any, target: str | Sequence[str] | None) -> str:
    if target is None:
        own = getattr(y, "name", None)
        return own if isinstance(own, str) and own else "target"
    names = [target] if isinstance(target, str) else list(target)
    if len(names) != 1:
        raise ConfigError("target", "one name where `y` is given", target)
    return names[0]


def _labels(y: Any, name: str) -> pa.Array:
    if isinstance(y, pl.DataFrame) or getattr(y, "ndim", 1) == 2:
        if y.shape[1] != 1:
            raise DataError(f"`y` must have one column, got shape {tuple(y.shape)}", column=name)
        y = np.asarray(y)[:, 0]
    array = to_arrow(y, name, "y")
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
