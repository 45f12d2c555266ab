"""FinalMLP: two deep networks behind gates of their own."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import TwoStreamMLP
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, arguments_of


class FinalMLP(Preset):
    """FinalMLP: two deep networks, each behind a gate of its own, joined by the products of their outputs.

    `a = MLP_1(gate_1(x))`, `b = MLP_2(gate_2(x))`, `logit = c + w_1 . a + w_2 . b + sum_h a_h^T W_h b_h`

    with `x = [v_1, ..., v_m, dense]`. The first gate looks at the user, the second at the item; where the layout does
    not name both as columns of ids, each looks at `x`.

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        units, second_units: Width of the first and of the second network (32 to 512; default 128 and 64).
        layers, dropout: Of both networks, see `autorec.blocks.MLP`.
        gates: Whether there are gates (default True).
        hidden: Width of their hidden layer (16, 32, 64, 128; default 64).
        heads: Number of parts of the bilinear fusion (1, 2, 4; default 2).

    Example:
        >>> model = FinalMLP(units=256, heads=4).build_for(layout)

    Source: Mao et al., "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction" (AAAI 2023). There a gate
    without a context is the same for all rows.
    """

    NAME = "finalmlp"
    BLOCKS = arguments_of(TwoStreamMLP)

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        block = self.block(hp, TwoStreamMLP, outputs=len(features.layout.targets))
        contexts = features.user_and_item() if block.gates else []
        return ranking_model(features.inputs, [], offsets=[block(features.vector(), contexts=contexts)])
