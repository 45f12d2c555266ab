"""A mean over a sequence in which newer values count more, by how much is learned."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from autorec.blocks.base import Block, Shape

START = 0.05
_FAR = 30.0  # of an exponent


@keras.saving.register_keras_serializable(package="autorec")
class RecencyMean(Block):
    """A weighted mean over a sequence; how fast a value fades with its age is learned, for each column by itself.

    `y_j = sum_l w_lj x_lj / sum_l w_lj`, `w_lj = exp(-d_j age(l))` over `id_l > 0`

    `age(l)` counts the newer values. The decay `d_j` starts at 0.05, a half at the 14th newest value; at 0 it is the
    plain mean, and below older values count more. An empty sequence gives 0. Computed in float32 under any policy.

    Shapes:
        [values (batch, length, dim), ids (batch, length)] gives (batch, dim), float32. Ids of 0 are padding, values
        stand oldest first; the length may be unknown, and 0.

    Example:
        >>> RecencyMean()([ops.ones((1, 3, 8)), ops.array([[5, 7, 0]])])  # (1, 8)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Makes the decays."""
        start, shape = keras.initializers.Constant(START), (input_shape[0][-1],)
        self.decay = self.add_weight(name="decay", shape=shape, initializer=start, dtype="float32", autocast=False)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Takes [(batch, length, dim), (batch, length)]; returns (batch, dim) float32."""
        values, ids = inputs
        present = ops.cast(ids > 0, "float32")
        age = ops.sum(present, axis=1, keepdims=True) - ops.cumsum(present, axis=1)
        exponents = ops.clip(-self.decay * ops.expand_dims(age, -1), -_FAR, _FAR)
        weights = ops.exp(exponents) * ops.expand_dims(present, -1)  # (batch, length, dim)
        total = ops.sum(weights * ops.cast(values, "float32"), axis=1)
        return total / ops.maximum(ops.sum(weights, axis=1), 1e-12)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, dim)."""
        return (input_shape[0][0], input_shape[0][-1])
