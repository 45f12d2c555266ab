"""xDeepFM: compressed interactions beside a deep network."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import MLP, CompressedInteraction
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, arguments_of


class XDeepFM(Preset):
    """xDeepFM: explicit products of rising degree, compressed after each, beside a deep network and a linear model.

    `logit = b + sum_i w_i + w . dense + u . CIN([v_1, ..., v_m]) + w . MLP([v_1, ..., v_m, dense])`

    The weights `u` start from 0, so that the products are learned after the rest: see `Features.quiet_term`.

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        cin_layers: Number of layers of the compressed interactions (1 to 3; default 2).
        maps: Rows of each of them (16, 32, 64; default 32).
        units, layers, dropout, batch_norm: See `autorec.blocks.MLP`.

    Example:
        >>> model = XDeepFM(maps=16).build_for(layout)

    Source: Lian et al., "xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender Systems" (KDD
    2018). The statistics are one more field, a linear map of them all.
    """

    NAME = "xdeepfm"
    BLOCKS = {**arguments_of(CompressedInteraction, layers="cin_layers"), **arguments_of(MLP)}
    FIRST_ORDER = True

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        products = self.block(hp, CompressedInteraction)(features.field_list())
        deep = self.block(hp, MLP)(features.vector())
        return ranking_model(features.inputs, [deep], offsets=[features.linear(), features.quiet_term(products)])
