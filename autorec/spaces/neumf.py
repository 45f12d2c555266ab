"""Neural matrix factorisation."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import MLP, Elementwise
from autorec.blocks.hyperparameters import Boolean, Choice
from autorec.data.layout import Layout
from autorec.spaces.features import DIMS, Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, arguments_of, user_and_item


class NeuMF(Preset):
    """Neural matrix factorisation: generalised matrix factorisation beside a deep network, with factors of its own.

    `logit = b + b_user + b_item + w . [v_user * v_item, MLP([z_user, z_item])]`

    Args:
        dim: Width of the factors v (8, 16, 32; default 16).
        cap: See `autorec.spaces.Features`.
        deep: Whether there is a deep network (default True); without one the model is `GMF`.
        deep_dim: Width of the deep network's factors z (8, 16, 32; default 16).
        units, layers, dropout, batch_norm: See `autorec.blocks.MLP`.

    Raises:
        ConfigError: In a build, if the layout does not name a user and an item.

    Example:
        >>> model = NeuMF(dim=16, deep=True).build_for(layout)

    Source: He et al., "Neural Collaborative Filtering" (WWW 2017), section 3.4; the biases are ours, and the two parts
    are not pretrained.
    """

    NAME = "neumf"
    FEATURES = ("dim", "cap")
    OWN = {"deep": Boolean(True), "deep_dim": Choice(DIMS, 16)}
    BLOCKS = arguments_of(MLP)
    FIRST_ORDER = True

    def columns(self, layout: Layout) -> list[str]:
        """Returns the user's and the item's column."""
        return user_and_item(layout, self.NAME)

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        names = self.columns(features.layout)
        parts = [Elementwise(mode="multiply")([features.column(name) for name in names])]
        deep = self.own(hp, "deep")
        with self.when(hp, "deep", True):
            if deep:
                parts.append(self._deep(features, hp, names))
        return ranking_model(features.inputs, parts, offsets=[features.linear()])

    def _deep(self, features: Features, hp: Any, names: list[str]) -> Any:
        fields = features.look_up(self.own(hp, "deep_dim"))
        return self.block(hp, MLP)([features.pick(fields, name) for name in names])
