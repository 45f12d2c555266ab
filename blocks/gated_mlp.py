"""The deep network with gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from autorec.blocks.gated_dense import GatedDense
from autorec.blocks.hyperparameters import Choice, Hyperparameter, Int
from autorec.blocks.mlp import LAYERS, MLP


@keras.saving.register_keras_serializable(package="autorec")
class GatedMLP(MLP):
    """Fully connected layers with a gate on each value; wide ones, as a rule.

    `h_0 = [inputs]`, `h_{l+1} = dropout(activation(W_l h_l + b_l) * sigmoid(G_l h_l + g_l))`

    Args:
        units: Width of the layers (1 or more; searched: 64 to 2048; default 256), or a list with each layer's.
        layers: Number of layers (1 or more; searched: 1 to 4; default 2, or the length of `units`).
        activation: Name of a Keras activation (default `relu`).
        dropout: Share of values set to 0 in training (0 up to 1, without it; searched: 0, 0.1, 0.25, 0.5; default 0).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, units of the last layer).

    Raises:
        ConfigError: If an argument is not allowed, or `layers` is not the length of a list `units`.

    Example:
        >>> GatedMLP(units=[64, 32], dropout=0.1)(np.ones((4, 3), "float32"))  # (4, 32)

    Source: LiRank-style, after Borisyuk et al., LiRank: Industrial Large Scale Ranking Models at LinkedIn, KDD 2024:
    up to four layers of 3500 values with dense gating. See `GatedDense`.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {
        "layers": Int(1, 4, default=LAYERS),
        "units": Choice((64, 128, 256, 512, 1024, 2048), 256),
        "dropout": Choice((0.0, 0.1, 0.25, 0.5), 0.0),
    }

    def __init__(
        self,
        units: int | Sequence[int] = 256,
        layers: int | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, layers, activation, dropout=dropout, **kwargs)

    def _layer(self, width: int) -> list[Any]:
        gated = GatedDense(width, self.activation, dtype=self.dtype_policy)
        return [gated, keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)] if self.dropout else [gated]
