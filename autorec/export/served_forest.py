"""Trees as plain tensor operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from autorec.data.forest import FIRST_LEAF, Forest, SplitColumn


class ServedForest(tf.Module):
    """`autorec.data.forest.Forest` on tensors, bit for bit, for rows of no share.

    A gather and an `and` for each column that is split, whatever the number of trees.

    Args:
        forest: The trees.
    """

    def __init__(self, forest: Forest) -> None:
        super().__init__()
        self._columns = forest.columns
        self._all_leaves = forest.all_leaves
        self._starts = forest.value_starts
        self._count = forest.share_count
        self._fields = forest.fields
        self._allowed = tf.Variable(forest.allowed, trainable=False)
        self._values = tf.Variable(forest.values.reshape(-1), trainable=False)
        self._members = tf.Variable(forest.members.sum(1), trainable=False)  # (trees, targets)
        self._thresholds = [
            None if column.thresholds is None else tf.Variable(column.thresholds, trainable=False)
            for column in forest.columns
        ]

    def lookup(self, encoded: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the groups `margins` and `leaves` for those that the trees read."""
        rows = tf.shape(next(iter(encoded.values())))[0]
        left = tf.tile(tf.constant(self._all_leaves[None]), [rows, 1])  # (rows, trees)
        for column, thresholds in zip(self._columns, self._thresholds):
            values = encoded[column.group][:, column.position]
            left = tf.bitwise.bitwise_and(left, tf.gather(self._allowed, _places(column, thresholds, values)))
        leaves = tf.cast(tf.raw_ops.PopulationCount(x=left - 1), tf.int32)
        values = tf.gather(self._values, leaves + self._starts)
        margins = tf.cast(tf.matmul(values, self._members) / self._count, tf.float32)
        return {"leaves": tf.gather(leaves, self._fields, axis=1) + FIRST_LEAF, "margins": margins}


def _places(column: SplitColumn, thresholds: Any, values: Any) -> Any:
    """`SplitColumn.places` on tensors."""
    if thresholds is None:
        return column.first + tf.where(values < column.rows, values, 1)
    values = tf.cast(values, tf.float64)
    missing = tf.math.is_nan(values)
    below = tf.searchsorted(thresholds, tf.where(missing, tf.zeros_like(values), values))
    return column.first + tf.where(missing, column.rows - 1, below)
