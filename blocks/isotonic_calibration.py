"""A monotone map of logits, trained with the model."""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, inf, isfinite, log
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from autorec.blocks.base import Block, Shape, as_list, as_vector, vector_width
from autorec.blocks.checks import flag, whole
from autorec.blocks.hyperparameters import Choice, Hyperparameter
from autorec.errors import ConfigError

_SHARPNESS = 4.0  # of the softplus that slopes are
_ONE = log(expm1(_SHARPNESS)) / _SHARPNESS  # what gives a slope of 1


@keras.saving.register_keras_serializable(package="autorec")
class IsotonicCalibration(Block):
    """A piecewise linear, rising map of a logit, trained with the model.

    `z' = b + sum_i g(w_i + e_i) v_i`, `v_i = clip(z - t_i, 0, s)`, `t_i = low + i s`, `s = (high - low) / buckets`,
    `g(u) = softplus(4 u) / 4`

    `g(w_i + e_i)` is the slope in bucket `i`. `w_i` is learned; `e_i` comes from the calibration features of the
    row, such as its device: a linear map of theirs. Below `low` and above `high` the line goes on with the slope of the
    bucket at that end. All slopes start at 1, `b` at `low` and the map of the features at 0: the layer starts as the
    identity. It computes in float32 under any policy.

    Within rows of the same calibration features it never swaps two of them, whatever its weights: it changes what the
    probabilities are, not which row is before which. Slopes are above 0, and none is lost for training: `g` is near
    `relu` (0.17 at 0), whose slopes, once they are 0, stay there.

    Args:
        buckets: Number of buckets (1 or more; searched: 8, 16, 32, 64; default 32).
        low: Where they begin (default -8).
        high: Where they end (above `low`; default 8).
        mapped: Whether the features are mapped to the buckets (default True); else they are `e` itself, one value for
            each bucket, and several are added.

    Shapes:
        Logits (batch, columns), each by the same map, give (batch, columns). `features` are one tensor or several,
        (batch, width) or (batch, fields, dim); without `mapped` (batch, buckets) or (batch, fields, buckets).

    Raises:
        ConfigError: If an argument is not allowed, or the features do not fit it.

    Example:
        >>> IsotonicCalibration()(logit, features=[device])  # (batch, 1)

    Source: LiRank-style, after Borisyuk et al., LiRank: Industrial Large Scale Ranking Models at LinkedIn, KDD 2024,
    written from accounts of the paper, where slopes are `relu(w_i + e_i)`. `g`, the grid, the starting values and the
    ends are ours.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"buckets": Choice((8, 16, 32, 64), 32)}

    def __init__(
        self, buckets: int = 32, low: float = -8.0, high: float = 8.0, mapped: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.buckets = whole("buckets", buckets)
        for name, value in (("low", low), ("high", high)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
                raise ConfigError(name, "a finite number", value)
        if high <= low:
            raise ConfigError("high", f"above `low`, {low}", high)
        self.low, self.high = float(low), float(high)
        self.mapped = flag("mapped", mapped)

    def build(self, inputs_shape: Any, features_shape: Any = None) -> None:
        """Makes the slopes, and the map of the features if there are some."""
        self._shapes = {"inputs_shape": inputs_shape, "features_shape": features_shape}
        features = as_list(features_shape) if features_shape else []
        if not self.mapped and any(shape[-1] != self.buckets for shape in features):
            raise ConfigError("features", f"tensors of {self.buckets} values, one for each bucket", features)
        self.slopes = self._weight("slopes", (self.buckets,), keras.initializers.Constant(_ONE))
        self.start = self._weight("start", (), keras.initializers.Constant(self.low))
        self.kernel = None
        if features and self.mapped:
            self.kernel = self._weight("kernel", (vector_width(features), self.buckets), "zeros")
        self.built = True

    def _weight(self, name: str, shape: tuple[int, ...], initializer: Any) -> Any:
        return self.add_weight(name=name, shape=shape, initializer=initializer, dtype="float32", autocast=False)

    def get_build_config(self) -> dict[str, Any]:
        """Returns the shapes by name."""
        return {"shapes_dict": dict(self._shapes)}

    def call(self, inputs: Any, features: Sequence[Any] | Any = ()) -> Any:
        """Takes logits (batch, columns), features (batch, width) or (batch, fields, dim); returns (batch, columns)."""
        values = self._parts(ops.expand_dims(ops.cast(inputs, "float32"), -1))  # (batch, columns, buckets)
        return self.start + ops.sum(ops.expand_dims(self.slopes_of(features), -2) * values, axis=-1)

    def slopes_of(self, features: Sequence[Any] | Any = ()) -> Any:
        """Returns the slopes for some features, (batch, buckets); without any, (buckets,)."""
        slopes, given = self.slopes, [ops.cast(x, "float32") for x in as_list(features)]
        if given and self.kernel is not None:
            slopes = slopes + ops.matmul(as_vector(given), self.kernel)
        elif given:
            slopes = slopes + sum(x if len(x.shape) == 2 else ops.sum(x, axis=1) for x in given)
        return ops.softplus(_SHARPNESS * slopes) / _SHARPNESS

    def _parts(self, logits: Any) -> Any:
        """Returns how much of each bucket lies below a logit, negative or above its size beyond the ends."""
        size = (self.high - self.low) / self.buckets
        edges = np.array([self.low + number * size for number in range(self.buckets)], "float32")
        least = np.array([-inf] + [0.0] * (self.buckets - 1), "float32")
        most = np.array([size] * (self.buckets - 1) + [inf], "float32")
        return ops.minimum(ops.maximum(logits - edges, least), most)

    def compute_output_shape(self, inputs_shape: Any, features_shape: Any = None) -> Shape:
        """Returns (batch, columns)."""
        shape: Shape = tuple(inputs_shape)
        return shape

    def compute_output_spec(self, inputs: Any, features: Any = ()) -> Any:
        """Returns a symbolic float32 tensor."""
        return keras.KerasTensor(tuple(inputs.shape), dtype="float32")

    def operations(self, shapes: Any) -> int:
        """Returns the multiply-adds of one row."""
        mapped = 0 if self.kernel is None else int(np.prod(self.kernel.shape))
        return mapped + self.buckets * int(shapes[0][-1])
