"""A deep network over everything, down to none: what grown ensembles are made of."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import MLP
from autorec.blocks.hyperparameters import Choice, Int
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, arguments_of

MOST = 8


class DNN(Preset):
    """A deep network over embedded fields, numbers and statistics; of depth 0 a linear model over them.

    `logit = b + w . MLP([v_1, ..., v_m, dense])`

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        depth: Number of hidden layers (0 to 8; default 2).
        units: Their width (1 or more; searched: 32, 64, 128; default 32).
        dropout, batch_norm: See `autorec.blocks.MLP`.

    Example:
        >>> model = DNN(depth=3).build_for(layout)

    Source: Covington, Adams, Sargin, "Deep Neural Networks for YouTube Recommendations" (RecSys 2016); width and
    depths as in AdaNet's search (Cortes et al., ICML 2017).
    """

    NAME = "dnn"
    OWN = {"depth": Int(0, MOST, 2), "units": Choice((32, 64, 128), 32)}
    BLOCKS = arguments_of(MLP, without=("layers", "units"))

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        hidden = features.vector()
        depth = self.own(hp, "depth")
        with self.when(hp, "depth", *range(1, MOST + 1)):
            if depth:
                hidden = self.block(hp, MLP, units=self.own(hp, "units"), layers=depth)(hidden)
        return ranking_model(features.inputs, [hidden])
