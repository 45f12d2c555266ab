"""DeepFM: a factorization machine and a deep network on the same embeddings."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import MLP, FactorizationMachine
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, arguments_of


class DeepFM(Preset):
    """DeepFM: a factorization machine and a deep network on the same embeddings.

    `logit = b + sum_i w_i + w . dense + u . sum_{i<j} v_i * v_j + w . MLP([v_1, ..., v_m, dense])`

    The products are weighed as in `FM`.

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        units, layers, dropout, batch_norm: See `autorec.blocks.MLP`.

    Example:
        >>> model = DeepFM(dim=16, units=64).build_for(layout)

    Source: Guo et al., "DeepFM: A Factorization-Machine based Neural Network for CTR Prediction" (IJCAI 2017).
    """

    NAME = "deepfm"
    BLOCKS = arguments_of(MLP)
    FIRST_ORDER = True

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        products = FactorizationMachine(reduce=False)(features.field_list())
        deep = self.block(hp, MLP)(features.vector())
        return ranking_model(features.inputs, [deep], offsets=[features.linear(), features.quiet_term(products)])
