"""AutoInt: self-attention between fields."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import MLP, SelfAttention
from autorec.blocks.hyperparameters import Boolean
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, arguments_of


class AutoInt(Preset):
    """AutoInt: self-attention between fields, beside a deep network (AutoInt+) or alone.

    `logit = b + w . [SelfAttention([v_1, ..., v_m]), MLP([v_1, ..., v_m, dense])]`

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        attention_dim: Width of a head (8, 16, 32; default 16).
        attention_layers: Number of attention layers (1 to 3; default 2).
        heads, residual: See `autorec.blocks.SelfAttention`.
        deep: Whether there is a deep network (default True).
        units, layers, dropout, batch_norm: See `autorec.blocks.MLP`.

    Example:
        >>> model = AutoInt(heads=2, deep=False).build_for(layout)

    Source: Song et al., "AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks" (CIKM
    2019). The statistics are one more field, a linear map of them all.
    """

    NAME = "autoint"
    OWN = {"deep": Boolean(True)}
    BLOCKS = {
        **arguments_of(SelfAttention, dim="attention_dim", layers="attention_layers"),
        **arguments_of(MLP),
    }

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        fields = features.fields(statistics=True)
        # One field alone has nothing to attend to.
        outputs = [self.block(hp, SelfAttention)(fields) if fields.shape[1] > 1 else fields]
        deep = self.own(hp, "deep")
        with self.when(hp, "deep", True):
            if deep:
                outputs.append(self.block(hp, MLP)(features.vector()))
        return ranking_model(features.inputs, outputs)
