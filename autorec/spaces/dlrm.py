"""DLRM: inner products of all pairs of fields, between two deep networks."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import MLP, DotInteraction
from autorec.blocks.hyperparameters import Choice
from autorec.errors import ConfigError
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, arguments_of


class DLRM(Preset):
    """DLRM: numbers become a field, the inner products of all pairs of fields feed a deep network.

    `z = MLP_bottom(dense)`, `logit = b + w . MLP_top([z, <f_i, f_j> for i < j])` with `f = [z, v_1, ..., v_m]`

    Args:
        dim, numbers, statistics, pairs, margins, likeness, pooling, cap: See `autorec.spaces.Features`.
        bottom_units: Units of the hidden layer of the bottom network (32, 64, 128; default 64).
        units, layers, dropout, batch_norm: The top network, see `autorec.blocks.MLP`.

    Example:
        >>> model = DLRM(dim=16, bottom_units=64).build_for(layout)

    Source: Naumov et al., "Deep Learning Recommendation Model for Personalization and Recommendation Systems" (2019).
    The statistics count as numbers.
    """

    NAME = "dlrm"
    FEATURES = ("dim", "cap", "numbers", "pooling", "statistics", "pairs", "margins", "likeness")
    OWN = {"bottom_units": Choice((32, 64, 128), 64)}
    BLOCKS = arguments_of(MLP)

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        ids, z = features.id_fields, self._bottom(features, hp)
        fields = [part for part in (z, ids) if part is not None]
        if not fields:
            raise ConfigError("layout", "one with columns that this space reads", features.layout.groups)
        # Without numbers the top network sees the fields themselves: products alone would lose the single columns.
        rich = features.numbers is not None or features.statistics is not None
        parts = [fields[0]] if rich or z is None else [z, ids]
        if sum(1 if len(field.shape) == 2 else field.shape[1] for field in fields) > 1:
            parts.append(DotInteraction()(fields))
        return ranking_model(features.inputs, [self.block(hp, MLP)(parts)])

    def _bottom(self, features: Features, hp: Any) -> Any:
        """Returns numbers, statistics and likeness as one field, (batch, dim), or None."""
        dense = features.dense()
        if dense is None:
            return None
        return MLP(units=[self.own(hp, "bottom_units"), features.dim], dropout=0.0)(dense)
