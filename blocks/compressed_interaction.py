"""Products of fields of rising degree, compressed after each."""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import AsFields, Block, Shape, as_list
from autorec.blocks.checks import whole
from autorec.blocks.hyperparameters import Choice, Hyperparameter, Int


@keras.saving.register_keras_serializable(package="autorec")
class CompressedInteraction(Block):
    """Each layer multiplies all of its rows with all fields and compresses the products to a few rows again.

    `X^0 = fields`, `X^l_h = sum_i sum_j W^l_hij (X^{l-1}_i * X^0_j)`, `y = [sum_d X^l_hd : l, h]`

    where `*` is elementwise: layer `l` holds products of `l + 1` fields. There is no activation, as in the paper's best
    setting, and each layer both feeds the next one and is summed into the output.

    Args:
        layers: Number of layers (1 or more; searched: 1 to 3; default 2).
        maps: Rows of each layer (1 or more; searched: 16, 32, 64; default 32).
        dim: Width that fields of another width are projected to, see `AsFields` (1 or more). None (default) keeps
            the fields' own width, the least one where they differ.

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, layers * maps). A vector is one
        field. In between, each layer but the last holds (batch, dim, fields * maps) values.

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> CompressedInteraction(layers=2, maps=16)(np.ones((4, 26, 16), "float32"))  # (4, 32)

    Source: Lian et al., xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender Systems, KDD
    2018, compressed interaction network.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"layers": Int(1, 3, default=2), "maps": Choice((16, 32, 64), 32)}

    def __init__(self, layers: int = 2, maps: int = 32, dim: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layers = whole("layers", layers)
        self.maps = whole("maps", maps)
        self.dim = None if dim is None else whole("dim", dim)
        self.as_fields = AsFields(self.dim, dtype=self.dtype_policy)

    def build(self, input_shape: Any) -> None:
        """Makes a kernel for each layer."""
        self.as_fields.build(input_shape)
        fields = self.as_fields.compute_output_shape(input_shape)[1] or 1
        self.kernels = []
        for layer in range(self.layers):
            pairs = fields * (self.maps if layer else fields)
            limit = sqrt(6 / (pairs + self.maps))
            initializer = keras.initializers.RandomUniform(-limit, limit)
            kernel = self.add_weight(name=f"kernel_{layer}", shape=(pairs, self.maps), initializer=initializer)
            self.kernels.append(kernel)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, layers * maps)."""
        fields = ops.transpose(self.as_fields(inputs), (0, 2, 1))  # (batch, dim, fields)
        x, outputs = fields, []
        for kernel in self.kernels[:-1]:
            products = ops.expand_dims(x, 3) * ops.expand_dims(fields, 2)  # (batch, dim, rows, fields)
            x = ops.matmul(ops.reshape(products, (-1, fields.shape[1], kernel.shape[0])), kernel)
            outputs.append(ops.sum(x, axis=1))
        # Of the last layer only its sum over the width is wanted: of the products alone, dim times less work.
        products = ops.matmul(ops.transpose(x, (0, 2, 1)), fields)  # (batch, rows, fields)
        outputs.append(ops.matmul(ops.reshape(products, (-1, self.kernels[-1].shape[0])), self.kernels[-1]))
        return outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, layers * maps)."""
        return (as_list(input_shape)[0][0], self.layers * self.maps)

    def operations(self, shapes: Any) -> int:
        """Returns the multiply-adds of one row."""
        _, fields, dim = self.as_fields.compute_output_shape(list(shapes))
        width = dim or 1
        projected = [size for size, kernel in zip(shapes, self.as_fields.kernels) if kernel is not None]
        total = sum(width * (size[1] if len(size) == 2 else size[1] * size[2]) for size in projected)
        for kernel in self.kernels[:-1]:
            total += width * kernel.shape[0] * (1 + self.maps)
        return int(total + self.kernels[-1].shape[0] * (width + self.maps))
