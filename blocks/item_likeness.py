"""How alike past items are to the item at hand."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from autorec.blocks.base import Block, Shape
from autorec.blocks.checks import whole
from autorec.errors import ConfigError

RESERVED = 2  # missing and unknown values are like none


@keras.saving.register_keras_serializable(package="autorec")
class ItemLikeness(Block):
    """For each past item whether it is the item at hand, and in which attributes it is like it.

    `a_l0 = [id_l = c_0]`, `a_lj = [x_j(id_l) = c_j] (1 - p_j(id_l))`

    `c_0` is the id of the item at hand and `c_j` the row's value of attribute `j`; `x_j(id)` is an item's value and
    `p_j(id)` the share of rows that have it: to be alike in what is rare says more. Both are known when the layer is
    made and not trained. Missing and unknown values are like none, and padding is like nothing.

    Args:
        size: Number of ids of the items, the two reserved ones included (2 or more).
        attributes: Number of attributes (0 or more; default 0).
        initial: The attributes' values (size, attributes), whole numbers, and their shares (size, attributes). It is
            not part of the configuration: a loaded layer has its weights. None for zeros, by which no item is alike.

    Shapes:
        [ids of past items (batch, length), the item's id and attributes (batch, 1 + attributes)] gives
        (batch, length, 1 + attributes), float32 under any policy; the length may be unknown, and 0.

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> layer = ItemLikeness(5, 1, ([[0], [0], [7], [7], [8]], [[0], [0], [0.5], [0.5], [0.25]]))
        >>> layer([ops.array([[2, 3, 4, 0]]), ops.array([[3, 7]])])  # [[[0, .5], [1, .5], [0, 0], [0, 0]]]

    Source: ours; the weights follow Goodall, A new similarity index based on probability, Biometrics 1966.
    """

    def __init__(self, size: int, attributes: int = 0, initial: Any = None, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.size = whole("size", size, least=RESERVED)
        self.attributes = whole("attributes", attributes, least=0)
        self.initial = initial
        shape = (self.size, self.attributes)
        if initial is not None and any(np.shape(part) != shape for part in initial):
            shapes = [np.shape(part) for part in initial]
            raise ConfigError("initial", f"values and shares of shape {shape}", shapes)

    def build(self, input_shape: Any) -> None:
        """Makes the table of values and that of their weights."""
        if not self.attributes:
            return
        values, shares = self.initial or (np.zeros((self.size, self.attributes)),) * 2
        self.values = self._fixed("values", np.asarray(values), "int32")
        self.rarity = self._fixed("rarity", 1 - np.asarray(shares), "float32")

    def _fixed(self, name: str, content: np.ndarray, dtype: str) -> Any:
        start = lambda shape, dtype=None: ops.convert_to_tensor(content, dtype)  # noqa: E731
        return self.add_weight(
            name=name, shape=content.shape, initializer=start, dtype=dtype, trainable=False, autocast=False
        )

    def call(self, inputs: Any) -> Any:
        """Takes [(batch, length), (batch, 1 + attributes)]; returns (batch, length, 1 + attributes) float32."""
        ids, item = (ops.cast(each, "int32") for each in inputs)
        present = ids >= RESERVED
        same = ops.cast(ops.logical_and(ids == item[:, :1], present), "float32")[..., None]
        if not self.attributes:
            return same
        wanted = ops.expand_dims(item[:, 1:], 1)  # (batch, 1, attributes)
        places = ops.where(ids < self.size, ids, 0)
        equal = ops.logical_and(ops.take(self.values.value, places, axis=0) == wanted, wanted >= RESERVED)
        equal = ops.logical_and(equal, present[..., None])
        alike = ops.where(equal, ops.take(self.rarity.value, places, axis=0), 0.0)
        return ops.concatenate([same, alike], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, length, 1 + attributes)."""
        return (*input_shape[0], 1 + self.attributes)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, without the values that the layer started from."""
        return {**super().get_config(), "initial": None}

    def operations(self, shapes: Any) -> int:
        """Returns 0: nothing is multiplied and added."""
        return 0
