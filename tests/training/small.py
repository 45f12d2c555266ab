"""A small model with a table, and rows it can learn from."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from autorec.blocks.tables import add_table
from autorec.data.cache import Part
from autorec.data.layout import IdColumn, Layout, TargetColumn

SIZE = 20
COLUMNS = 2


@keras.saving.register_keras_serializable(package="tests")
class Lookup(keras.layers.Layer):
    """(batch, columns) ids -> (batch, columns, dim), one stacked table."""

    def __init__(self, rows: int = SIZE * COLUMNS, dim: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.dim = rows, dim

    def build(self, input_shape: Any) -> None:
        self.table = add_table(self, "table", (self.rows, self.dim), "uniform")

    def call(self, ids: Any) -> Any:
        offsets = np.arange(ids.shape[1], dtype=np.int32) * SIZE
        return keras.ops.take(self.table, ids + offsets, axis=0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rows": self.rows, "dim": self.dim}


def layout(*targets: str, kind: str = "binary") -> Layout:
    columns = tuple(IdColumn(f"c{i}", f"c{i}", SIZE, f"c{i}") for i in range(COLUMNS))
    names = targets or ("click",)
    return Layout(ids=columns, targets=tuple(TargetColumn(name, kind, 0.5, 0.5, 0.0, 1.0) for name in names))


def model(*targets: str, dropout: float = 0.0, seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    ids = keras.Input((COLUMNS,), dtype="int32", name="ids")
    hidden = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(Lookup()(ids)))
    hidden = keras.layers.Dropout(dropout)(hidden)
    return keras.Model({"ids": ids}, {name: keras.layers.Dense(1)(hidden) for name in targets or ("click",)})


def part(rows: int = 400, seed: int = 0, targets: int = 1, weights: bool = False, users: bool = False) -> Part:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, SIZE, (rows, COLUMNS), dtype=np.int32)
    effect = np.sin(np.arange(SIZE))[ids].sum(axis=1)
    labels = (rng.random((rows, targets)) < 1 / (1 + np.exp(-3 * effect[:, None]))).astype(np.float32)
    return Part(
        {"ids": ids},
        labels,
        rng.random(rows, dtype=np.float32) if weights else None,
        ids[:, 0].astype(np.int64) if users else None,
    )
