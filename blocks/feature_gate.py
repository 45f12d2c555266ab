"""A gate on each value of the inputs."""

from __future__ import annotations

from typing import Any, ClassVar

import keras

from autorec.blocks.base import Block, Shape, as_list, as_vector, vector_width
from autorec.blocks.checks import whole
from autorec.blocks.hyperparameters import Choice, Hyperparameter


@keras.saving.register_keras_serializable(package="autorec")
class FeatureGate(Block):
    """Weighs each value of the inputs by a gate that a context sets.

    `y = 2 sigmoid(W_2 relu(W_1 c + b_1) + b_2) * x`, `x = [inputs]`

    Gates are 0 to 2. They start at 1: `W_2` and `b_2` start from 0.

    Args:
        hidden: Width of the hidden layer (1 or more; searched: 16, 32, 64, 128; default 64).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, width of all together). `context` is
        of the same form; left out, the inputs are their own context.

    Raises:
        ConfigError: If `hidden` is not allowed.

    Example:
        >>> FeatureGate(hidden=32)(fields, context=user)  # (batch, fields * dim)

    Source: Mao et al., FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction, AAAI 2023, feature selection of
    each stream. There a gate without a context reads a learned vector, the same for all rows.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"hidden": Choice((16, 32, 64, 128), 64)}

    def __init__(self, hidden: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = whole("hidden", hidden)
        self.first = keras.layers.Dense(self.hidden, "relu", dtype=self.dtype_policy)

    def build(self, inputs_shape: Any, context_shape: Any = None) -> None:
        """Makes both layers of the gates."""
        self._shapes = {"inputs_shape": inputs_shape, "context_shape": context_shape}
        width = vector_width(inputs_shape)
        self.first.build((None, vector_width(context_shape) if context_shape else width))
        self.second = keras.layers.Dense(width, "sigmoid", kernel_initializer="zeros", dtype=self.dtype_policy)
        self.second.build((None, self.hidden))
        self.built = True

    def get_build_config(self) -> dict[str, Any]:
        """Returns the shapes by name."""
        return {"shapes_dict": dict(self._shapes)}

    def call(self, inputs: Any, context: Any = None) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors, for `context` too; returns (batch, width)."""
        x = as_vector(inputs)
        given = [] if context is None else as_list(context)
        gates = self.second(self.first(as_vector(given) if given else x))
        return 2.0 * gates * x

    def compute_output_shape(self, inputs_shape: Any, context_shape: Any = None) -> Shape:
        """Returns (batch, width)."""
        return (as_list(inputs_shape)[0][0], vector_width(inputs_shape))
