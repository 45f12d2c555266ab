"""The end of a model of ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import keras
import numpy as np

from autorec.blocks.head import Head
from autorec.errors import ConfigError


@keras.saving.register_keras_serializable(package="autorec")
class RatingHead(Head):
    """A value for each target in the target's own units, in float32 under any policy.

    `rating = mean + std (w . [tensors] + b + sum offsets)`

    Args:
        targets: For each target its mean and its standard deviation (above 0).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), and `offsets`, a list of (batch, 1) or (batch,
        targets), in standard deviations, give `{target: (batch, 1)}`. With offsets the list of tensors may be empty.

    Raises:
        ConfigError: If an argument is not allowed, there is nothing to read, or an offset has another width.

    Example:
        >>> RatingHead({"rating": (3.5, 1.1)})([user, item])["rating"]  # (batch, 1), about 3.5
    """

    targets: dict[str, list[float]]

    def __init__(self, targets: Mapping[str, Sequence[float]], **kwargs: Any) -> None:
        if not isinstance(targets, Mapping):
            raise ConfigError("targets", "a dict {name: (mean, std)}", targets)
        super().__init__({name: [float(value) for value in moments] for name, moments in targets.items()}, **kwargs)
        for moments in self.targets.values():
            if len(moments) != 2 or not all(isfinite(value) for value in moments) or moments[1] <= 0:
                raise ConfigError("targets", "a dict {name: (mean, std)} with a finite mean and a std above 0", targets)

    def finish(self, values: Any) -> Any:
        """Takes (batch, targets) in standard deviations; returns them in the targets' units."""
        means, stds = np.array(list(self.targets.values()), "float32").T
        return means + stds * values
