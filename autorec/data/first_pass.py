"""The first pass of an encoding: rows with provisional ids on disk, and what was learned while they streamed by."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from autorec.data import columns
from autorec.data.cache import PartWriter
from autorec.data.encoder import column_of, table_of
from autorec.data.lists import Lists
from autorec.data.numbers import NumberSample
from autorec.data.schema import Feature, Schema
from autorec.data.source import BLOCK, Source, placed
from autorec.data.vocabulary import Counts
from autorec.errors import DataError

_AHEAD = 4
_STRETCH = 2048


@dataclass
class _Rows:
    """A batch of rows, column by column."""

    train: np.ndarray
    held: np.ndarray
    ids: list[np.ndarray]
    numbers: list[np.ndarray]
    lists: list[Lists]
    labels: np.ndarray
    weights: np.ndarray | None
    users: np.ndarray | None


class FirstPass:
    """Reads sources and writes their rows, with provisional ids, into the files of the parts.

    Reading, encoding and writing of successive batches overlap; the columns of a batch are encoded side by side.

    Args:
        schema: What to read, and as what.
        folder: Where the parts go.
        parts: Their names; `train` alone where no row is held out.
    """

    def __init__(self, schema: Schema, folder: Path, parts: Sequence[str] = ("train", "validation")) -> None:
        self.schema = schema
        self.writers = {name: PartWriter(folder / name) for name in parts}
        self.counts: dict[str, Counts] = {}
        self.sample = NumberSample()
        self.latest: dict[str, int] = {}
        self.times: list[np.ndarray] = []
        self.pool = ThreadPoolExecutor(os.cpu_count() or 1)
        self._groups = Counts()
        self._buffers: dict[str, np.ndarray] = {}
        for feature in schema:
            if feature.kind in ("categorical", "bag", "sequence"):
                self.counts.setdefault(table_of(feature), Counts())

    def read(self, source: Source, mask: np.ndarray | None) -> Iterator[int]:
        """Adds the rows of a source; gives the number of rows read so far, batch by batch.

        Args:
            source: The rows.
            mask: True for validation rows; None if there are none. Rows behind its end are validation rows.

        Raises:
            DataError: If a value cannot be read as what the schema says.
        """
        start = 0
        with ThreadPoolExecutor(1) as writing:
            pending: Future[None] | None = None
            for batch in _ahead(iter(source.batches(self.schema.columns, BLOCK))):
                held = _held(mask, slice(start, start + batch.num_rows))
                try:
                    rows = self._encode(batch, held)
                except DataError as error:
                    raise placed(error, source, start) from error
                if pending is not None:
                    pending.result()
                pending = writing.submit(self._append, rows)
                start += batch.num_rows
                yield start
            if pending is not None:
                pending.result()

    def last_times(self) -> dict[str, int]:
        """Returns the time of the last training row for each time feature, microseconds."""
        return {name: 0 if value == columns.MISSING_INT else value for name, value in self.latest.items()}

    def close(self) -> None:
        """Closes the files, also those of an encoding that failed."""
        self.pool.shutdown(cancel_futures=True)
        for writer in self.writers.values():
            writer.close()

    def _encode(self, batch: pa.RecordBatch, held: np.ndarray) -> _Rows:
        schema = self.schema
        train = np.flatnonzero(~held)
        labels = np.stack([columns.numbers(column_of(batch, name), name) for name in schema.targets], 1)
        weights = None
        if schema.weight:
            weights = columns.numbers(column_of(batch, schema.weight)).astype(np.float32)
        rows = _Rows(
            train, np.flatnonzero(held), [], [], [], labels.astype(np.float32), weights, self._group_codes(batch)
        )
        if schema.time:
            self.times.append(columns.order_values(column_of(batch, schema.time), schema.time)[train])
        self._encode_features(batch, rows)
        return rows

    def _encode_features(self, batch: pa.RecordBatch, rows: _Rows) -> None:
        encoded = self._columns(batch, rows.train)
        for feature in self.schema:
            column = encoded[feature.name]
            if feature.kind == "categorical":
                rows.ids.append(column)
            elif feature.kind == "numeric":
                rows.numbers.append(column)
            elif feature.kind == "time":
                self._note_latest(feature.name, column[rows.train])
                rows.ids.extend(columns.time_ids(column).T)
                rows.numbers.extend(_provisional_times(column))
            else:
                rows.lists.append(column)

    def _columns(self, batch: pa.RecordBatch, train: np.ndarray) -> dict[str, Any]:
        """Returns each feature's values or provisional ids; features that share a table go one after the other."""
        jobs: dict[tuple[str, str], list[Feature]] = {}
        for feature in self.schema:
            shares = feature.kind not in ("numeric", "time")
            jobs.setdefault(("table", table_of(feature)) if shares else ("column", feature.name), []).append(feature)

        def work(features: list[Feature]) -> list[tuple[str, Any]]:
            return [(f.name, self._column(column_of(batch, f.name), f, train)) for f in features]

        return {name: values for found in self.pool.map(work, jobs.values()) for name, values in found}

    def _column(self, column: pa.Array, feature: Feature, train: np.ndarray) -> Any:
        if feature.kind == "numeric":
            return columns.numbers(column, feature.name)
        if feature.kind == "time":
            return columns.microseconds(column, feature.unit, feature.name)
        counter = self.counts[table_of(feature)]
        if feature.kind == "categorical":
            codes = counter.codes(columns.keys(column, feature))
            counter.add(codes if len(train) == len(codes) else np.take(codes, train, mode="clip"))
            return codes
        offsets, values = columns.flat_list(column, feature)
        found = Lists(offsets, counter.codes(values.dictionary_encode()))
        counter.add(found.rows(train).values)
        return found

    def _note_latest(self, name: str, micros: np.ndarray) -> None:
        if len(micros):
            self.latest[name] = max(self.latest.get(name, columns.MISSING_INT), int(micros.max()))

    def _group_codes(self, batch: pa.RecordBatch) -> np.ndarray | None:
        name = self.schema.group or self.schema.user
        if name is None:
            return None
        return self._groups.codes(columns.dictionary(column_of(batch, name))).astype(np.int64)

    def _append(self, rows: _Rows) -> None:
        arrays: dict[str, Any] = {f"list_{i}": values for i, values in enumerate(rows.lists)}
        if rows.ids:
            arrays["ids"] = _side_by_side(rows.ids, self._buffer("ids", rows.ids, np.int32))
        if rows.numbers:
            arrays["numbers"] = _side_by_side(rows.numbers, self._buffer("numbers", rows.numbers, np.float64))
            self.sample.add(arrays["numbers"], rows.train)
        for name, chosen in (("train", rows.train), ("validation", rows.held)):
            if len(chosen):
                self.writers[name].append(
                    {group: self._rows_of(group, array, chosen) for group, array in arrays.items()},
                    rows.labels[chosen],
                    None if rows.weights is None else rows.weights[chosen],
                    None if rows.users is None else rows.users[chosen],
                )

    def _rows_of(self, group: str, array: Any, rows: np.ndarray) -> Any:
        if isinstance(array, Lists):
            return array.rows(rows)
        if len(rows) == len(array):
            return array
        out = self._buffers[f"{group} chosen"][: len(rows)]
        return np.take(array, rows, axis=0, out=out, mode="clip")

    def _buffer(self, group: str, columns: list[np.ndarray], dtype: Any) -> np.ndarray:
        """Returns an array for a batch, the same each time: fresh memory costs more than what is done with it."""
        rows = len(columns[0])
        if len(self._buffers.get(group, ())) < rows:
            self._buffers[group] = np.empty((rows, len(columns)), dtype)
            self._buffers[f"{group} chosen"] = np.empty((rows, len(columns)), dtype)
        return self._buffers[group][:rows]


def _side_by_side(columns: list[np.ndarray], out: np.ndarray) -> np.ndarray:
    """Puts columns side by side into (rows, columns), in stretches of rows that stay in the processor's cache."""
    for start in range(0, len(out), _STRETCH):
        rows = slice(start, start + _STRETCH)
        for i, column in enumerate(columns):
            out[rows, i] = column[rows]
    return out


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Reads some batches ahead in another thread: a source may read many at once and then none for a while."""
    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(next, batches, None) for _ in range(_AHEAD))
        while (batch := pending.popleft().result()) is not None:
            pending.append(pool.submit(next, batches, None))
            yield batch


def _held(mask: np.ndarray | None, rows: slice) -> np.ndarray:
    if mask is None:
        return np.zeros(rows.stop - rows.start, bool)
    return mask[rows] if len(mask) >= rows.stop else np.ones(rows.stop - rows.start, bool)


def _provisional_times(micros: np.ndarray) -> list[np.ndarray]:
    """Returns the number columns of a time, with the time itself in the place of its age."""
    found = list(columns.time_numbers(micros, 0).T)
    found[0] = np.where(micros == columns.MISSING_INT, np.nan, micros.astype(np.float64))
    return found
