"""A user's past, read with the item at hand in view."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import Block, Shape
from autorec.blocks.checks import share, whole
from autorec.blocks.hyperparameters import Choice, Hyperparameter, Int
from autorec.errors import ConfigError

# A score that attention never picks; finite in every precision, since a row of an empty history has no other.
_NEVER = -3e4
# What norms add to the variance: vectors shorter than this stay about as they are.
SOFT = 1.0
# What the outputs start with as a scale. Not 0: the gradient of a product of two of them would be 0 too.
QUIET = 0.01


@keras.saving.register_keras_serializable(package="autorec")
class HistoryTransformer(Block):
    """A transformer over past items, each joined to the candidate item; its maximum over time and its last positions.

    `z_l = W_in [v_l, c, v_l * P c, a_l] + r_{age(l)}`, `X = norm(Encoder(Z))`, `y = [max_l X_l, X_newest, ...]`

    `v_l` are past items, `c` is the candidate, which `P` maps to their width, and `a_l` says in what they are alike, if
    that is given (see `ItemLikeness`). `age(l)` counts the newer items, and `r` is learned; items older than `ages`
    share the last one. Each layer of the encoder is `X' = X + attention(norm(X))`, `X' + W_2 relu(W_1 norm(X'))` with
    `W_1` to half the width; `norm` divides by the root of 1 + the variance, so that embeddings, which are small at
    first, are not blown up. The last one's scale starts at 0.01: a model starts about as if there were no history and
    lets it in as it helps, which was worth .001 to .002 AUC on the demo log. Padding is not attended to and counts
    nowhere. Positions that a short history lacks are 0; **an empty history gives 0** throughout, with no gradient.

    Args:
        width: Width of the model (1 or more; searched: 16, 32, 64; default 32).
        layers: Number of layers (1 or more; searched: 1 to 3; default 2).
        heads: Number of heads, a divisor of `width` (1 or more; searched: 1, 2, as far as they divide it; default 1).
        last: Number of newest positions to return (0 or more; searched: 1, 3, 5; default 3).
        dropout: Share of values set to 0 in training behind attention and feed-forward (0 up to 1, without it;
            searched: 0, 0.1, 0.25; default 0).
        ages: Number of ages that are told apart (1 or more; default 100).

    Shapes:
        [items (batch, length, dim), ids (batch, length), candidate (batch, any)], and maybe the likeness
        (batch, length, any) behind them, gives (batch, width * (1 + last)). Ids of 0 are padding, items stand oldest
        first; the length may be unknown, and 0. A layer holds (batch, heads, length, length) values.

    Raises:
        ConfigError: If an argument is not allowed, or `heads` does not divide `width`.

    Example:
        >>> HistoryTransformer(width=32)([items, ids, item])  # (batch, 128)

    Source: LiRank-style, after Borisyuk et al., LiRank: Industrial Large Scale Ranking Models at LinkedIn, KDD 2024,
    and Xia et al., TransAct: Transformer-based Realtime User Action Model for Recommendation at Pinterest, KDD 2023.
    There an embedding of the action stands beside each item; here all are of one action. The product `v_l * P c`, the
    likeness, the ages, the place of the norms and the quiet start are ours: without the first two, likeness to the
    candidate was learned too late.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {
        "width": Choice((16, 32, 64), 32),
        "layers": Int(1, 3, default=2),
        "heads": Choice((1, 2), 1),
        "last": Choice((1, 3, 5), 3),
        "dropout": Choice((0.0, 0.1, 0.25), 0.0),
    }

    def __init__(
        self,
        width: int = 32,
        layers: int = 2,
        heads: int = 1,
        last: int = 3,
        dropout: float = 0.0,
        ages: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width = whole("width", width)
        self.layers = whole("layers", layers)
        self.heads = whole("heads", heads)
        if self.width % self.heads:
            raise ConfigError("heads", f"a divisor of the width, {self.width}", heads)
        self.last = whole("last", last, least=0)
        self.dropout = share("dropout", dropout)
        self.ages = whole("ages", ages)
        self.encoders = [_Encoder(self.width, self.heads, self.dropout, self.dtype_policy) for _ in range(self.layers)]
        quiet = keras.initializers.Constant(QUIET)
        self.norm = keras.layers.LayerNormalization(epsilon=SOFT, gamma_initializer=quiet, dtype=self.dtype_policy)

    @classmethod
    def space_of(cls, argument: str, values: Mapping[str, Any]) -> Hyperparameter:
        """Returns the space of an argument; numbers of heads divide the width."""
        space = super().space_of(argument, values)
        return space.dividing(values["width"]) if argument == "heads" and isinstance(space, Choice) else space

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        items, _, candidate, *likeness = input_shape
        own = 2 * items[-1] + sum(shape[-1] for shape in likeness)
        # Both kernels start as parts of one of the width of all. An initializer each: a shared one repeats its values.
        limit = sqrt(6 / (own + candidate[-1] + self.width))
        start, start_candidate = (keras.initializers.RandomUniform(-limit, limit) for _ in range(2))
        # Items, their products and their likeness side by side: one product of matrices for all.
        self.item_kernel = self._weight("item_kernel", (own, self.width), start)
        self.candidate_kernel = self._weight("candidate_kernel", (candidate[-1], self.width), start_candidate)
        self.map_kernel = self._weight("map_kernel", (candidate[-1], items[-1]), "glorot_uniform")
        self.age_rows = self._weight("ages", (self.ages, self.width), keras.initializers.RandomNormal(stddev=0.02))
        for part in (*self.encoders, self.norm):
            part.build((None, None, self.width))
        self.built = True

    def _weight(self, name: str, shape: tuple[int, int], initializer: Any) -> Any:
        return self.add_weight(name=name, shape=shape, initializer=initializer)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Takes [(batch, length, dim), (batch, length), (batch, any), ...]; returns (batch, width * (1 + last))."""
        items, ids, candidate, *likeness = inputs
        present = ids > 0  # (batch, length)
        count = ops.cast(present, "int32")
        age = ops.sum(count, axis=1, keepdims=True) - ops.cumsum(count, axis=1)
        x = self._joined(*(ops.cast(each, self.compute_dtype) for each in (items, candidate, *likeness)))
        x = x + ops.take(self.age_rows, ops.clip(age, 0, self.ages - 1), axis=0)  # (batch, length, width)
        never = ops.cast(ops.where(present, 0.0, _NEVER), self.compute_dtype)[:, None, None, :]
        for encoder in self.encoders:
            x = encoder(x, never=never, training=training)
        return self._pooled(self.norm(x), present, age)

    def _joined(self, items: Any, candidate: Any, *likeness: Any) -> Any:
        """Returns `W_in [v_l, c, v_l * P c, a_l]`, (batch, length, width)."""
        products = items * ops.expand_dims(ops.matmul(candidate, self.map_kernel), 1)
        own = ops.matmul(ops.concatenate([items, products, *likeness], axis=-1), self.item_kernel)
        return own + ops.expand_dims(ops.matmul(candidate, self.candidate_kernel), 1)

    def _pooled(self, x: Any, present: Any, age: Any) -> Any:
        """Returns the maximum over the items that are there, then the newest ones, the newest first."""
        lowest = float("-inf")
        largest = ops.max(ops.where(ops.expand_dims(present, -1), x, lowest), axis=1, initial=lowest)
        largest = ops.where(ops.any(present, axis=1, keepdims=True), largest, 0.0)
        if not self.last:
            return largest
        wanted = ops.arange(self.last, dtype="int32")[None, :, None]  # (1, last, 1)
        at = ops.logical_and(ops.expand_dims(age, 1) == wanted, ops.expand_dims(present, 1))  # (batch, last, length)
        newest = ops.reshape(ops.matmul(ops.cast(at, x.dtype), x), (-1, self.last * self.width))
        return ops.concatenate([largest, newest], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, width * (1 + last))."""
        return (input_shape[0][0], self.width * (1 + self.last))

    def operations(self, shapes: Any) -> int:
        """Returns the multiply-adds of one row, a history of unknown length as if it had one item."""
        items, _, candidate, *likeness = shapes
        length, width = items[1] or 1, self.width
        layer = length * (4 * width * width + 2 * width * (width // 2 or 1)) + 2 * length * length * width
        dim, beside = items[-1], candidate[-1]
        alike = length * width * sum(shape[-1] for shape in likeness)
        return alike + length * dim * (2 * width + 1) + beside * (width + dim) + self.layers * layer


class _Encoder(keras.layers.Layer):
    """A layer of the encoder: attention between the items, then a feed-forward network of each."""

    def __init__(self, width: int, heads: int, dropout: float, dtype: Any) -> None:
        super().__init__(dtype=dtype)
        self.width, self.heads = width, heads
        self.inner = keras.layers.Dense(3 * width, use_bias=False, dtype=dtype)  # queries, keys and values
        self.outer = keras.layers.Dense(width, dtype=dtype)
        self.hidden = keras.layers.Dense(max(width // 2, 1), "relu", dtype=dtype)
        self.back = keras.layers.Dense(width, dtype=dtype)
        self.norms = [keras.layers.LayerNormalization(epsilon=SOFT, dtype=dtype) for _ in range(2)]
        self.drop = keras.layers.Dropout(dropout, dtype=dtype) if dropout else None

    def build(self, input_shape: Any) -> None:
        for layer in (self.inner, self.outer, self.hidden, *self.norms):
            layer.build(input_shape)
        self.back.build((*input_shape[:-1], self.hidden.units))
        self.built = True

    def call(self, x: Any, never: Any, training: bool | None = None) -> Any:
        """Takes (batch, length, width) and scores to add, (batch, 1, 1, length); returns (batch, length, width)."""
        x = x + self._dropped(self._attended(self.norms[0](x), never), training)
        return x + self._dropped(self.back(self.hidden(self.norms[1](x))), training)

    def _dropped(self, x: Any, training: bool | None) -> Any:
        return x if self.drop is None else self.drop(x, training=training)

    def _attended(self, x: Any, never: Any) -> Any:
        length, size = ops.shape(x)[1], self.width // self.heads
        parts = ops.reshape(self.inner(x), (-1, length, 3, self.heads, size))
        query, key, value = ops.unstack(ops.transpose(parts, (2, 0, 3, 1, 4)), axis=0)  # (batch, heads, length, size)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / sqrt(size) + never
        weights = ops.softmax(scores) if scores.shape[-1] != 1 else ops.ones_like(scores)  # Keras warns of one alone
        mixed = ops.matmul(weights, value)
        return self.outer(ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, length, self.width)))
