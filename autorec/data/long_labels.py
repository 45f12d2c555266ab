"""Labels of long targets: thresholds learned from training rows, and a source that applies them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from autorec.data import columns
from autorec.data.encoder import column_of
from autorec.data.long_target import LongTarget
from autorec.data.schema import Schema
from autorec.data.source import BLOCK, Source, even_rows
from autorec.data.thresholds import Thresholds, keys_of
from autorec.errors import DataError

#: Training rows that thresholds are learned from, at most: spread evenly over all of them.
MOST = 2_000_000


def learn_thresholds(source: Source, schema: Schema, mask: np.ndarray | None) -> dict[str, Thresholds]:
    """Returns the thresholds of a schema's long targets, from the training rows alone.

    Args:
        source: The rows.
        schema: Names the long targets.
        mask: True for validation rows; None if there are none in the source.

    Raises:
        DataError: If a column is absent, or a target is missing in every training row or long in none.
    """
    return {name: _learn(source, name, long, mask) for name, long in (schema.long or {}).items()}


def _learn(source: Source, name: str, long: LongTarget, mask: np.ndarray | None) -> Thresholds:
    values, keys = _training_values(source, name, long, mask)
    known = ~np.isnan(values)
    if not known.any():
        raise DataError("the target is missing in every training row", file=source.name, column=name)
    contexts: dict[str, float] = {}
    if long.by:
        frame = pl.DataFrame({"key": keys, "value": values}).filter(pl.Series(known))
        quantile = pl.col("value").quantile(long.quantile, "linear")
        found = frame.group_by("key").agg(quantile, pl.len().alias("rows")).filter(pl.col("rows") >= long.least)
        contexts = dict(found.sort("key").select("key", "value").iter_rows())
    thresholds = Thresholds(long.by, float(np.quantile(values[known], long.quantile)), contexts)
    if not (thresholds.of(keys) < values).any():
        message = f"no training row is above the quantile {long.quantile:g} of its context; take a smaller `quantile`"
        raise DataError(message, file=source.name, column=name)
    return thresholds


def _training_values(
    source: Source, name: str, long: LongTarget, mask: np.ndarray | None
) -> tuple[np.ndarray, pl.Series]:
    """Returns a target's values in the training rows, and the contexts of these rows."""
    total = source.count()
    rows = np.arange(total) if mask is None else np.flatnonzero(~mask)
    chosen = rows[even_rows(len(rows), MOST)]
    values, keys, start = [np.zeros(0)], [pl.Series([], dtype=pl.String)], 0
    for batch in source.batches(list(dict.fromkeys([name, *long.by]))):
        low, high = np.searchsorted(chosen, (start, start + batch.num_rows))
        taken = chosen[low:high] - start
        values.append(columns.numbers(column_of(batch, name), name)[taken])
        if long.by:
            some = pa.array(taken)
            keys.append(keys_of([column_of(batch, column).take(some) for column in long.by]))
        start += batch.num_rows
    return np.concatenate(values), pl.concat(keys)


class LongSource(Source):
    """A source whose long targets are 0 and 1.

    Args:
        source: The rows.
        thresholds: Target -> its thresholds.
    """

    def __init__(self, source: Source, thresholds: Mapping[str, Thresholds]) -> None:
        self._source, self._thresholds = source, thresholds
        self.name, self.rows, self.notes = source.name, source.rows, source.notes
        self.problems = source.problems
        self.schema = self._schema()

    def _schema(self) -> pa.Schema:
        fields = [pa.field(f.name, pa.float64()) if f.name in self._thresholds else f for f in self._source.schema]
        return pa.schema(fields)

    def batches(self, names: Sequence[str], rows: int = BLOCK) -> Iterator[pa.RecordBatch]:
        fields = self.select(names)
        made = [name for name in names if name in self._thresholds]
        read = list(dict.fromkeys([*names, *(column for name in made for column in self._thresholds[name].by)]))
        for batch in self._source.batches(read, rows):
            arrays = {name: column_of(batch, name) for name in names}
            for name in made:
                thresholds = self._thresholds[name]
                contexts = [column_of(batch, column) for column in thresholds.by]
                arrays[name] = pa.array(thresholds.labels(columns.numbers(arrays[name], name), contexts))
            yield pa.RecordBatch.from_arrays([arrays[name] for name in fields.names], names=fields.names)

    def fingerprint(self) -> str:
        return self._source.fingerprint()

    def line(self, row: int) -> int:
        return self._source.line(row)

    def read_as_text(self, name: str) -> bool:
        return self._took(self._source.read_as_text(name))

    def read_as_missing(self, name: str) -> bool:
        return self._took(self._source.read_as_missing(name))

    def _took(self, changed: bool) -> bool:
        if changed:
            self.schema = self._schema()
        return changed
