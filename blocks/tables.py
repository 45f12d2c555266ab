"""Embedding tables: the variables that a step touches in a few rows only."""

from __future__ import annotations

from typing import Any

import keras


def add_table(layer: keras.layers.Layer, name: str, shape: tuple[int, int], initializer: Any = "uniform") -> Any:
    """Adds a table variable to a layer and records it in `layer._tables`; the only way to make one.

    Optimizers, quantization, pretraining and growth find tables by this record (`autorec.training.tables`), not by
    name or shape. A table is float32 under any policy and is not cast when it is read (a cast would touch every row):
    gather rows first, then cast them.

    Args:
        layer: The layer, in its `build`.
        name: Name of the variable.
        shape: (rows, dim).
        initializer: Keras initializer of the rows.

    Returns:
        The variable.

    Example:
        >>> def build(self, input_shape):
        ...     self.table = add_table(self, "table", (1000, 16))
    """
    table = layer.add_weight(name=name, shape=shape, initializer=initializer, dtype="float32", autocast=False)
    # Past Keras's `__setattr__`, which would track the variable a second time.
    layer.__dict__.setdefault("_tables", []).append(table)
    table.is_table = True  # an optimizer sees variables, not layers
    return table
