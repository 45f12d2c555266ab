"""Encodes a log into a cache on disk, in one pass over the source and memory that does not grow with its rows.

Values get provisional ids by first appearance while the source streams by; when the counts of the training rows are
known, the ids on disk are rewritten to local ids in place, and the statistics columns are made from them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from autorec.data import columns
from autorec.data.attributes import write_attributes
from autorec.data.cache import FORMAT, META, Cache, open_part
from autorec.data.encoder import TIME_IDS, TIME_NUMBERS, Encoder, table_of
from autorec.data.first_pass import FirstPass
from autorec.data.layout import IdColumn, Layout, ListColumn, TargetColumn
from autorec.data.long_labels import LongSource, learn_thresholds
from autorec.data.numbers import number_columns, target_moments
from autorec.data.order import windowed_order
from autorec.data.pretrained import write_local
from autorec.data.rewrite import rewrite
from autorec.data.schema import Schema
from autorec.data.schema_checks import check_schema
from autorec.data.source import BLOCK
from autorec.data.split import assign
from autorec.data.statistics_columns import StatisticsColumns
from autorec.data.table import Source, as_source
from autorec.data.thresholds import Thresholds
from autorec.data.trees import TreeColumns
from autorec.data.vocabulary import Vocabulary
from autorec.errors import DataError, unknown_name
from autorec.files import new_folder, write_json

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
    trees: bool = False,
    progress: Progress | None = None,
    deadline: float | None = None,
) -> Cache:
    """Encodes a source into a new cache and returns it.

    Vocabularies, moments, knots, statistics and what is long are learned from the training rows only.

    Args:
        source: The rows.
        schema: What to read, and as what.
        directory: Where the cache goes; written aside, then renamed.
        validation: Validation rows; None splits them off `source`.
        split: How: `random`, `time` or `user`.
        fraction: Share of rows to split off.
        seed: Seed of the split and of the order of the statistics.
        statistics: `ordered`, `kfold` or None.
        trees: Whether to grow small forests, whose predictions and leaves become the groups `margins` and `leaves`;
            see `autorec.data.trees`.
        progress: Called with `{"event": "encode", "rows": ..., "of": ...}`, with `{"event": "statistics"}`, with
            `{"event": "trees"}` and with `{"event": "message", "text": ...}`.
        deadline: `time.monotonic()` at which the statistics of pairs of columns and the forests have to be done, or
            None. What there is no time for is left out, as a message says; all else is made.

    Raises:
        ConfigError: If the schema contradicts itself or its pretrained vectors cannot be used, before any row is read;
            if they are of no value of the column, behind it.
        DataError: If a column cannot be read, a part is empty, or the disk is full.
    """
    directory, source = Path(directory), as_source(source)
    if statistics not in ("ordered", "kfold", None):
        raise unknown_name("statistics", statistics, ("ordered", "kfold"))
    check_schema(schema)
    mask = None if validation is not None else assign(source, schema, split, fraction, seed)
    reading: list[_Reading] = [(source, mask)]
    if validation is not None:
        reading.append((validation, np.zeros(0, bool)))
    how = _How(statistics, trees, seed, progress or (lambda event: None), deadline)
    thresholds = learn_thresholds(source, schema, mask)
    return _encode(reading, schema, directory, ("train", "validation"), thresholds, how, source.fingerprint)


def encode_all(
    sources: Sequence[Source],
    schema: Schema,
    directory: str | Path,
    *,
    like: Cache,
    seed: int = 0,
    statistics: str | None = "ordered",
    progress: Progress | None = None,
    deadline: float | None = None,
) -> Cache:
    """Encodes all rows of some sources as training rows of a new cache, which has no validation rows.

    Vocabularies, moments, knots, statistics and forests are those of all rows. What is long, of which pairs of
    columns there are statistics and what is an attribute of an item stays what it is in another cache: it says what is
    learned, not from what.

    Args:
        sources: Where the rows are, in this order.
        schema: As in `encode`.
        directory: As in `encode`.
        like: The cache of the same rows whose models are trained again on these: it has trees if that one has.
        seed, statistics, progress, deadline: As in `encode`.

    Raises:
        DataError: As `encode` does.
    """
    pairs = [(first, second) for first, second in dict.fromkeys(column.sources for column in like.layout.pairs)]
    attributes = {column.name: column.attributes for column in like.layout.lists if column.means}
    trees = like.encoder.forest is not None
    how = _How(statistics, trees, seed, progress or (lambda event: None), deadline, pairs, attributes)
    reading: list[_Reading] = [(source, None) for source in sources]
    return _encode(reading, schema, Path(directory), ("train",), like.encoder.thresholds, how, lambda: like.fingerprint)


# A source, and its validation rows as `FirstPass.read` takes them.
_Reading = tuple[Source, np.ndarray | None]


@dataclass(frozen=True)
class _How:
    """How the columns beyond the rows' own are made; see `encode`."""

    statistics: str | None
    trees: bool
    seed: int
    progress: Progress
    deadline: float | None
    pairs: list[tuple[str, str]] | None = None  # instead of the schema's
    attributes: dict[str, tuple[str, ...]] | None = None  # instead of those that are found


def _encode(
    reading: Sequence[_Reading],
    schema: Schema,
    directory: Path,
    parts: tuple[str, ...],
    thresholds: Mapping[str, Thresholds],
    how: _How,
    fingerprint: Callable[[], str],
) -> Cache:
    """Reads sources one behind the other into the parts of a new cache."""
    try:
        with _system_memory(), new_folder(directory) as folder:
            used = schema if how.pairs is None else replace(schema, pairs=how.pairs)
            with closing(FirstPass(used, folder, parts)) as first:
                for source, mask in reading:
                    labelled = LongSource(source, thresholds) if thresholds else source
                    for rows in first.read(labelled, mask):
                        how.progress({"event": "encode", "rows": rows, "of": source.rows})
                encoder, meta = _Finish(first, folder, how).finish()
            encoder.schema, encoder.thresholds = schema, dict(thresholds)
            encoder.save(folder / "encoder")
            meta |= {"format": FORMAT, "fingerprint": fingerprint()}
            write_json(folder / META, meta)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError("the disk is full; encoding needs about 8 bytes for each value", file=directory) from error
        raise
    return Cache.open(directory)


@contextmanager
def _system_memory() -> Iterator[None]:
    """Lets Arrow allocate from the system: its own pool takes, and clears, huge pages that a stream never fills.

    That cost .7 s of 2M rows.
    """
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


@dataclass
class _Finish:
    """From the first pass to the cache."""

    first: FirstPass
    folder: Path
    how: _How

    @property
    def schema(self) -> Schema:
        return self.first.schema

    def finish(self) -> tuple[Encoder, dict[str, Any]]:
        how = self.how
        description = {name: writer.close() for name, writer in self.first.writers.items()}
        for name, part in description.items():
            if part["rows"] == 0:
                raise DataError(f"there is no {name} row; {self.first.writers['train'].rows} rows were read")
        self._scale_weights(description)
        vocabularies, ids_of = self._vocabularies()
        vectors = self._vectors(vocabularies)
        layout = self._layout(vocabularies, description)
        encoder = Encoder(self.schema, layout, vocabularies, latest=self.first.last_times())
        for name, part in description.items():
            self._rewrite(name, part, layout, ids_of)
        train = open_part(self.folder / "train", description["train"])
        encoder.layout, attributes = write_attributes(layout, train, self.folder, how.attributes)
        for column in encoder.layout.lists:
            if column.attributes and how.attributes is None:
                self._say(f"`{column.name}`: items are compared by {', '.join(column.attributes)} too")
        if how.statistics is not None and layout.ids:
            how.progress({"event": "statistics"})
            order = self._order(description, how.seed)
            StatisticsColumns(encoder, self.folder, description, order, how.statistics, how.deadline, self._say).make()
        if how.trees:
            how.progress({"event": "trees"})
            TreeColumns(encoder, self.folder, description, how.seed, how.deadline, self._say).make()
        return encoder, {"parts": description, "pretrained": vectors, "attributes": attributes}

    def _scale_weights(self, description: Mapping[str, Any]) -> None:
        """Divides the rows' weights by their mean over the training rows: their unit says nothing.

        Otherwise it would be a factor of the losses, and what stands beside them, an L2, would weigh more or less.
        """
        if self.schema.weight is None:
            return
        weights = {
            name: np.memmap(self.folder / name / "weights.bin", np.float32, "r+") for name, part in description.items()
        }
        mean = float(np.mean(weights["train"], dtype=np.float64))
        for each in weights.values():
            if mean > 0.0:
                each /= np.float32(mean)
                each.flush()

    def _say(self, text: str) -> None:
        self.how.progress({"event": "message", "text": text})

    def _vocabularies(self) -> tuple[dict[str, Vocabulary], dict[str, np.ndarray]]:
        jobs = {}
        # The largest first: begun last, one thread would be left alone with it.
        for name, counter in sorted(self.first.counts.items(), key=lambda item: -item[1].size):
            owner = self.schema[name]
            dtype = "string" if owner.dtype == "string" else "int"
            jobs[name] = self.first.pool.submit(counter.finish, dtype, owner.min_count, owner.max_size)
        found = {name: jobs[name].result() for name in self.first.counts}
        return {name: pair[0] for name, pair in found.items()}, {name: pair[1] for name, pair in found.items()}

    def _vectors(self, vocabularies: dict[str, Vocabulary]) -> dict[str, str]:
        """Writes pretrained vectors; returns the file of each table that has some."""
        written = write_local(self.schema, vocabularies, self.folder)
        for vectors in written:
            self._say(f"`{vectors.feature}`: pretrained vectors for {vectors.known} of {vectors.values} values")
        return {vectors.table: vectors.file for vectors in written}

    def _layout(self, vocabularies: dict[str, Vocabulary], description: dict[str, Any]) -> Layout:
        ids: list[IdColumn] = []
        numbers: list[tuple[str, str]] = []
        lists: list[ListColumn] = []
        for feature in self.schema:
            name, table = feature.name, table_of(feature)
            if feature.kind == "categorical":
                size = vocabularies[table].size
                ids.append(IdColumn(name, name, size, table, feature.dim))
            elif feature.kind == "numeric":
                numbers.append((name, name))
            elif feature.kind == "time":
                ids.extend(IdColumn(f"{name}:{part}", name, size, f"{name}:{part}") for part, size in TIME_IDS)
                numbers.extend((f"{name}:{part}", name) for part in TIME_NUMBERS)
            else:
                size, group = vocabularies[table].size, f"list_{len(lists)}"
                length = feature.max_length
                lists.append(ListColumn(name, group, feature.kind, size, table, length, feature.dim))
        sample = self.first.sample.rows
        for i, (name, feature_name) in enumerate(numbers):
            if name == f"{feature_name}:age":
                sample[:, i] = (self.first.last_times()[feature_name] - sample[:, i]) / columns.DAY
        return Layout(
            ids=tuple(ids),
            numbers=number_columns(sample, numbers, self.first.pool),
            lists=tuple(lists),
            targets=self._targets(open_part(self.folder / "train", description["train"]).labels),
            user=self.schema.user,
            item=self.schema.item,
        )

    def _targets(self, labels: np.ndarray) -> tuple[TargetColumn, ...]:
        found = []
        for i, name in enumerate(self.schema.targets):
            values = labels[:, i]
            binary = all(_is_binary(values[start : start + BLOCK]) for start in range(0, len(values), BLOCK))
            found.append(TargetColumn(name, "binary" if binary else "real", **target_moments(values)))
        return tuple(found)

    def _rewrite(self, name: str, part: dict[str, Any], layout: Layout, ids_of: dict[str, np.ndarray]) -> None:
        """Turns provisional ids into local ids, and times into ages, in the files."""

        def change(key: str, how: Callable[[np.ndarray], np.ndarray]) -> None:
            if key in part["files"]:
                dtype, width = part["files"][key]
                rewrite(self.folder / name / f"{key}.bin", dtype, width, how, self.first.pool)

        for column in layout.lists:
            change(f"{column.group}.values", partial(np.take, ids_of[column.table]))
        tables = [ids_of[c.table] if c.table in ids_of else np.arange(c.size, dtype=np.int32) for c in layout.ids]
        if tables:
            joined, starts = np.concatenate(tables), np.cumsum([0, *map(len, tables)])[:-1]
            change("ids", lambda block: np.take(joined, block + starts, mode="clip"))
        latest = self.first.last_times()
        ages = {i: latest[c.feature] for i, c in enumerate(layout.numbers) if c.name == f"{c.feature}:age"}
        if ages:
            change("numbers", lambda block: _with_ages(block, ages))

    def _order(self, description: dict[str, Any], seed: int) -> np.ndarray:
        rng = np.random.default_rng([seed, 7])
        rows = description["train"]["rows"]
        order = rng.permutation(rows) if rows <= 4_000_000 else windowed_order(rows, rng)
        if self.first.times:
            order = order[np.argsort(np.concatenate(self.first.times)[order], kind="stable")]
        return order


def _with_ages(block: np.ndarray, ages: dict[int, int]) -> np.ndarray:
    block = block.copy()
    for column, last in ages.items():
        block[:, column] = (last - block[:, column]) / columns.DAY
    return block


def _is_binary(labels: np.ndarray) -> bool:
    return bool(((labels == 0) | (labels == 1) | np.isnan(labels)).all())
