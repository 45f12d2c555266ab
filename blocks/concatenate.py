"""All inputs side by side."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks.base import Block, Shape, as_list, as_vector, vector_width


@keras.saving.register_keras_serializable(package="autorec")
class Concatenate(Block):
    """All inputs as one vector: fields flattened, everything joined in its order.

    `y = [x_1, ..., x_n]`

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, sum of width and fields * dim).

    Example:
        >>> Concatenate()([np.ones((4, 2, 8), "float32"), np.ones((4, 3), "float32")])  # (4, 19)
    """

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns one (batch, width)."""
        return as_vector(inputs)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, width)."""
        return (as_list(input_shape)[0][0], vector_width(input_shape))
