"""Crosses of low rank with attention between their factors."""

from __future__ import annotations

from math import expm1, inf, log, sqrt
from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import Block, Shape, as_list, as_vector, vector_width
from autorec.blocks.checks import flag, whole
from autorec.blocks.cross_network import CrossNetwork
from autorec.blocks.hyperparameters import Boolean, Choice, Hyperparameter, Int
from autorec.errors import ConfigError

#: Most columns of a factor: a batch of 4096 rows then has attention of 1 GB in each layer.
MOST = 256
#: Part of the temperature that is not learned, so that one that underflows is this.
FLOOR = 1e-3


@keras.saving.register_keras_serializable(package="autorec")
class ResidualCross(Block):
    """Low-rank crosses whose two factors have attention between them, beside plain ones.

    `v = V^T x_l`, `q = Q^T x_l`, `k = K^T x_l`, `S_ij = softmax_j(q_i k_j / tau)`,
    `x_{l+1} = x_0 * (U (S v + v) + c) + x_l`

    `x_0` is the inputs as one vector; `V`, `Q`, `K` and `U` are of width x rank. Each layer has its own, and a learned
    temperature `tau = floor + softplus(t)`. Without `S v` this is `CrossNetwork("low_rank")`, which `parallel` puts
    beside it with weights of its own. The attention is within the rank of one row: not between fields or rows.

    Args:
        layers: Number of layers (1 or more; searched: 1 to 4; default 2).
        rank: Columns of each factor (1 to 256; searched: 8, 16, 32, 64, from 32). One above the width of the inputs is
            the width. None (default) is a quarter of the width, at most 256.
        temperature: What `tau` starts from, over the square root of the rank (above 0; searched: 0.25, 1, 4; default
            1). However small it is or becomes, `tau` stays above the floor of 0.001.
        skip: Whether `v` is added to `S v` (searched; default True): without it training starts far from a low-rank
            cross, since `S v` is near the mean of `v`.
        parallel: Whether plain crosses stand beside these (searched; default True).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, width of all together), twice that
        with `parallel`. In between, a layer holds (batch, rank, rank) float32 values.

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> ResidualCross(layers=2, rank=4)(np.ones((4, 10), "float32"))  # (4, 20)

    Source: LiRank-style, after Borisyuk et al., LiRank: Industrial Large Scale Ranking Models at LinkedIn, KDD 2024.
    Written from accounts of the paper: details may differ from it. The square root and the floor are ours.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {
        "layers": Int(1, 4, default=2),
        "rank": Choice((8, 16, 32, 64), 32),
        "temperature": Choice((0.25, 1.0, 4.0), 1.0),
        "skip": Boolean(True),
        "parallel": Boolean(True),
    }

    def __init__(
        self,
        layers: int = 2,
        rank: int | None = None,
        temperature: float = 1.0,
        skip: bool = True,
        parallel: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.layers = whole("layers", layers)
        self.rank = None if rank is None else whole("rank", rank)
        if self.rank is not None and self.rank > MOST:
            raise ConfigError("rank", f"at most {MOST}: attention takes batch x rank x rank values", rank)
        self.temperature = _positive("temperature", temperature)
        self.skip = flag("skip", skip)
        self.parallel = flag("parallel", parallel)

    def build(self, input_shape: Any) -> None:
        """Makes the weights of all layers."""
        width = vector_width(input_shape)
        rank = self.rank_of(width)
        limit = sqrt(6 / (width + rank))
        start = keras.initializers.Constant(_inverse_softplus(max(self.temperature * sqrt(rank) - FLOOR, FLOOR)))
        self.crosses = [
            {
                # Values, queries and keys side by side.
                "down": self._weight(f"down_{layer}", (width, 3 * rank), limit),
                "up": self._weight(f"up_{layer}", (rank, width), limit),
                "bias": self.add_weight(name=f"bias_{layer}", shape=(width,), initializer="zeros"),
                "raw": self.add_weight(name=f"temperature_{layer}", shape=(), initializer=start, autocast=False),
            }
            for layer in range(self.layers)
        ]
        self.plain = None
        if self.parallel:
            self.plain = CrossNetwork("low_rank", layers=self.layers, rank=rank, dtype=self.dtype_policy)
            self.plain.build((None, width))
        self.built = True

    def _weight(self, name: str, shape: tuple[int, int], limit: float) -> Any:
        # An initializer each: one that several weights share draws the same values for all of them.
        return self.add_weight(name=name, shape=shape, initializer=keras.initializers.RandomUniform(-limit, limit))

    def rank_of(self, width: int) -> int:
        """Returns the rank for inputs of some width."""
        return min(width, MOST, max(width // 4, 1) if self.rank is None else self.rank)

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, width) or (batch, 2 width)."""
        start = as_vector(inputs)
        x = start
        for weights in self.crosses:
            x = self._cross(start, x, weights)
        return x if self.plain is None else ops.concatenate([x, self.plain(start)], axis=-1)

    def temperatures(self) -> Any:
        """Returns the temperature of each layer, (layers,)."""
        return ops.stack([_temperature(weights["raw"]) for weights in self.crosses])

    def attention(self, inputs: Any) -> list[Any]:
        """Returns what each layer attends to, (batch, rank, rank) with rows summing to 1."""
        start = as_vector(inputs)
        x, found = start, []
        for weights in self.crosses:
            _, query, key = _factors(x, weights)
            likeness = unnormalised(query, key)
            found.append(likeness / ops.sum(likeness, axis=-1, keepdims=True))
            x = self._cross(start, x, weights)
        return found

    def _cross(self, start: Any, x: Any, weights: dict[str, Any]) -> Any:
        """Returns the next layer, (batch, width)."""
        value, query, key = _factors(x, weights)
        mixed = ops.cast(mix(query, key, ops.cast(value, "float32")), value.dtype)
        mapped = ops.matmul(mixed + value if self.skip else mixed, weights["up"])
        return start * ops.add(mapped, weights["bias"]) + x

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, width) or (batch, 2 width)."""
        return (as_list(input_shape)[0][0], vector_width(input_shape) * (2 if self.parallel else 1))

    def operations(self, shapes: Any) -> int:
        """Returns the multiply-adds of one row: the maps, three products of rank x rank, the product with the input."""
        width = vector_width(list(shapes))
        rank = self.rank_of(width)
        cross = 4 * width * rank + 3 * rank * rank + width
        return self.layers * (cross + (2 * width * rank + width if self.parallel else 0))


def _factors(x: Any, weights: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Returns values, queries over the temperature and keys, (batch, rank) each."""
    value, query, key = ops.split(ops.matmul(x, weights["down"]), 3, axis=-1)
    # In float32 under any policy: few digits of a score would be factors of its `exp`.
    query, key = ops.cast(query, "float32"), ops.cast(key, "float32")
    return value, query / _temperature(weights["raw"]), key


def unnormalised(query: Any, key: Any) -> Any:
    """Returns `exp(q_i k_j - max_j q_i k_j)`, (batch, rank, rank), for queries and keys (batch, rank).

    The exponent is `q_i (k_j - max k)` where `q_i` is positive and `q_i (k_j - min k)` where it is negative: a product
    of thin matrices one of whose two terms is 0. Nothing large cancels, also where a GPU multiplies with few digits,
    and the large tensor is made once.
    """
    # A softmax does not change by what is subtracted.
    highest = ops.stop_gradient(ops.max(key, axis=-1, keepdims=True))
    lowest = ops.stop_gradient(ops.min(key, axis=-1, keepdims=True))
    left = ops.stack([ops.relu(query), -ops.relu(-query)], axis=-1)  # (batch, rank, 2)
    right = ops.stack([key - highest, key - lowest], axis=1)  # (batch, 2, rank)
    return ops.exp(ops.matmul(left, right))


def mix(query: Any, key: Any, value: Any) -> Any:
    """Returns `sum_j softmax_j(q_i k_j) v_j`, (batch, rank), for (batch, rank) each."""
    likeness = unnormalised(query, key)
    # Sum and normaliser as the two columns of one product: the large tensor is not divided.
    sums = ops.matmul(likeness, ops.stack([value, ops.ones_like(value)], axis=-1))
    return sums[..., 0] / sums[..., 1]


def _temperature(raw: Any) -> Any:
    return FLOOR + ops.softplus(raw)


def _inverse_softplus(value: float) -> float:
    return value if value > 30 else log(expm1(value))


def _positive(argument: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < inf:
        raise ConfigError(argument, "a finite number above 0", value)
    return float(value)
