"""Lists to one vector."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import Block, Shape
from autorec.blocks.hyperparameters import Choice, Hyperparameter
from autorec.errors import unknown_name

MODES = ("mean", "sum", "max")


@keras.saving.register_keras_serializable(package="autorec")
class Pooling(Block):
    """The mean, sum or largest of a list's vectors.

    `y = mode({v_l : id_l > 0})`, each value by itself; an empty list gives 0.

    Args:
        mode: `mean`, `sum` or `max` (searched; default `mean`).

    Shapes:
        [values (batch, length, dim), ids (batch, length)] gives (batch, dim). Ids of 0 are padding; the length may be
        unknown, and 0.

    Raises:
        ConfigError: If `mode` is not one of these.

    Example:
        >>> items = ops.array([[5, 7, 0]])
        >>> Pooling("mean")([ops.ones((1, 3, 8)), items])  # (1, 8)
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"mode": Choice(MODES, "mean")}

    def __init__(self, mode: str = "mean", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mode not in MODES:
            raise unknown_name("mode", mode, MODES)
        self.mode = mode

    def call(self, inputs: Any) -> Any:
        """Takes [(batch, length, dim), (batch, length)]; returns (batch, dim)."""
        values, ids = inputs
        present = ops.expand_dims(ids > 0, -1)  # (batch, length, 1)
        if self.mode == "max":
            lowest = float("-inf")
            largest = ops.max(ops.where(present, values, lowest), axis=1, initial=lowest)
            return ops.where(ops.any(present, axis=1), largest, 0.0)
        total = ops.sum(ops.where(present, values, 0.0), axis=1)
        if self.mode == "sum":
            return total
        count = ops.sum(ops.cast(present, values.dtype), axis=1)
        return total / ops.maximum(count, 1.0)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, dim)."""
        return (input_shape[0][0], input_shape[0][2])
