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
    """A weighted mean over a sequence; how fast a value fades with its age is learned.

    `y = sum_l w_l x_l / sum_l w_l`, `w_l = exp(-d age(l))` over `id_l > 0`

    `age(l)` counts the newer values. The decay `d` starts at 0.05, by which the 14th newest value counts half; at 0
    this is the plain mean, and below it older values count more. An empty sequence gives 0. It computes in float32
    under any policy.

    Shapes:
        [values (batch, length, dim), ids (batch, length)] gives (batch, dim), float32. Ids of 0 are padding, values
        stand oldest first; the length may be unknown, and 0.

    Example:
        >>> RecencyMean()([ops.ones((1, 3, 8)), ops.array([[5, 7, 0]])])  # (1, 8)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Makes the decay."""
        start = keras.initializers.Constant(START)
        self.decay = self.add_weight(name="decay", shape=(), initializer=start, dtype="float32", autocast=False)

    def call(self, inputs: Any) -> Any:
        """Takes [(batch, length, dim), (batch, length)]; returns (batch, dim) float32."""
        values, ids = inputs
        present = ops.cast(ids > 0, "float32")
        age = ops.sum(present, axis=1, keepdims=True) - ops.cumsum(present, axis=1)
        weights = present * ops.exp(ops.clip(-self.decay * age, -_FAR, _FAR))  # (batch, length)
        weights = weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1e-12)
        return ops.squeeze(ops.matmul(ops.expand_dims(weights, 1), ops.cast(values, "float32")), 1)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, dim)."""
        return (input_shape[0][0], input_shape[0][-1])

    def operations(self, shapes: Any) -> int:
        """Returns 0, as of all pooling."""
        return 0
