"""The rows of a table that a batch touches: summed gradients, and reads and writes of those rows alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from autorec.errors import ConfigError

# Up to so many values a table is gone over as a whole, whatever the batch.
SMALL = 20_000 * 16
# Up to so many values, it is where the batch has at least half as many ids as the table has rows: that is faster than
# finding the distinct ones. On two cores a lazy Adam step at width 16 took, whole against distinct, .92 and 1.31 ms for
# 26,624 ids and 20,000 rows, 1.60 and 2.12 for 50,000, 3.29 and 2.40 for 100,000; for 106,496 ids and 100,000 rows 4.90
# and 8.20, for 200,000 8.53 and 9.88.
MEDIUM = 250_000 * 16


class SparseRows:
    """Distinct rows of a large table.

    Args:
        gradient: `tf.IndexedSlices`; a row may occur several times, its gradients are summed.
    """

    def __init__(self, gradient: tf.IndexedSlices) -> None:
        self.ids, position = tf.unique(gradient.indices, out_idx=tf.int64)
        self.gradient = _sums(gradient.values, position, tf.size(self.ids))  # (rows, dim)

    def read(self, variable: Any) -> Any:
        """Returns (rows, width) of a table or of its moments."""
        return tf.gather(variable, self.ids)

    def add(self, variable: Any, old: Any, values: Any, factor: Any) -> Any:
        """Adds (rows, width) times a factor to `old`, which was read; writes and returns the sum."""
        new = old + values * factor
        # Rows are copied in; `scatter_add` and TensorFlow's fused `ResourceSparseApplyAdagradV2` go through each with
        # arithmetic of their own: 35,000 rows of ten million took .7 ms against 5.2 and 10.
        variable.scatter_update(tf.IndexedSlices(new, self.ids))
        return new


class DenseRows:
    """All rows of a small table; only the touched ones are changed.

    Args:
        gradient: (all rows, dim), summed.
        touched: (all rows, 1), 1 for a touched row and 0 for another.
    """

    def __init__(self, gradient: Any, touched: Any) -> None:
        self.gradient = gradient
        self._touched = touched

    def read(self, variable: Any) -> Any:
        """Returns (all rows, width) of a table or of its moments."""
        return tf.convert_to_tensor(variable)

    def add(self, variable: Any, old: Any, values: Any, factor: Any) -> Any:
        """Adds the touched ones of (all rows, width) times a factor to `old`; writes and returns the sum."""
        # A mask that is part of the factor goes over the rows once less than `tf.where` does.
        new = old + values * (self._touched * factor)
        variable.assign(new)
        return new


def update_rows(table: Any, gradient: Any, update: Callable[[SparseRows | DenseRows], None]) -> None:
    """Calls `update` with the rows of `table` that a gradient touches.

    A dense gradient (one that something made dense on its way) touches the rows in which it is not 0.

    Raises:
        ConfigError: If the table is not small and the step is to be compiled by XLA.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        touched = tf.reduce_any(tf.not_equal(gradient, 0.0), axis=1, keepdims=True)
        update(DenseRows(gradient, tf.cast(touched, gradient.dtype)))
        return
    rows, dim = table.shape
    if rows * dim <= SMALL:
        update(_whole(gradient, rows))
        return
    if under_xla():
        raise ConfigError(
            "jit_compile",
            f"False with a row-sparse table of {rows} rows of {dim}",
            True,
            "XLA cannot find the distinct rows of a batch. Call model.compile(..., jit_compile=False); Keras's "
            "default, 'auto', is True on a GPU.",
        )
    if rows * dim > MEDIUM or tf.distribute.has_strategy():  # within replicas, an update may not hang on a condition
        update(SparseRows(gradient))
        return

    def branch(found: Callable[[], SparseRows | DenseRows]) -> Callable[[], Any]:
        def run() -> Any:
            update(found())
            return tf.constant(0)

        return run

    many = 2 * tf.size(gradient.indices) >= rows
    tf.cond(many, branch(lambda: _whole(gradient, rows)), branch(lambda: SparseRows(gradient)))


def _whole(gradient: tf.IndexedSlices, rows: int) -> DenseRows:
    ones = tf.ones_like(gradient.indices, gradient.dtype)
    count = tf.math.unsorted_segment_sum(ones, gradient.indices, rows)
    return DenseRows(_sums(gradient.values, gradient.indices, rows), tf.minimum(count, 1.0)[:, None])


def _sums(values: Any, position: Any, rows: Any) -> Any:
    """Returns (rows, dim), in each row the sum of the values with its position."""
    if under_xla():
        return tf.math.unsorted_segment_sum(values, position, rows)
    # The product with a sparse matrix of ones sums the same in a third of the time.
    count = tf.size(position, out_type=tf.int64)
    # Joined and turned: to stack them side by side takes five times as long.
    pairs = tf.transpose(tf.stack([tf.cast(position, tf.int64), tf.range(count)]))
    return tf.raw_ops.SparseTensorDenseMatMul(
        a_indices=pairs,
        a_values=tf.ones([count], values.dtype),
        a_shape=tf.stack([tf.cast(rows, tf.int64), count]),
        b=values,
    )


def under_xla() -> bool:
    """Returns whether a function is being traced that XLA compiles."""
    return not tf.executing_eagerly() and bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))
