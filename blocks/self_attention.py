"""Self-attention between fields."""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import AsFields, Block, Shape
from autorec.blocks.checks import flag, whole
from autorec.blocks.hyperparameters import Boolean, Choice, Hyperparameter, Int


@keras.saving.register_keras_serializable(package="autorec")
class SelfAttention(Block):
    """Every field as a mixture of all fields, by how well they match; several heads, several layers.

    `a^h_ij = softmax_j(<Q_h v_i, K_h v_j> / sqrt(dim))`, `v'_i = relu([sum_j a^h_ij V_h v_j : h] + R v_i)`

    for each layer; `Q_h`, `K_h`, `V_h` have `dim` rows, `R` has `heads * dim`, none has a bias.

    Args:
        dim: Width of each head (1 or more; searched: 8, 16, 32; default 16).
        heads: Number of heads (1 or more; searched: 1 to 4; default 2).
        layers: Number of layers (1 or more; searched: 1 to 3; default 2).
        residual: Whether there is `R v_i` (searched; default True).
        scaled: Whether products are divided by `sqrt(dim)` (default True).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, fields, heads * dim). Inputs of
        several widths are projected to the least one; a vector is one field.

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> SelfAttention(dim=16, heads=2, layers=3)(np.ones((4, 26, 16), "float32"))  # (4, 26, 32)

    Source: Song et al., AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks, CIKM 2019,
    equations 5 to 8. There products are not scaled; `scaled` is of Vaswani et al., Attention Is All You Need, 2017.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {
        "dim": Choice((8, 16, 32), 16),
        "heads": Int(1, 4, default=2),
        "layers": Int(1, 3, default=2),
        "residual": Boolean(True),
    }

    def __init__(
        self, dim: int = 16, heads: int = 2, layers: int = 2, residual: bool = True, scaled: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dim = whole("dim", dim)
        self.heads = whole("heads", heads)
        self.layers = whole("layers", layers)
        self.residual = flag("residual", residual)
        self.scaled = flag("scaled", scaled)
        self.as_fields = AsFields(dtype=self.dtype_policy)

    def build(self, input_shape: Any) -> None:
        """Makes a kernel for each layer: queries, keys, values and residual side by side."""
        self.as_fields.build(input_shape)
        width, size, parts = self.as_fields.width, self.heads * self.dim, 4 if self.residual else 3
        self.kernels = []
        for layer in range(self.layers):
            limit = sqrt(6 / (width + size))  # of each part by itself
            initializer = keras.initializers.RandomUniform(-limit, limit)
            kernel = self.add_weight(name=f"kernel_{layer}", shape=(width, parts * size), initializer=initializer)
            self.kernels.append(kernel)
            width = size
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, fields, heads * dim)."""
        x = self.as_fields(inputs)
        for kernel in self.kernels:
            x, _ = self._attend(x, kernel)
        return x

    def attention(self, inputs: Any) -> list[Any]:
        """Returns what each layer attends to: (batch, heads, fields, fields), rows summing to 1."""
        x, found = self.as_fields(inputs), []
        for kernel in self.kernels:
            x, weights = self._attend(x, kernel)
            found.append(weights)
        return found

    def _attend(self, x: Any, kernel: Any) -> tuple[Any, Any]:
        """Takes (batch, fields, width); returns the next (batch, fields, heads * dim) and the attention."""
        fields, size = x.shape[1], self.heads * self.dim
        query, key, value, *residual = ops.split(ops.matmul(x, kernel), kernel.shape[1] // size, axis=-1)
        query, key, value = (
            ops.transpose(ops.reshape(part, (-1, fields, self.heads, self.dim)), (0, 2, 1, 3))
            for part in (query, key, value)
        )  # (batch, heads, fields, dim)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        scores = scores / sqrt(self.dim) if self.scaled else scores
        weights = ops.softmax(scores) if fields > 1 else ops.ones_like(scores)  # Keras warns of a softmax of one
        mixed = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        mixed = ops.reshape(mixed, (-1, fields, size))
        return ops.relu(sum(residual, mixed)), weights

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, fields, heads * dim)."""
        batch, fields, _ = self.as_fields.compute_output_shape(input_shape)
        return (batch, fields, self.heads * self.dim)
