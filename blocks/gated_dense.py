"""A layer with a gate on each of its values."""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import Block, Shape, as_list, as_vector, vector_width
from autorec.blocks.checks import activation_name, whole
from autorec.blocks.hyperparameters import Choice, Hyperparameter

#: What the gates' biases start from: a gate is then open by .88.
OPEN = 2.0


@keras.saving.register_keras_serializable(package="autorec")
class GatedDense(Block):
    """A fully connected layer with a gate on each of its values.

    `y = activation(W x + b) * sigmoid(G x + g)`

    Args:
        units: Width of the layer (1 or more; searched: 32 to 1024; default 128).
        activation: Name of a Keras activation (default `relu`).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, units).

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> GatedDense(units=32)(np.ones((4, 3), "float32"))  # (4, 32)

    Source: LiRank-style, after Borisyuk et al., LiRank: Industrial Large Scale Ranking Models at LinkedIn, KDD 2024,
    written from accounts of the paper. That gates start open (g = 2) is ours.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"units": Choice((32, 64, 128, 256, 512, 1024), 128)}

    def __init__(self, units: int = 128, activation: str = "relu", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = whole("units", units)
        self.activation = activation_name(activation)

    def build(self, input_shape: Any) -> None:
        """Makes the weights: layer and gates side by side, one product for both."""
        width = vector_width(input_shape)
        limit = sqrt(6 / (width + self.units))  # of each by itself
        self.kernel = self.add_weight(
            name="kernel", shape=(width, 2 * self.units), initializer=keras.initializers.RandomUniform(-limit, limit)
        )
        self.bias = self.add_weight(name="bias", shape=(2 * self.units,), initializer=self._start)
        self.built = True

    def _start(self, shape: Any, dtype: Any = None) -> Any:
        return ops.convert_to_tensor([0.0] * self.units + [OPEN] * self.units, dtype)

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, units)."""
        both = ops.add(ops.matmul(as_vector(inputs), self.kernel), self.bias)
        values, gates = ops.split(both, 2, axis=-1)
        return keras.activations.get(self.activation)(values) * ops.sigmoid(gates)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, units)."""
        return (as_list(input_shape)[0][0], self.units)

    def operations(self, shapes: Any) -> int:
        """Returns the multiply-adds of one row."""
        return (2 * vector_width(list(shapes)) + 1) * self.units
