"""The cache: encoded rows on disk, one flat binary file for each group of columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from autorec.data.encoder import Encoder
from autorec.data.layout import Layout
from autorec.data.lists import Lists
from autorec.data.schema import Schema
from autorec.errors import DataError

FORMAT = 2
META = "cache.json"


@dataclass
class Part:
    """Encoded rows with their labels.

    Args:
        arrays: Group -> (rows, columns) array, or `Lists`.
        labels: (rows, targets) float32, NaN where unlabelled.
        weights: (rows,) float32, or None.
        users: (rows,) int64, equal numbers for rows of one group, or None.
    """

    arrays: Mapping[str, Any]
    labels: np.ndarray
    weights: np.ndarray | None = None
    users: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.labels)

    def take(self, rows: np.ndarray | slice, groups: Iterable[str]) -> dict[str, np.ndarray]:
        """Returns some rows of some groups as arrays."""
        found = {}
        for group in groups:
            array = self.arrays[group]
            found[group] = array.take(rows) if isinstance(array, Lists) else rows_of(array, rows)
        return found

    def row_bytes(self, groups: Iterable[str]) -> int:
        """Returns the mean size of a row in these groups."""
        total = 0
        for group in groups:
            array = self.arrays[group]
            total += array.values.nbytes if isinstance(array, Lists) else array.nbytes
        return total // max(self.rows, 1)


def rows_of(array: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
    """Returns some rows of an array."""
    # `take` gathers whole rows, four times as fast as an index into an array of two dimensions.
    return np.asarray(array[rows]) if isinstance(rows, slice) else np.take(np.asarray(array), rows, axis=0)


@dataclass
class PartWriter:
    """Appends encoded batches to the files of a part."""

    folder: Path
    rows: int = 0
    _files: dict[str, BinaryIO] = field(default_factory=dict)
    _columns: dict[str, tuple[str, int]] = field(default_factory=dict)
    _ends: dict[str, int] = field(default_factory=dict)

    def append(
        self,
        arrays: Mapping[str, Any],
        labels: np.ndarray,
        weights: np.ndarray | None,
        users: np.ndarray | None,
    ) -> None:
        """Appends rows; the groups must be the same in every call."""
        for group, array in arrays.items():
            if isinstance(array, Lists):
                self._append_lists(group, array)
            else:
                self._write(group, array)
        self._write("labels", labels)
        if weights is not None:
            self._write("weights", weights)
        if users is not None:
            self._write("users", users)
        self.rows += len(labels)

    def _append_lists(self, group: str, lists: Lists) -> None:
        end = self._ends.get(group, 0)
        if group not in self._ends:
            self._write(f"{group}.offsets", np.zeros(1, np.int64))
        self._write(f"{group}.offsets", lists.offsets[1:] + end)
        self._write(f"{group}.values", lists.values)
        self._ends[group] = end + int(lists.offsets[-1])

    def _write(self, name: str, array: np.ndarray) -> None:
        if name not in self._files:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._files[name] = (self.folder / f"{name}.bin").open("wb")
            self._columns[name] = (array.dtype.str, array.shape[1] if array.ndim == 2 else 0)
        self._files[name].write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")

    def close(self) -> dict[str, Any]:
        """Closes the files; returns what `open_part` needs."""
        for file in self._files.values():
            file.close()
        return {"rows": self.rows, "files": {name: list(column) for name, column in self._columns.items()}}


def open_part(folder: Path, description: Mapping[str, Any]) -> Part:
    """Opens a part's files as memory maps.

    Raises:
        DataError: If a file is absent or shorter than it was written.
    """
    rows = description["rows"]
    arrays: dict[str, Any] = {}
    for name, (dtype, columns) in description["files"].items():
        count = None if name.endswith(".values") else rows + name.endswith(".offsets")
        arrays[name] = _map(folder / f"{name}.bin", np.dtype(dtype), columns, count)
    groups = {name: array for name, array in arrays.items() if "." not in name}
    for name in arrays:
        if name.endswith(".offsets"):
            group = name.removesuffix(".offsets")
            groups[group] = Lists(arrays[name], arrays[f"{group}.values"])
            if groups[group].offsets[-1] != len(groups[group].values):
                raise _damaged(folder / f"{group}.values.bin")
    labels = groups.pop("labels") if "labels" in groups else np.zeros((0, 1), np.float32)
    return Part(groups, labels, groups.pop("weights", None), groups.pop("users", None))


def _damaged(path: Path) -> DataError:
    return DataError("the cache file is absent or not as it was written; delete the cache to encode anew", file=path)


def _map(path: Path, dtype: np.dtype[Any], columns: int, rows: int | None) -> np.ndarray:
    width = dtype.itemsize * max(columns, 1)
    size = path.stat().st_size if path.exists() else -1
    if size < 0 or size % width or (rows is not None and size != rows * width):
        raise _damaged(path)
    shape = (size // width, columns) if columns else (size // width,)
    if size == 0:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "r", shape=shape)


@dataclass
class Cache:
    """An encoded log: its parts, and the encoder that made them.

    Args:
        directory: Where it is.
        encoder: Encodes other rows in the same way.
        meta: Fingerprint of the data, the description of the parts, and where the pretrained vectors of a table and
            the attributes of a list's items are.
    """

    directory: Path
    encoder: Encoder
    meta: dict[str, Any]

    @classmethod
    def open(cls, directory: str | Path) -> Self:
        """Opens a finished cache.

        Raises:
            DataError: If there is none, or of another format.
        """
        directory = Path(directory)
        path = directory / META
        if not path.exists():
            raise DataError("not a finished cache", file=directory)
        try:
            meta = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _damaged(path) from error
        if meta.get("format") != FORMAT:
            raise DataError(f"cache of format {meta.get('format')}, this version reads {FORMAT}", file=directory)
        encoder = Encoder.load(directory / "encoder")

        def paths(key: str) -> dict[str, str]:
            return {name: str(directory.absolute() / file) for name, file in meta.get(key, {}).items()}

        encoder.layout = encoder.layout.with_files(paths("pretrained"), paths("attributes"))
        return cls(directory, encoder, meta)

    @property
    def layout(self) -> Layout:
        """Layout of the encoded rows."""
        return self.encoder.layout

    @property
    def schema(self) -> Schema:
        """Schema the rows were encoded by."""
        return self.encoder.schema

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the data."""
        return str(self.meta["fingerprint"])

    @cached_property
    def train(self) -> Part:
        """The training rows."""
        return open_part(self.directory / "train", self.meta["parts"]["train"])

    @cached_property
    def validation(self) -> Part:
        """The validation rows; `encode_all` makes a cache that has none."""
        return open_part(self.directory / "validation", self.meta["parts"]["validation"])
