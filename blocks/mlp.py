"""The deep network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import keras

from autorec.blocks.base import Block, Shape, as_list, as_vector, vector_width
from autorec.blocks.checks import activation_name, flag, share, whole
from autorec.blocks.hyperparameters import Boolean, Choice, Hyperparameter, Int
from autorec.errors import ConfigError

LAYERS = 2
# Keras's 0.99 leaves a third of the starting values in the averages after the hundred steps of a short trial.
MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="autorec")
class MLP(Block):
    """Fully connected layers, the activation behind the last one included.

    `h_0 = [inputs]`, `h_{l+1} = dropout(activation(norm(W_l h_l + b_l)))`

    where `norm` is batch normalisation or nothing; with it `b_l` is its shift.

    Args:
        units: Width of the layers (1 or more; searched: 16 to 1024; default 128), or a list with each layer's.
        layers: Number of layers (1 or more; searched: 1 to 3; default 2, or the length of `units`).
        activation: Name of a Keras activation (default `relu`).
        batch_norm: Whether to normalise over the batch ahead of the activation (searched; default False).
        dropout: Share of values set to 0 in training (0 up to 1, without it; searched: 0, 0.1, 0.25, 0.5; default 0).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, units of the last layer).

    Raises:
        ConfigError: If an argument is not allowed, or `layers` is not the length of a list `units`.

    Example:
        >>> MLP(units=[64, 32], dropout=0.1)(np.ones((4, 3), "float32"))  # (4, 32)

    Source: Covington, Adams, Sargin, Deep Neural Networks for YouTube Recommendations, RecSys 2016; Ioffe, Szegedy,
    Batch Normalization, ICML 2015; Srivastava et al., Dropout, JMLR 2014.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {
        "layers": Int(1, 3, default=LAYERS),
        "units": Choice((16, 32, 64, 128, 256, 512, 1024), 128),
        "batch_norm": Boolean(False),
        "dropout": Choice((0.0, 0.1, 0.25, 0.5), 0.0),
    }

    def __init__(
        self,
        units: int | Sequence[int] = 128,
        layers: int | None = None,
        activation: str = "relu",
        batch_norm: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = list(units) if isinstance(units, (list, tuple)) else None
        count = LAYERS if given is None else len(given)
        self.layers = whole("layers", count if layers is None else layers)
        if given is not None and len(given) != self.layers:
            raise ConfigError("layers", f"{len(given)}, one for each of `units`, or left out", layers)
        self._widths = [whole("units", width) for width in given or [units] * self.layers]
        self.units = self._widths[0] if given is None else self._widths
        self.activation = activation_name(activation)
        self.batch_norm = flag("batch_norm", batch_norm)
        self.dropout = share("dropout", dropout)
        self.stack = [part for width in self._widths for part in self._layer(width)]

    @classmethod
    def tune(cls, hp: Any, name: str | None = None, **fixed: Any) -> Self:
        """Returns the block as `Block.tune` does; a list `units` fixes `layers`."""
        units = fixed.get("units")
        if isinstance(units, (list, tuple)) and fixed.get("layers") is None:
            fixed["layers"] = len(units)
        return super().tune(hp, name, **fixed)

    def _layer(self, width: int) -> list[Any]:
        dtype = self.dtype_policy
        if self.batch_norm:
            parts = [
                keras.layers.Dense(width, use_bias=False, dtype=dtype),
                keras.layers.BatchNormalization(momentum=MOMENTUM, dtype=dtype),
                keras.layers.Activation(self.activation, dtype=dtype),
            ]
        else:
            parts = [keras.layers.Dense(width, self.activation, dtype=dtype)]
        return [*parts, keras.layers.Dropout(self.dropout, dtype=dtype)] if self.dropout else parts

    def build(self, input_shape: Any) -> None:
        """Makes the weights of all layers."""
        shape: Shape = (None, vector_width(input_shape))
        for part in self.stack:
            part.build(shape)
            shape = part.compute_output_shape(shape)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, units)."""
        x = as_vector(inputs)
        for part in self.stack:
            x = part(x) if isinstance(part, (keras.layers.Dense, Block)) else part(x, training=training)
        return x

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, units)."""
        return (as_list(input_shape)[0][0], self._widths[-1])
