"""Encodes a log into a cache on disk, in one pass over the source and memory that does not grow with its rows.

Values get provisional ids by first appearance while the source streams by; when the counts of the training rows are
known, the ids on disk are rewritten to local ids in place, and the statistics columns are made from them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from autorec.data import columns
from autorec.data.cache import FORMAT, META, Cache, PartWriter, open_part
from autorec.data.encoder import TIME_IDS, TIME_NUMBERS, Encoder, column_of, table_of
from autorec.data.layout import IdColumn, Layout, ListColumn, TargetColumn
from autorec.data.lists import Lists
from autorec.data.numbers import NumberSample, number_columns, target_moments
from autorec.data.order import windowed_order
from autorec.data.schema import Schema
from autorec.data.split import assign
from autorec.data.statistics_columns import StatisticsColumns
from autorec.data.table import Source
from autorec.data.vocabulary import Counts, Vocabulary
from autorec.errors import ConfigError, DataError, unknown_name
from autorec.files import new_folder, write_json

BLOCK = 65_536
Progress = Callable[[dict[str, Any]], None]


def encode(
    source: Source,
    schema: Schema,
    directory: str | Path,
    *,
    validation: Source | None = None,
    split: str = "random",
    fraction: float = 0.1,
    seed: int = 0,
    statistics: str | None = "ordered",
    progress: Progress | None = None,
) -> Cache:
    """Encodes a source into a new cache and returns it.

    Vocabularies, moments, quantiles and statistics are learned from the training rows only.

    Args:
        source: The rows.
        schema: What to read, and as what.
        directory: Where the cache goes; written aside, then renamed.
        validation: Validation rows; None splits them off `source`.
        split: How: `random`, `time` or `user`.
        fraction: Share of rows to split off.
        seed: Seed of the split and of the order of the statistics.
        statistics: `ordered`, `kfold` or None.
        progress: Called with `{"event": "encode", "rows": ..., "of": ...}`.

    Raises:
        DataError: If a column cannot be read, a part is empty, or the disk is full.
    """
    directory = Path(directory)
    if statistics not in ("ordered", "kfold", None):
        raise unknown_name("statistics", statistics, ("ordered", "kfold"))
    mask = None if validation is not None else assign(source, schema, split, fraction, seed)
    try:
        with new_folder(directory) as folder:
            work = _Work(schema, folder, progress or (lambda event: None))
            work.read(source, mask, counted=True)
            if validation is not None:
                work.read(validation, np.ones(validation.rows or 0, bool), counted=False)
            encoder, meta = work.finish(statistics, seed)
            encoder.save(folder / "encoder")
            meta |= {"format": FORMAT, "fingerprint": source.fingerprint()}
            write_json(folder / META, meta)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError("the disk is full; encoding needs about 8 bytes for each value", file=directory) from error
        raise
    return Cache.open(directory)


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Reads one batch ahead in another thread."""
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(next, batches, None)
        while (batch := pending.result()) is not None:
            pending = pool.submit(next, batches, None)
            yield batch


@dataclass
class _Work:
    """The state of one encoding."""

    schema: Schema
    folder: Path
    progress: Progress
    counts: dict[str, Counts] = field(default_factory=dict)
    sample: NumberSample = field(default_factory=NumberSample)
    groups: Counts = field(default_factory=Counts)
    latest: dict[str, int] = field(default_factory=dict)
    times: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.writers = {name: PartWriter(self.folder / name) for name in ("train", "validation")}
        for feature in self.schema:
            if feature.kind in ("categorical", "bag", "sequence"):
                self.counts.setdefault(table_of(feature), Counts())

    def read(self, source: Source, mask: np.ndarray | None, counted: bool) -> None:
        start = 0
        for batch in _ahead(iter(source.batches(self.schema.columns, BLOCK))):
            rows = slice(start, start + batch.num_rows)
            held = np.zeros(batch.num_rows, bool) if mask is None else _held(mask, rows)
            try:
                self._add(batch, held)
            except DataError as error:
                if error.row is None:
                    raise
                message = str(error).split(": ", 1)[-1]
                raise DataError(message, file=source.name, row=error.row + start, column=error.column) from error
            start = rows.stop
            self.progress({"event": "encode", "rows": start, "of": source.rows})

    def _add(self, batch: pa.RecordBatch, held: np.ndarray) -> None:
        train = np.flatnonzero(~held)
        arrays = self._arrays(batch, train)
        labels = np.stack([columns.numbers(column_of(batch, name), name) for name in self.schema.targets], 1)
        labels = labels.astype(np.float32)
        weights = None
        if self.schema.weight:
            weights = columns.numbers(column_of(batch, self.schema.weight)).astype(np.float32)
        users = self._groups(batch)
        if self.schema.time:
            self.times.append(columns.order_values(column_of(batch, self.schema.time))[train])
        for name, rows in (("train", train), ("validation", np.flatnonzero(held))):
            if len(rows):
                chosen = {group: _rows_of(array, rows, len(labels)) for group, array in arrays.items()}
                self.writers[name].append(
                    chosen,
                    labels[rows],
                    None if weights is None else weights[rows],
                    None if users is None else users[rows],
                )

    def _arrays(self, batch: pa.RecordBatch, train: np.ndarray) -> dict[str, Any]:
        ids: list[np.ndarray] = []
        numbers: list[np.ndarray] = []
        lists: list[Lists] = []
        for feature in self.schema:
            column = column_of(batch, feature.name)
            if feature.kind == "categorical":
                counter = self.counts[table_of(feature)]
                codes = counter.codes(columns.keys(column, feature))
                counter.add(codes[train])
                ids.append(codes)
            elif feature.kind == "numeric":
                numbers.append(columns.numbers(column, feature.name))
            elif feature.kind == "time":
                micros = columns.microseconds(column, feature.unit)
                self._note_latest(feature.name, micros[train])
                ids.extend(columns.time_ids(micros).T)
                numbers.extend(_provisional_times(micros))
            else:
                lists.append(self._list(feature, column, train))
        arrays: dict[str, Any] = {f"list_{i}": values for i, values in enumerate(lists)}
        if ids:
            arrays["ids"] = np.stack(ids, 1, dtype=np.int32)
        if numbers:
            arrays["numbers"] = np.stack(numbers, 1, dtype=np.float64)
            self.sample.add(arrays["numbers"][train])
        return arrays

    def _list(self, feature: Any, column: pa.Array, train: np.ndarray) -> Lists:
        offsets, values = columns.flat_list(column, feature)
        counter = self.counts[table_of(feature)]
        found = Lists(offsets, counter.codes(values.dictionary_encode()))
        counter.add(found.rows(train).values)
        return found

    def _note_latest(self, name: str, micros: np.ndarray) -> None:
        if len(micros):
            self.latest[name] = max(self.latest.get(name, columns.MISSING_INT), int(micros.max()))

    def _groups(self, batch: pa.RecordBatch) -> np.ndarray | None:
        name = self.schema.group or self.schema.user
        if name is None:
            return None
        column = column_of(batch, name)
        column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        return self.groups.codes(column).astype(np.int64)

    def finish(self, statistics: str | None, seed: int) -> tuple[Encoder, dict[str, Any]]:
        description = {name: writer.close() for name, writer in self.writers.items()}
        for name, part in description.items():
            if part["rows"] == 0:
                raise DataError(f"there is no {name} row; {self.writers['train'].rows} rows were read")
        vocabularies, ids_of = self._vocabularies()
        encoder = Encoder(self.schema, self._layout(vocabularies, description), vocabularies, latest=self._last_times())
        for name, part in description.items():
            self._rewrite(name, part, encoder.layout, ids_of)
        if statistics is not None and encoder.layout.ids:
            self.progress({"event": "statistics"})
            StatisticsColumns(encoder, self.folder, description, self._order(description, seed), statistics).make()
        return encoder, {"parts": description}

    def _last_times(self) -> dict[str, int]:
        return {name: 0 if value == columns.MISSING_INT else value for name, value in self.latest.items()}

    def _vocabularies(self) -> tuple[dict[str, Vocabulary], dict[str, np.ndarray]]:
        vocabularies, ids_of = {}, {}
        for name, counter in self.counts.items():
            owner = next((feature for feature in self.schema if feature.name == name), None)
            if owner is None or owner.kind not in ("categorical", "bag", "sequence"):
                raise ConfigError("vocabulary", f"the name of a categorical feature of {self.schema.names}", name)
            dtype = "string" if owner.dtype == "string" else "int"
            vocabularies[name], ids_of[name] = counter.finish(dtype, owner.min_count, owner.max_size)
        return vocabularies, ids_of

    def _layout(self, vocabularies: dict[str, Vocabulary], description: dict[str, Any]) -> Layout:
        ids: list[IdColumn] = []
        numbers: list[tuple[str, str]] = []
        lists: list[ListColumn] = []
        for feature in self.schema:
            name, table = feature.name, table_of(feature)
            if feature.kind == "categorical":
                size = vocabularies[table].size
                ids.append(IdColumn(name, name, size, table, feature.dim, feature.pretrained))
            elif feature.kind == "numeric":
                numbers.append((name, name))
            elif feature.kind == "time":
                ids.extend(IdColumn(f"{name}:{part}", name, size, f"{name}:{part}") for part, size in TIME_IDS)
                numbers.extend((f"{name}:{part}", name) for part in TIME_NUMBERS)
            else:
                size, group = vocabularies[table].size, f"list_{len(lists)}"
                length = feature.max_length
                lists.append(
                    ListColumn(name, group, feature.kind, size, table, length, feature.dim, feature.pretrained)
                )
        sample = self.sample.rows
        for i, (name, feature_name) in enumerate(numbers):
            if name == f"{feature_name}:age":
                sample[:, i] = (self._last_times()[feature_name] - sample[:, i]) / columns.DAY
        return Layout(
            ids=tuple(ids),
            numbers=number_columns(sample, numbers),
            lists=tuple(lists),
            targets=self._targets(open_part(self.folder / "train", description["train"]).labels),
            user=self.schema.user,
            item=self.schema.item,
        )

    def _targets(self, labels: np.ndarray) -> tuple[TargetColumn, ...]:
        found = []
        for i, name in enumerate(self.schema.targets):
            values = np.asarray(labels[:, i])
            binary = bool(np.isin(values[~np.isnan(values)], (0.0, 1.0)).all())
            found.append(TargetColumn(name, "binary" if binary else "real", **target_moments(values)))
        return tuple(found)

    def _rewrite(self, name: str, part: dict[str, Any], layout: Layout, ids_of: dict[str, np.ndarray]) -> None:
        """Turns provisional ids into local ids, and times into ages, in the files."""
        files = {key: self._open(name, key, part) for key in part["files"] if key not in ("labels", "weights", "users")}
        for column in layout.lists:
            values = files[f"{column.group}.values"]
            for start in range(0, len(values), BLOCK):
                values[start : start + BLOCK] = ids_of[column.table][values[start : start + BLOCK]]
        ages = [(i, c.feature) for i, c in enumerate(layout.numbers) if c.name == f"{c.feature}:age"]
        remap = [(i, ids_of[c.table]) for i, c in enumerate(layout.ids) if c.table in ids_of]
        for start in range(0, part["rows"], BLOCK):
            rows = slice(start, start + BLOCK)
            if remap:
                block = files["ids"][rows].copy()
                for i, table in remap:
                    block[:, i] = table[block[:, i]]
                files["ids"][rows] = block
            for i, feature in ages:
                files["numbers"][rows, i] = (self._last_times()[feature] - files["numbers"][rows, i]) / columns.DAY

    def _open(self, name: str, key: str, part: dict[str, Any]) -> np.ndarray:
        dtype, width = part["files"][key]
        path = self.folder / name / f"{key}.bin"
        if path.stat().st_size == 0:
            return np.zeros((0, width) if width else 0, dtype)
        flat = np.memmap(path, dtype, "r+")
        return flat.reshape(-1, width) if width else flat

    def _order(self, description: dict[str, Any], seed: int) -> np.ndarray:
        rng = np.random.default_rng([seed, 7])
        rows = description["train"]["rows"]
        order = rng.permutation(rows) if rows <= 4_000_000 else windowed_order(rows, rng)
        if self.times:
            order = order[np.argsort(np.concatenate(self.times)[order], kind="stable")]
        return order


def _provisional_times(micros: np.ndarray) -> list[np.ndarray]:
    """Returns the number columns of a time, with the time itself in the place of its age."""
    found = list(columns.time_numbers(micros, 0).T)
    found[0] = np.where(micros == columns.MISSING_INT, np.nan, micros.astype(np.float64))
    return found


def _held(mask: np.ndarray, rows: slice) -> np.ndarray:
    return mask[rows] if len(mask) >= rows.stop else np.ones(rows.stop - rows.start, bool)


def _rows_of(array: Any, rows: np.ndarray, total: int) -> Any:
    if len(rows) == total:
        return array
    return array.rows(rows) if isinstance(array, Lists) else array[rows]
