"""Generalised matrix factorisation."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import Elementwise
from autorec.data.layout import Layout
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, user_and_item


class GMF(Preset):
    """Generalised matrix factorisation: the factors of the inner product get weights of their own.

    `logit = b + b_user + b_item + w . (v_user * v_item)`

    Args:
        dim, cap: See `autorec.spaces.Features`.

    Raises:
        ConfigError: In a build, if the layout does not name a user and an item.

    Example:
        >>> model = GMF(dim=32).build_for(layout)

    Source: He et al., "Neural Collaborative Filtering" (WWW 2017), section 3.2; the biases are ours.
    """

    NAME = "gmf"
    FEATURES = ("dim", "cap")
    FIRST_ORDER = True

    def columns(self, layout: Layout) -> list[str]:
        """Returns the user's and the item's column."""
        return user_and_item(layout, self.NAME)

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        user, item = (features.column(name) for name in self.columns(features.layout))
        product = Elementwise(mode="multiply")([user, item])
        return ranking_model(features.inputs, [product], offsets=[features.linear()])
