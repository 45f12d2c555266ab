"""Vocabularies: from raw values to local ids."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa

from autorec.data.columns import text_keys

MISSING, UNKNOWN, RESERVED = 0, 1, 2


class Vocabulary:
    """Values with an id: 0 is missing, 1 out of vocabulary, `i + 2` the `i`-th value.

    Values are held as text, whole numbers in decimal; `dtype` says what they were.

    Args:
        values: Distinct values by falling training count.
        dtype: `string` or `int`.
    """

    def __init__(self, values: pl.Series, dtype: str) -> None:
        self.values = values
        self.dtype = dtype

    @cached_property
    def _enum(self) -> pl.Enum:
        return pl.Enum(self.values)

    @property
    def size(self) -> int:
        """Number of local ids, the two reserved ones included."""
        return len(self.values) + RESERVED

    def lookup(self, column: pa.DictionaryArray) -> np.ndarray:
        """Returns the local ids of a column, int32."""
        text = text_keys(column.dictionary)
        found = text.cast(self._enum, strict=False).to_physical().cast(pl.Int32) + RESERVED
        ids = found.fill_null(UNKNOWN).to_numpy().copy()
        ids[text.is_null().to_numpy()] = MISSING
        return spread(ids, column)

    def save(self, path: Path) -> None:
        """Writes the values, in order, as Parquet."""
        self.values.alias(self.dtype).to_frame().write_parquet(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        values = pl.read_parquet(path).to_series()
        return cls(values, values.name)


_NO_VALUE = "\0 no value \0"  # has code 0, so that no text of a column has it


class Counts:
    """Counts the values of a column while it streams by, and gives each a provisional code.

    Codes are 0 for missing values, then 1, 2, ... by first appearance; `size` is one more than the last. `finish` turns
    them into local ids.
    """

    def __init__(self) -> None:
        self._categories = pl.Categorical(pl.Categories.random())
        # The mapping from text to code lives as long as some series of this type does.
        self._alive = pl.Series([_NO_VALUE], dtype=self._categories)
        self._counts = np.zeros(1024, np.int64)
        self._first = np.zeros(1024, np.int64)  # the counted row in which each value came first
        self._uncounted = np.ones(1024, bool)
        self._uncounted[0] = False
        self._counted = 0
        self.size = 1
        self._last: tuple[pa.Array, np.ndarray] | None = None

    def codes(self, column: pa.DictionaryArray) -> np.ndarray:
        """Returns the provisional codes of a column, int32."""
        return spread(self._dictionary_codes(column.dictionary), column)

    def _dictionary_codes(self, values: pa.Array) -> np.ndarray:
        known = np.zeros(0, np.int32)
        if self._last is not None and _begins_with(values, self._last[0]):
            known = self._last[1]  # a Parquet row group's dictionary grows from batch to batch
        if len(known) < len(values):
            found = text_keys(values.slice(len(known))).cast(self._categories).to_physical()
            found = found.fill_null(0) if found.null_count() else found
            codes = np.concatenate([known, found.to_numpy().view(np.int32)])
            self.size = max(self.size, int(codes[len(known) :].max()) + 1)
            self._last = (values, codes)
            return codes
        return known

    def add(self, codes: np.ndarray) -> None:
        """Counts codes of training rows."""
        if self.size > len(self._counts):
            more = max(self.size, 2 * len(self._counts)) - len(self._counts)
            self._counts = np.pad(self._counts, (0, more))
            self._first = np.pad(self._first, (0, more))
            self._uncounted = np.pad(self._uncounted, (0, more), constant_values=True)
        if self._uncounted[: self.size].any():
            self._note_first(codes)
        np.add.at(self._counts, codes, 1)
        self._counted += len(codes)

    def _note_first(self, codes: np.ndarray) -> None:
        fresh = np.flatnonzero(np.take(self._uncounted, codes, mode="clip"))[::-1]
        self._first[codes[fresh]] = self._counted + fresh  # of several rows of a value the first is written last
        self._uncounted[codes[fresh]] = False

    def finish(self, dtype: str, min_count: int, max_size: int | None) -> tuple[Vocabulary, np.ndarray]:
        """Returns the vocabulary and the local id of each provisional code.

        Values of one count are ordered by the counted row in which they came first.
        """
        missing = max(0, self.size - len(self._counts))
        counts, first = (np.pad(array, (0, missing))[1 : self.size] for array in (self._counts, self._first))
        order = np.lexsort((first, -counts))
        kept = order[: int((counts >= max(min_count, 1)).sum())][:max_size]
        ids = np.full(self.size, UNKNOWN, np.int32)
        ids[0] = MISSING
        ids[kept + 1] = np.arange(len(kept), dtype=np.int32) + RESERVED
        physical = pl.Series((kept + 1).astype(np.uint32), dtype=pl.UInt32)
        values = physical.cat.to(self._categories).cast(pl.String)
        return Vocabulary(values, dtype), ids


def spread(of_dictionary: np.ndarray, column: pa.DictionaryArray) -> np.ndarray:
    """Returns for each row what its dictionary entry has; 0 where the row is missing."""
    indices = column.indices
    if len(of_dictionary) == 0:
        return np.zeros(len(column), of_dictionary.dtype)
    if indices.null_count:
        of_dictionary = np.append(of_dictionary, of_dictionary.dtype.type(0))
        indices = indices.fill_null(len(of_dictionary) - 1)
    # Arrow has checked the indices; `clip` spares NumPy its own check and a buffer.
    return np.take(of_dictionary, indices.to_numpy(zero_copy_only=False), mode="clip")


def _begins_with(values: pa.Array, start: pa.Array) -> bool:
    if len(values) < len(start) or values.type != start.type:
        return False
    return _same_memory(values, start) or values.slice(0, len(start)).equals(start)


def _same_memory(a: pa.Array, b: pa.Array) -> bool:
    pairs = zip(a.buffers(), b.buffers())
    same = all(x is y or (x is not None and y is not None and x.address == y.address) for x, y in pairs)
    return same and a.offset == b.offset
