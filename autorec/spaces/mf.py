"""Matrix factorisation with biases."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import Elementwise, InnerProduct
from autorec.data.layout import Layout
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, user_and_item


class MF(Preset):
    """Matrix factorisation with biases, of the user and the item alone.

    `logit = b + b_user + b_item + <v_user, v_item>`, for ratings in standard deviations around the mean. Several
    targets share the factors and weigh them on their own, as in `GMF`.

    Args:
        dim, cap: See `autorec.spaces.Features`.

    Raises:
        ConfigError: In a build, if the layout does not name a user and an item.

    Example:
        >>> model = MF(dim=32).build_for(layout)

    Source: Koren, Bell, Volinsky, "Matrix Factorization Techniques for Recommender Systems" (Computer 2009).
    """

    NAME = "mf"
    FEATURES = ("dim", "cap")
    FIRST_ORDER = True

    def columns(self, layout: Layout) -> list[str]:
        """Returns the user's and the item's column."""
        return user_and_item(layout, self.NAME)

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        pair = [features.column(name) for name in self.columns(features.layout)]
        if len(features.layout.targets) > 1:
            product = Elementwise(mode="multiply")(pair)
            return ranking_model(features.inputs, [product], offsets=[features.linear()])
        return ranking_model(features.inputs, [], offsets=[features.linear(), InnerProduct()(pair)])
