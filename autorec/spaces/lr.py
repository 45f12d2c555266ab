"""Logistic regression, and linear regression for ratings."""

from __future__ import annotations

from typing import Any

import keras

from autorec.spaces.features import ARGUMENTS, Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset


class LR(Preset):
    """Logistic regression: a weight for each id and for each number.

    `logit = b + sum_i w_i + w . dense`

    Args:
        numbers, statistics, pairs, margins, leaves, likeness, pooling, cap: See `autorec.spaces.Features`.

    Example:
        >>> model = LR(pairs=False).build_for(layout)

    Source: Richardson et al., "Predicting Clicks" (WWW 2007). Numbers are standardised; target statistics of columns
    and of pairs stand where hand-made crosses did.
    """

    NAME = "lr"
    FEATURES = tuple(name for name in ARGUMENTS if name not in ("dim", "number_embedding"))

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        linear = features.linear()
        return ranking_model(features.inputs, [], offsets=[linear])
