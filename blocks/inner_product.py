"""The inner product of vectors."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from autorec.blocks.base import Block, Shape, as_list
from autorec.blocks.elementwise import Elementwise


@keras.saving.register_keras_serializable(package="autorec")
class InnerProduct(Block):
    """The sum over all positions of the product of all inputs; of two, their inner product.

    `y = sum_d x_1d ... x_nd`

    Inputs are flattened and brought to one width as in `Elementwise`. Under any policy it computes in float32 and
    returns it, for `y` is a term of a logit.

    Shapes:
        A list of tensors, (batch, width) or (batch, fields, dim), gives (batch, 1). One tensor (batch, fields, dim)
        counts as its fields; of one vector the sum of its values is left.

    Example:
        >>> InnerProduct()([2 * np.ones((4, 8), "float32"), np.ones((4, 8), "float32")])  # (4, 1) of 16

    Source: for two inputs, Koren, Bell, Volinsky, Matrix Factorization Techniques for Recommender Systems, Computer
    2009, equation 1.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.product = Elementwise("multiply", dtype="float32")

    def build(self, input_shape: Any) -> None:
        """Makes the kernels of projected inputs."""
        self.product.build(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, 1) in float32."""
        return ops.sum(self.product(inputs), axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, 1)."""
        return (as_list(input_shape)[0][0], 1)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Returns a symbolic float32 tensor."""
        shapes = [tuple(x.shape) for x in as_list(inputs)]
        return keras.KerasTensor(self.compute_output_shape(shapes), dtype="float32")
