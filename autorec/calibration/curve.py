"""A rising, piecewise linear function of a logit: what every calibrator comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autorec.errors import ConfigError


@dataclass(frozen=True)
class Curve:
    """A continuous, strictly rising, piecewise linear function.

    `f(z) = y_k + (z - x_k) (y_{k+1} - y_k) / (x_{k+1} - x_k)` between two knots, with the slope `low` before the first
    and `high` behind the last.

    Args:
        x: Where the knots are, rising; at least one.
        y: What the knots are mapped to, rising.
        low: Slope before the first knot, above 0.
        high: Slope behind the last knot, above 0.

    Raises:
        ConfigError: If knots or slopes do not rise, or are not finite.

    Example:
        >>> Curve((0.0,), (0.0,), 0.5, 0.5)(np.array([2.0, -4.0]))  # temperature 2
        array([ 1., -2.])
    """

    x: Sequence[float]
    y: Sequence[float]
    low: float = 1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
            values = np.array(getattr(self, name))
            if not len(values) or not np.isfinite(values).all() or not (np.diff(values) > 0.0).all():
                raise ConfigError(name, "finite numbers that rise, at least one", getattr(self, name))
        if len(self.x) != len(self.y):
            raise ConfigError("y", f"{len(self.x)} numbers, one for each of `x`", len(self.y))
        for name in ("low", "high"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise ConfigError(name, "a slope above 0", getattr(self, name))

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Returns the function of some logits, float64."""
        z = np.asarray(logits, np.float64)
        inside = np.interp(z, self.x, self.y)
        before, behind = np.minimum(z - self.x[0], 0.0), np.maximum(z - self.x[-1], 0.0)
        return inside + self.low * before + self.high * behind

    def shifted(self, by: float) -> Curve:
        """Returns the function with a number added to all values."""
        return replace(self, y=tuple(value + by for value in self.y))

    def to_dict(self) -> dict[str, Any]:
        """Returns the curve as plain JSON values."""
        return {"x": list(self.x), "y": list(self.y), "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Curve:
        """Returns the curve that `to_dict` wrote."""
        return cls(**values)


#: The curve that changes nothing.
IDENTITY = Curve((0.0,), (0.0,))
