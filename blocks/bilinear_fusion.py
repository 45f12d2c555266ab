"""Two vectors to a logit."""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import Block, Shape, as_list, as_vector, vector_width
from autorec.blocks.checks import whole
from autorec.blocks.hyperparameters import Choice, Hyperparameter
from autorec.errors import ConfigError


@keras.saving.register_keras_serializable(package="autorec")
class BilinearFusion(Block):
    """A linear term of two vectors each, and the products of their values, head by head.

    `y = w_1 . a + w_2 . b + sum_h a_h^T W_h b_h`

    where `a_h` and `b_h` are the h-th of `heads` equal parts of the vectors. More heads have fewer products: each
    value meets those of its own part. Under any policy it computes in float32 and returns it, for `y` is a term of a
    logit; the constant is the head's.

    Args:
        heads: Number of parts (1 or more, a divisor of both widths; searched: 1, 2, 4; default 2).
        outputs: Number of values, each with weights of its own (1 or more; default 1).

    Shapes:
        A list of two tensors, (batch, width) or (batch, fields, dim) each, gives (batch, outputs).

    Raises:
        ConfigError: If an argument is not allowed, or there are not two inputs that `heads` divides.

    Example:
        >>> BilinearFusion(heads=2)([np.ones((4, 8), "float32"), np.ones((4, 6), "float32")])  # (4, 1)

    Source: Mao et al., FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction, AAAI 2023, multi-head
    bilinear fusion. There each head has linear terms of its own, which together are those of the whole vectors.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"heads": Choice((1, 2, 4), 2)}

    def __init__(self, heads: int = 2, outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.heads = whole("heads", heads)
        self.outputs = whole("outputs", outputs)

    def build(self, input_shape: Any) -> None:
        """Makes the weights of the linear terms and of the products."""
        widths = [vector_width(shape) for shape in as_list(input_shape)]
        if len(widths) != 2 or any(width % self.heads for width in widths):
            raise ConfigError("inputs", f"two tensors whose widths {self.heads} heads divide", widths)
        left, right = (width // self.heads for width in widths)
        self.kernel = self._weight("kernel", (sum(widths), self.outputs), "glorot_uniform")
        limit = sqrt(6 / (left + right))  # of each head by itself
        shape = (self.heads, left, self.outputs * right)
        self.products = self._weight("products", shape, keras.initializers.RandomUniform(-limit, limit))
        self.built = True

    def _weight(self, name: str, shape: tuple[int, ...], initializer: Any) -> Any:
        return self.add_weight(name=name, shape=shape, initializer=initializer, dtype="float32", autocast=False)

    def call(self, inputs: Any) -> Any:
        """Takes two tensors, (batch, width) or (batch, fields, dim); returns (batch, outputs) in float32."""
        left, right = (ops.cast(as_vector(x), "float32") for x in as_list(inputs))
        linear = ops.matmul(ops.concatenate([left, right], axis=-1), self.kernel)
        heads, width, _ = self.products.shape
        parts = ops.transpose(ops.reshape(left, (-1, heads, width)), (1, 0, 2))  # (heads, batch, width)
        mapped = ops.transpose(ops.matmul(parts, self.products), (1, 0, 2))  # (batch, heads, outputs * width)
        mapped = ops.reshape(mapped, (-1, heads, self.outputs, right.shape[1] // heads))
        others = ops.expand_dims(ops.reshape(right, (-1, heads, right.shape[1] // heads)), 2)
        return linear + ops.sum(mapped * others, axis=(1, 3))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, outputs)."""
        return (as_list(input_shape)[0][0], self.outputs)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Returns a symbolic float32 tensor."""
        shapes = [tuple(x.shape) for x in as_list(inputs)]
        return keras.KerasTensor(self.compute_output_shape(shapes), dtype="float32")

    def operations(self, shapes: Any) -> int:
        """Returns the multiply-adds of one row."""
        left, right = (vector_width(shape) for shape in shapes)
        return self.outputs * (left + right + left * right // self.heads + right)
