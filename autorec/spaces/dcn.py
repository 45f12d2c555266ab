"""Deep & Cross Network."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import MLP, Block, CrossNetwork
from autorec.blocks.hyperparameters import Choice
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, arguments_of


class DCN(Preset):
    """Deep & Cross Network: explicit crosses of bounded degree beside a deep network, or below it.

    `x_{l+1} = x_0 (w_l . x_l) + b_l + x_l` with `x_0 = [v_1, ..., v_m, dense]`, then
    parallel: `logit = b + w . [x_L, MLP(x_0)]`; stacked: `logit = b + w . MLP(x_L)`

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        structure: `parallel` or `stacked` (default `parallel`).
        cross_layers: Number of crosses (1 to 4; default 2).
        units, layers, dropout, batch_norm: See `autorec.blocks.MLP`.

    Example:
        >>> model = DCN(cross_layers=2).build_for(layout)

    Source: Wang et al., "Deep & Cross Network for Ad Click Predictions" (ADKDD 2017); `stacked` is of the DCN V2 paper.
    """

    NAME = "dcn"
    OWN = {"structure": Choice(("parallel", "stacked"), "parallel")}
    BLOCKS = {
        **arguments_of(CrossNetwork, without=("kind", "rank", "experts"), layers="cross_layers"),
        **arguments_of(MLP),
    }

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        vector = features.vector()
        cross = self.cross(hp)(vector)
        stacked = self.own(hp, "structure") == "stacked"
        deep = self.block(hp, MLP)(cross if stacked else vector)
        return ranking_model(features.inputs, [deep] if stacked else [cross, deep])

    def cross(self, hp: Any) -> Block:
        """Returns the crosses."""
        block: Block = self.block(hp, CrossNetwork, kind="vector")
        return block
