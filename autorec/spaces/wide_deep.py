"""Wide & Deep: a linear model and a deep network, trained jointly."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import MLP
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, arguments_of


class WideDeep(Preset):
    """Wide & Deep: a linear model that memorises and a deep network that generalises, trained jointly.

    `logit = b + sum_i w_i + w . dense + w . MLP([v_1, ..., v_m, dense])`

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        units, layers, dropout, batch_norm: See `autorec.blocks.MLP`.

    Example:
        >>> model = WideDeep(layers=3).build_for(layout)

    Source: Cheng et al., "Wide & Deep Learning for Recommender Systems" (DLRS 2016). The statistics of pairs, which
    the wide part reads, stand for the paper's cross-product transformations.
    """

    NAME = "wide_deep"
    BLOCKS = arguments_of(MLP)
    FIRST_ORDER = True

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        deep = self.block(hp, MLP)(features.vector())
        return ranking_model(features.inputs, [deep], offsets=[features.linear()])
