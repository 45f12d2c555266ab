"""How alike past items are to the item at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from autorec.blocks.base import Block, Shape
from autorec.blocks.checks import whole
from autorec.blocks.field_embedding import RESERVED
from autorec.errors import ConfigError

MOST = 2**24  # whole numbers that float32 tells apart


@keras.saving.register_keras_serializable(package="autorec")
class ItemLikeness(Block):
    """For each past item whether it is the item at hand, and in which attributes it is like it.

    `a_l0 = [id_l = c_0]`, `a_lj = [x_j(id_l) = c_j] (1 - p_j(c_j))`

    `c_0` is the id of the item at hand and `c_j` the row's value of attribute `j`, the item's own where the row has
    none; `x_j(id)` is an item's value and `p_j(c)` the share of rows that have a value: to be alike in what is rare
    says more. Both are known when the layer is made and not trained. Missing and unknown values are like none, and
    padding is like nothing.

    Args:
        size: Number of ids of the items, the two reserved ones included (2 or more).
        attributes: For each attribute, the number of its ids (2 or more, below 2^24). Default none.
        initial: A pair: the attributes' values (size, attributes), whole numbers, and for each its shares (ids,). It
            is not part of the configuration: a loaded layer has its weights, and a clone needs them. None for zeros:
            nothing is alike.

    Shapes:
        [ids of past items (batch, length), the item's id and the row's attributes (batch, 1 + attributes)] gives
        (batch, length, 1 + attributes), float32 under any policy; the length may be unknown, and 0.

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> values, shares = [[0], [0], [2], [2], [3]], [[0, 0, 0.75, 0.25]]
        >>> layer = ItemLikeness(5, [4], (values, shares))
        >>> layer([ops.array([[2, 3, 4, 0]]), ops.array([[3, 2]])])  # [[[0, .25], [1, .25], [0, 0], [0, 0]]]

    Source: ours; the weights follow Goodall, A new similarity index based on probability, Biometrics 1966.
    """

    def __init__(self, size: int, attributes: Sequence[int] = (), initial: Any = None, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.size = whole("size", size, least=RESERVED)
        self.attributes = [whole("attributes", each, least=RESERVED) for each in attributes]
        if max(self.attributes, default=0) >= MOST:
            raise ConfigError("attributes", f"numbers of ids below {MOST}", self.attributes)
        self.initial = initial
        if initial is not None:
            self._check(*initial)

    def _check(self, values: Any, shares: Any) -> None:
        wanted = [(self.size, len(self.attributes)), *((each,) for each in self.attributes)]
        shapes = [np.shape(values), *(np.shape(each) for each in shares)]
        if shapes != wanted:
            raise ConfigError("initial", f"values and shares of the shapes {wanted}", shapes)

    def build(self, input_shape: Any) -> None:
        """Makes the table of values, and the weight of each value."""
        if not self.attributes:
            return
        values, shares = self.initial or (0, [np.ones(each) for each in self.attributes])
        rarity = [1 - np.asarray(each) for each in shares]
        for each in rarity:
            each[:RESERVED] = 0
        # float32, since a processor with an accelerator may keep whole numbers elsewhere: exact below 2^24.
        self.values = self._fixed("values", (self.size, len(self.attributes)), np.asarray(values))
        self.rarity = self._fixed("rarity", (sum(self.attributes),), np.concatenate(rarity))
        self.initial = None  # the weights have it

    def _fixed(self, name: str, shape: tuple[int, ...], content: np.ndarray) -> Any:
        def start(shape: Any, dtype: Any = None) -> Any:
            return ops.convert_to_tensor(np.broadcast_to(content, shape), dtype)

        return self.add_weight(
            name=name, shape=shape, initializer=start, dtype="float32", trainable=False, autocast=False
        )

    def call(self, inputs: Any) -> Any:
        """Takes [(batch, length), (batch, 1 + attributes)]; returns (batch, length, 1 + attributes) float32."""
        ids, item = (ops.cast(each, "int32") for each in inputs)
        present = ids >= RESERVED
        same = ops.cast(ops.logical_and(ids == item[:, :1], present), "float32")[..., None]
        if not self.attributes:
            return same
        sizes = np.array(self.attributes, "int32")
        own = self._values_of(item[:, 0])  # (batch, attributes)
        wanted = ops.where(item[:, 1:] > 0, ops.cast(item[:, 1:], "float32"), own)
        places = ops.cast(ops.where(wanted < sizes, wanted, 0.0), "int32") + (np.cumsum(sizes) - sizes)
        weights = ops.take(self.rarity.value, places, axis=0)
        equal = self._values_of(ids) == ops.expand_dims(wanted, 1)  # (batch, length, attributes)
        alike = ops.where(ops.logical_and(equal, present[..., None]), ops.expand_dims(weights, 1), 0.0)
        return ops.concatenate([same, alike], axis=-1)

    def _values_of(self, ids: Any) -> Any:
        return ops.take(self.values.value, ops.where(ids < self.size, ids, 0), axis=0)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, length, 1 + attributes)."""
        return (*input_shape[0], 1 + len(self.attributes))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, without the values that the layer started from."""
        return {**super().get_config(), "initial": None}

    def operations(self, shapes: Any) -> int:
        """Returns 0: these are comparisons and lookups."""
        return 0
