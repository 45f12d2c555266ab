"""The head of an ensemble."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from autorec.blocks.base import Block, Shape, as_list
from autorec.errors import ConfigError

_EXACT = 1e-6


@keras.saving.register_keras_serializable(package="autorec")
class WeightedMean(Block):
    """The weighted mean of tensors of one shape, in float32 under any policy.

    `y = sum_j w_j x_j`

    Args:
        shares: A weight for each tensor: not negative, with the sum 1.

    Shapes:
        A list of tensors (batch, width), or one tensor, gives (batch, width).

    Raises:
        ConfigError: If the weights are not of that form, or are not as many as the tensors.

    Example:
        >>> WeightedMean([0.25, 0.75])([np.zeros((4, 1)), np.ones((4, 1))])  # (4, 1), all .75
    """

    def __init__(self, shares: Sequence[float], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.shares = check_shares(shares)

    def build(self, input_shape: Any) -> None:
        """Checks that there is a tensor for each weight; there is nothing to learn."""
        shapes = as_list(input_shape)
        if len(shapes) != len(self.shares):
            raise ConfigError("inputs", f"a tensor for each of {len(self.shares)} weights", len(shapes))
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Takes tensors (batch, width); returns (batch, width) float32."""
        parts = [ops.cast(x, "float32") * share for x, share in zip(as_list(inputs), self.shares)]
        mean = parts[0]
        for part in parts[1:]:
            mean = mean + part
        return mean

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, width)."""
        shape: Shape = tuple(as_list(input_shape)[0])
        return shape

    def operations(self, shapes: Sequence[Shape]) -> int:
        """Returns the multiplications for one row."""
        return sum(math.prod(size or 1 for size in shape[1:]) for shape in shapes)


def check_shares(values: Any) -> list[float]:
    """Returns weights as plain numbers.

    Raises:
        ConfigError: If one is negative or no number, or they do not sum to 1.
    """
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError):
        found = []
    if not found or not all(value >= 0.0 for value in found) or abs(math.fsum(found) - 1.0) > _EXACT:
        raise ConfigError("weights", "numbers of 0 or more that sum to 1", values)
    return found
