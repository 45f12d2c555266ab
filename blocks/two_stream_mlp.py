"""Two deep networks that read the same inputs through gates of their own, and meet at their ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras

from autorec.blocks.base import Block, Shape, as_list, vector_width
from autorec.blocks.bilinear_fusion import BilinearFusion
from autorec.blocks.checks import flag, whole
from autorec.blocks.feature_gate import FeatureGate
from autorec.blocks.hyperparameters import Boolean, Choice, Hyperparameter, Int
from autorec.blocks.mlp import LAYERS, MLP
from autorec.errors import ConfigError


@keras.saving.register_keras_serializable(package="autorec")
class TwoStreamMLP(Block):
    """Two deep networks side by side, each behind a gate of its own, joined by their products.

    `a = MLP_1(gate_1(x))`, `b = MLP_2(gate_2(x))`, `y = BilinearFusion([a, b])`

    with `x = [inputs]`. See `FeatureGate` and `BilinearFusion`, which computes in float32.

    Args:
        units: Width of the first network's layers (1 or more; searched: 32 to 512; default 128).
        second_units: Width of the second one's (1 or more; searched: 32 to 512; default 64).
        layers: Number of layers of each (1 or more; searched: 1 to 3; default 2).
        dropout: Share of values set to 0 in training (0 up to 1, without it; searched: 0, 0.1, 0.25, 0.5; default 0).
        gates: Whether there are gates (searched; default True).
        hidden: Width of the gates' hidden layer (1 or more; searched: 16, 32, 64, 128; default 64).
        heads: Number of parts that the fusion cuts the vectors into, a divisor of both widths (1 or more; searched: 1,
            2, 4, as far as they divide both; default 2).
        outputs: Number of values (1 or more; default 1).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, outputs). `contexts` are two tensors
        of the same form, one for each gate; left out, the gates read the inputs.

    Raises:
        ConfigError: If an argument is not allowed, or there are neither two contexts nor none.

    Example:
        >>> TwoStreamMLP(units=64)(fields, contexts=[user, item])  # (batch, 1)

    Source: Mao et al., FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction, AAAI 2023.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {
        "units": Choice((32, 64, 128, 256, 512), 128),
        "second_units": Choice((32, 64, 128, 256, 512), 64),
        "layers": Int(1, 3, default=LAYERS),
        "dropout": Choice((0.0, 0.1, 0.25, 0.5), 0.0),
        "gates": Boolean(True),
        "hidden": Choice((16, 32, 64, 128), 64),
        "heads": Choice((1, 2, 4), 2),
    }
    WHEN: ClassVar = {"hidden": ("gates", (True,))}

    def __init__(
        self,
        units: int = 128,
        second_units: int = 64,
        layers: int = LAYERS,
        dropout: float = 0.0,
        gates: bool = True,
        hidden: int = 64,
        heads: int = 2,
        outputs: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.units, self.second_units = whole("units", units), whole("second_units", second_units)
        self.layers = whole("layers", layers)
        self.gates = flag("gates", gates)
        self.hidden = whole("hidden", hidden)
        dtype = self.dtype_policy
        self.fusion = BilinearFusion(heads, outputs, dtype=dtype)
        self.heads, self.outputs = self.fusion.heads, self.fusion.outputs
        for name, width in (("units", self.units), ("second_units", self.second_units)):
            if width % self.heads:
                raise ConfigError(name, f"a multiple of {self.heads}, the number of heads", width)
        widths = (self.units, self.second_units)
        self.streams = [MLP(width, self.layers, dropout=dropout, dtype=dtype) for width in widths]
        self.dropout = self.streams[0].dropout
        self.selections = [FeatureGate(self.hidden, dtype=dtype) for _ in widths] if self.gates else []

    @classmethod
    def space_of(cls, argument: str, values: Mapping[str, Any]) -> Hyperparameter:
        """Returns the space of an argument; numbers of heads divide both widths."""
        space = super().space_of(argument, values)
        if argument != "heads" or not isinstance(space, Choice):
            return space
        return space.dividing(values["units"], values["second_units"])

    def build(self, inputs_shape: Any, contexts_shape: Any = None) -> None:
        """Makes the weights of both streams and of what joins them."""
        self._shapes = {"inputs_shape": inputs_shape, "contexts_shape": contexts_shape}
        contexts = as_list(contexts_shape) if contexts_shape else []
        if len(contexts) not in (0, 2):
            raise ConfigError("contexts", "two tensors, one for each stream, or none", contexts)
        for selection, context in zip(self.selections, contexts or [None, None]):
            selection.build(inputs_shape, context)
        for stream in self.streams:
            stream.build((None, vector_width(inputs_shape)) if self.gates else inputs_shape)
        self.fusion.build([(None, self.units), (None, self.second_units)])
        self.built = True

    def get_build_config(self) -> dict[str, Any]:
        """Returns the shapes by name."""
        return {"shapes_dict": dict(self._shapes)}

    def call(self, inputs: Any, contexts: Sequence[Any] = (), training: bool | None = None) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors, two for `contexts`; returns (batch, outputs)."""
        given = list(contexts) or [None, None]
        read = [gate(inputs, context=context) for gate, context in zip(self.selections, given)] or [inputs, inputs]
        return self.fusion([stream(x, training=training) for stream, x in zip(self.streams, read)])

    def compute_output_shape(self, inputs_shape: Any, contexts_shape: Any = None) -> Shape:
        """Returns (batch, outputs)."""
        return (as_list(inputs_shape)[0][0], self.outputs)

    def compute_output_spec(self, inputs: Any, contexts: Any = (), training: bool | None = None) -> Any:
        """Returns a symbolic float32 tensor."""
        shapes = [tuple(x.shape) for x in as_list(inputs)]
        return keras.KerasTensor(self.compute_output_shape(shapes), dtype="float32")
