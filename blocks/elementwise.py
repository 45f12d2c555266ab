"""Vectors put together position by position."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import Block, Shape, as_list, as_vector, vector_width
from autorec.blocks.hyperparameters import Choice, Hyperparameter
from autorec.errors import unknown_name

PAIRWISE: dict[str, Callable[[Any, Any], Any]] = {
    "sum": ops.add,
    "average": ops.add,
    "multiply": ops.multiply,
    "max": ops.maximum,
    "min": ops.minimum,
}


@keras.saving.register_keras_serializable(package="autorec")
class Elementwise(Block):
    """The sum, average, product, largest or least of several vectors, position by position.

    `y_d = mode(x_1d, ..., x_nd)`

    Inputs are flattened. Where their widths differ, those above the least are projected to it linearly, each by a
    kernel of its own, without bias. A product of many small vectors vanishes: `multiply` is for two or three.

    Args:
        mode: `sum`, `average`, `multiply`, `max` or `min` (searched; default `average`).

    Shapes:
        A list of tensors, (batch, width) or (batch, fields, dim), gives (batch, least width). One tensor (batch,
        fields, dim) counts as its fields and gives (batch, dim); one vector stays what it is.

    Raises:
        ConfigError: If `mode` is not one of these.

    Example:
        >>> Elementwise("multiply")([2 * np.ones((4, 8), "float32"), np.ones((4, 8), "float32")])  # (4, 8) of 2
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"mode": Choice(tuple(PAIRWISE), "average")}

    def __init__(self, mode: str = "average", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mode not in PAIRWISE:
            raise unknown_name("mode", mode, PAIRWISE)
        self.mode = mode

    def build(self, input_shape: Any) -> None:
        """Makes a kernel for each input above the least width."""
        least = _least_width(input_shape)
        shapes = as_list(input_shape)
        widths = [vector_width(shape) for shape in shapes] if len(shapes) > 1 else [least]
        self.kernels = [
            None
            if width == least
            else self.add_weight(name=f"kernel_{i}", shape=(width, least), initializer="glorot_uniform")
            for i, width in enumerate(widths)
        ]
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, least width)."""
        tensors = as_list(inputs)
        if len(tensors) > 1:
            vectors = [as_vector(x) for x in tensors]
            vectors = [x if kernel is None else ops.matmul(x, kernel) for x, kernel in zip(vectors, self.kernels)]
        else:
            vectors = ops.unstack(tensors[0], axis=1) if len(tensors[0].shape) == 3 else tensors
        result = reduce(PAIRWISE[self.mode], vectors)
        return result / len(vectors) if self.mode == "average" else result

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, least width)."""
        return (as_list(input_shape)[0][0], _least_width(input_shape))


def _least_width(input_shape: Any) -> int:
    shapes = as_list(input_shape)
    return min(vector_width(shape) for shape in shapes) if len(shapes) > 1 else int(shapes[0][-1])
