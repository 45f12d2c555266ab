"""The end of a model of clicks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import keras

from autorec.blocks.head import Head
from autorec.errors import ConfigError, unknown_name

LEAST = 1e-6


@keras.saving.register_keras_serializable(package="autorec")
class ClickHead(Head):
    """A logit for each target, in float32 under any policy.

    `logit = w . [tensors] + b + sum offsets`

    Args:
        targets: Names of the targets, distinct.
        priors: Share of ones (0 to 1) of some targets: their bias starts from its logit, so that training need not
            find it first. Default: biases start from 0.

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), and `offsets`, a list of (batch, 1) or (batch,
        targets), give `{target: (batch, 1)}`. With offsets the list of tensors may be empty.

    Raises:
        ConfigError: If an argument is not allowed, there is nothing to read, or an offset has another width.

    Example:
        >>> logits = ClickHead(["click"], priors={"click": 0.02})([deep], offsets=[linear])
        >>> logits["click"]  # (batch, 1)
    """

    def __init__(self, targets: Sequence[str], priors: Mapping[str, float] | None = None, **kwargs: Any) -> None:
        super().__init__(targets if isinstance(targets, str) else list(targets), **kwargs)
        self.priors = None if priors is None else {name: float(share) for name, share in priors.items()}
        for name, share in (self.priors or {}).items():
            if name not in self.targets:
                raise unknown_name("priors", name, self.targets)
            if not 0 <= share <= 1:
                raise ConfigError("priors", "shares of 0 to 1", share)

    def start(self) -> list[float]:
        """Returns the logits of the priors."""
        shares = [(self.priors or {}).get(name, 0.5) for name in self.targets]
        return [log(share / (1 - share)) for share in (min(max(share, LEAST), 1 - LEAST) for share in shares)]
