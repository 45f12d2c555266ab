"""Embedded ids: one stacked table for all columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from autorec.blocks.base import Block, as_list
from autorec.blocks.hyperparameters import Choice, Hyperparameter
from autorec.blocks.tables import add_table
from autorec.errors import ConfigError

UNKNOWN, RESERVED = 1, 2
# Not zero: where all rows are zero, the gradient of a product of two of them is zero too. Not large: rows that few
# examples move stay noise. Of 0.0001, 0.01, 0.03 and 0.1 as standard deviations, 0.03 (this range) was the best
# compromise for FM and DeepFM: large ones gain on data with many interactions, small ones where rows are rare.
RANGE = 0.05


@keras.saving.register_keras_serializable(package="autorec")
class FieldEmbedding(Block):
    """Rows of one table for the ids of several columns and lists.

    `field_c = table[offset_t + min_t(id_c)]`, `t = columns[c]`

    where `min_t(id)` is the id itself, or 1 (unknown) for an id at or above the table's size or cap. Ids are local to
    their table: 0 missing, 1 unknown, then by falling count, so that a cap keeps the most frequent. Missing and
    unknown values have learned rows like all others.

    Rows are gathered as float32, once for each input, and then cast: under mixed precision the table is never cast
    whole, and its gradient has the touched rows only.

    Args:
        sizes: Number of ids of each table, the two reserved ones included (2 or more).
        dim: Width of the rows (1 or more; searched: 8, 16, 32, first 16).
        columns: For each column of the first input, the number of its table; columns may share one.
        lists: For each further input, the number of its table. Default none.
        caps: For each table, the most rows it has (2 or more) or None. Default None: as many as ids.
        initial: For each table, None or a pair of arrays, ids (rows,) and vectors (rows, width): what the first
            `width` values of these rows start from. The other rows and values start uniform between -0.05 and 0.05.
            It is not part of the configuration: a loaded layer has its weights.

    Shapes:
        One int32 tensor (batch, columns) gives (batch, columns, dim). A list [(batch, columns), (batch, length), ...]
        gives a list [(batch, columns, dim), (batch, length, dim), ...]; without columns the list has no first part.

    Raises:
        ConfigError: If an argument is not allowed, or the inputs do not fit them.

    Example:
        >>> layer = FieldEmbedding(sizes=[1000, 50], dim=16, columns=[0, 1], lists=[0])
        >>> fields, history = layer([ids, items])  # (batch, 2, 16), (batch, length, 16)
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"dim": Choice((8, 16, 32), 16)}

    def __init__(
        self,
        sizes: Sequence[int],
        dim: int,
        columns: Sequence[int],
        lists: Sequence[int] = (),
        caps: Sequence[int | None] | None = None,
        initial: Sequence[tuple[Any, Any] | None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sizes = [int(size) for size in sizes]
        self.dim = dim
        self.columns = [int(number) for number in columns]
        self.lists = [int(number) for number in lists]
        self.caps = None if caps is None else list(caps)
        self.initial = None if initial is None else tuple(initial)
        self._check()
        capped = [None] * len(self.sizes) if self.caps is None else self.caps
        self._rows = [size if cap is None else min(size, cap) for size, cap in zip(self.sizes, capped)]
        self._offsets = [sum(self._rows[:number]) for number in range(len(self._rows))]

    def _check(self) -> None:
        count = len(self.sizes)
        if not count or min(self.sizes) < RESERVED:
            raise ConfigError("sizes", f"whole numbers of {RESERVED} or more, one for each table", self.sizes)
        if self.dim < 1:
            raise ConfigError("dim", "a whole number of 1 or more", self.dim)
        for name, numbers in (("columns", self.columns), ("lists", self.lists)):
            if any(not 0 <= number < count for number in numbers):
                raise ConfigError(name, f"numbers of tables, 0 to {count - 1}", numbers)
        if not self.columns and not self.lists:
            raise ConfigError("columns", "numbers of tables, at least one if there are no lists", self.columns)
        caps = [None] * count if self.caps is None else self.caps
        if len(caps) != count or any(cap is not None and cap < RESERVED for cap in caps):
            raise ConfigError("caps", f"None, or {RESERVED} or more, for each of {count} tables", self.caps)
        if self.initial is not None:
            self._check_initial(self.initial)

    def _check_initial(self, initial: tuple[Any, ...]) -> None:
        if len(initial) != len(self.sizes):
            raise ConfigError("initial", f"None or a pair for each of {len(self.sizes)} tables", len(initial))
        for ids, vectors in (pair for pair in initial if pair is not None):
            shapes = (np.shape(ids), np.shape(vectors))
            fits = (len(shapes[0]), len(shapes[1])) == (1, 2) and shapes[0][0] == shapes[1][0]
            if not fits or shapes[1][1] > self.dim:
                raise ConfigError("initial", f"pairs (rows,), (rows, width) with a width of up to {self.dim}", shapes)

    def build(self, input_shape: Any) -> None:
        """Makes the table."""
        shapes = as_list(input_shape)
        wanted = bool(self.columns) + len(self.lists)
        if len(shapes) != wanted or (self.columns and shapes[0][-1] != len(self.columns)):
            allowed = f"{len(self.columns)} columns of ids" if self.columns else "no columns of ids"
            raise ConfigError("inputs", f"{allowed} and {len(self.lists)} lists", [tuple(s) for s in shapes])
        self.table = add_table(self, "table", (sum(self._rows), self.dim), self._start)
        self.built = True

    def _start(self, shape: Any, dtype: Any = None) -> Any:
        """Initialises the table: noise, with the given vectors in their places."""
        rows = keras.initializers.RandomUniform(-RANGE, RANGE)(shape, dtype)
        if self.initial is None:
            return rows
        table = ops.convert_to_numpy(rows).copy()
        for pair, size, offset in zip(self.initial, self._rows, self._offsets):
            if pair is not None:
                ids, vectors = np.asarray(pair[0]), np.asarray(pair[1])
                kept = (ids >= 0) & (ids < size)
                table[offset + ids[kept], : vectors.shape[1]] = vectors[kept]
        return ops.convert_to_tensor(table, dtype)

    def call(self, inputs: Any) -> Any:
        """Takes ids (batch, columns), or a list of ids and lists; returns their rows in the same structure."""
        numbers: list[Any] = [self.columns] if self.columns else []
        found = [self._gather(ids, owner) for ids, owner in zip(as_list(inputs), [*numbers, *self.lists])]
        return found if isinstance(inputs, (list, tuple)) else found[0]

    def _gather(self, ids: Any, owner: Any) -> Any:
        """Takes ids (batch, n) and the number of their table, or one for each column; returns (batch, n, dim)."""
        limits = np.asarray(self._rows, "int32")[np.asarray(owner)]
        offsets = np.asarray(self._offsets, "int32")[np.asarray(owner)]
        ids = ops.cast(ids, "int32")
        places = ops.where(ids >= limits, UNKNOWN, ids) + offsets
        # `value`: TensorFlow then gathers from the variable itself. Keras would read it whole first, which is a copy of
        # the table at each step once an optimizer has written single rows.
        return ops.cast(ops.take(self.table.value, places, axis=0), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of each input with `dim` behind it, in the same structure."""
        shapes = [(*shape, self.dim) for shape in as_list(input_shape)]
        return shapes if as_list(input_shape) == list(input_shape) else shapes[0]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, without the vectors that the table started from."""
        return {**super().get_config(), "initial": None}
