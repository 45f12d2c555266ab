"""The loop over the shards of a batch, and what they add up to."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from autorec.errors import ConfigError
from autorec.training.row_sparse import is_table


class Found(NamedTuple):
    """What a batch came to.

    Args:
        loss: Of the unperturbed weights, without regularisers.
        skipped: Shards left out.
        gradients: One for each trainable variable.
        state: Values of the variables that are not trained.
        outputs: Predictions of the first passes and (rows,) whether a row's shard counts; empty if nobody asks.
    """

    loss: Any
    skipped: Any
    gradients: list[Any]
    state: list[Any]
    outputs: list[Any]

    def of_good_rows(self, structure: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
        """Returns predictions, labels and weights with rows of counted shards in the places of the others."""
        *outputs, good = self.outputs
        given = [t for t in (*outputs, *tf.nest.flatten((y, weight))) if t is not None]

        def replaced() -> list[Any]:
            first = tf.argsort(tf.cast(tf.logical_not(good), tf.int32), stable=True)
            count = tf.maximum(tf.reduce_sum(tf.cast(good, tf.int32)), 1)
            places = tf.gather(first, tf.range(tf.size(good)) % count)
            return [tf.gather(each, places) for each in given]

        kept = iter(tf.cond(tf.reduce_all(good), lambda: [tf.identity(each) for each in given], replaced))
        outputs = [next(kept) for _ in outputs]
        y, weight = tf.nest.map_structure(lambda t: None if t is None else next(kept), (y, weight))
        return keras.tree.pack_sequence_as(structure, outputs), y, weight


class Shards:
    """The loop over the shards of a batch.

    Args:
        gradient: The `SharpnessGradient` of the batch.
        state: First values of the variables that are not trained.
    """

    def __init__(self, gradient: Any, state: list[Any]) -> None:
        self.gradient = gradient
        self.rows = gradient.rows
        self.count = _within(gradient.settings.micro_batches, self.rows)
        self.size, self.longer = self.rows // self.count, self.rows % self.count  # so many shards are a row longer
        self.state = state

    def run(self) -> Found:
        """Returns what all shards came to."""
        carry = self._start()
        for begin, end, size in self._stretches():

            def body(shard: Any, carry: Any, size: Any = size) -> Any:
                return shard + 1, self._add(carry, shard, size)

            def more(shard: Any, carry: Any, end: Any = end) -> Any:
                return shard < end

            # One shard at a time: shards side by side would need the memory of a whole batch.
            first = tf.convert_to_tensor(begin)
            _, carry = tf.while_loop(more, body, (first, carry), parallel_iterations=1)
        found, share, good = carry
        found = found._replace(
            gradients=[self._joined(gradient, v) for gradient, v in zip(found.gradients, self.gradient.variables)],
            outputs=[each.concat() if isinstance(each, tf.TensorArray) else each for each in found.outputs],
        )
        return self.gradient.finished(found, share, tf.gather(good, self._shard_of_each_row()))

    def _stretches(self) -> list[tuple[Any, Any, Any]]:
        """Returns first and last shard of each loop and the size of its shards, None where it changes."""
        if not self.gradient.xla:
            return [(0, self.count, None)]
        both = [(0, self.longer, self.size + 1), (self.longer, self.count, self.size)]
        return [each for each in both if not isinstance(each[1], int) or each[0] < each[1]]

    def _start(self) -> tuple[Found, Any, Any]:
        gradients = [
            self._rows_of_table(v) if is_table(v) else tf.zeros(v.shape, v.dtype) for v in self.gradient.variables
        ]
        outputs = [self._output(each) for each in self.gradient.outputs]
        found = Found(tf.zeros(()), tf.zeros(()), gradients, self.state, outputs)
        return found, tf.zeros(()), tf.zeros((self.gradient.settings.micro_batches,), tf.bool)

    def _output(self, output: Any) -> Any:
        shape = tuple(output.shape[1:])
        if not self.gradient.xla:
            return tf.TensorArray(output.dtype, self.count, element_shape=(None, *shape), infer_shape=False)
        if None in shape:
            raise ConfigError("jit_compile", "False where the shape of predictions changes from batch to batch", True)
        return tf.zeros((self.rows, *shape), output.dtype)

    def _add(self, carry: Any, shard: Any, size: Any) -> Any:
        """Adds a shard to what those before it came to."""
        found, share, good = carry
        begin = shard * self.size + tf.minimum(shard, self.longer)
        if size is None:
            size = self.size + tf.cast(shard < self.longer, tf.int32)
        part = tf.nest.map_structure(lambda t: _part(t, begin, size), self.gradient.batch)
        mine = tf.math.divide_no_nan(tf.cast(size, tf.float32), tf.cast(self.rows, tf.float32))
        more, counts = self.gradient.shard(part, mine, found.state)
        outputs = [self._write(a, b, shard, begin, size) for a, b in zip(found.outputs, more.outputs)]
        loss, mine = tf.cond(counts, lambda: (found.loss + more.loss, share + mine), lambda: (found.loss, share))
        gradients = self._gradients(found.gradients, more.gradients, counts, shard)
        good = tf.tensor_scatter_nd_update(good, [[shard]], [counts])
        return Found(loss, found.skipped + more.skipped, gradients, more.state, outputs), mine, good

    def _gradients(self, sums: list[Any], more: list[Any], counts: Any, shard: Any) -> list[Any]:
        arrays = [each for each in sums if isinstance(each, tuple)]
        rows = [each for each in more if isinstance(each, tf.IndexedSlices)]
        dense = [each for each in sums if not isinstance(each, tuple)]
        tensors = [each for each in more if not isinstance(each, tf.IndexedSlices)]
        values, tensors = tf.cond(
            counts,
            lambda: ([tf.identity(each.values) for each in rows], [a + b for a, b in zip(dense, tensors)]),
            lambda: ([tf.zeros_like(each.values) for each in rows], [tf.identity(a) for a in dense]),
        )
        pairs = zip(arrays, values, [each.indices for each in rows])
        written = iter([self._with_rows(pair, shard, value, indices) for pair, value, indices in pairs])
        added = iter(tensors)
        return [next(written) if isinstance(each, tuple) else next(added) for each in sums]

    def _rows_of_table(self, table: Any) -> tuple[Any, Any]:
        """Returns what takes a table's gradient from shard to shard: values and indices, or sums and counts."""
        if self.gradient.xla:
            return tf.zeros(table.shape, table.dtype), tf.zeros(table.shape[:1], tf.int32)
        shape = (None, *table.shape[1:])
        values = tf.TensorArray(table.dtype, self.count, element_shape=shape, infer_shape=False)
        return values, tf.TensorArray(tf.int32, self.count, element_shape=(None,), infer_shape=False)

    def _with_rows(self, pair: Any, shard: Any, values: Any, indices: Any) -> tuple[Any, Any]:
        if self.gradient.xla:
            added = _sums(values, indices, pair[1].shape[0])
            return tuple(a + b for a, b in zip(pair, added))
        return pair[0].write(shard, values), pair[1].write(shard, indices)

    def _joined(self, gradient: Any, variable: Any) -> Any:
        if not isinstance(gradient, tuple):
            return gradient
        values, indices = gradient
        if self.gradient.xla:
            return _touched(values, indices)
        return tf.IndexedSlices(values.concat(), indices.concat(), tf.constant(tuple(variable.shape), tf.int32))

    def _write(self, target: Any, value: Any, shard: Any, begin: Any, size: Any) -> Any:
        if isinstance(target, tf.TensorArray):
            return target.write(shard, value)
        return tf.tensor_scatter_nd_update(target, (begin + tf.range(size))[:, None], value)

    def _shard_of_each_row(self) -> Any:
        """Returns for each row the shard that it is in."""
        row, head = tf.range(self.rows), self.longer * (self.size + 1)
        size = tf.maximum(self.size, 1)
        return tf.where(row < head, row // (self.size + 1), self.longer + (row - head) // size)


def _within(count: int, rows: Any) -> Any:
    """Returns `count`, or the rows if they are fewer, but not 0."""
    return max(1, min(count, rows)) if isinstance(rows, int) else tf.clip_by_value(rows, 1, count)


def row_count(tensor: Any) -> Any:
    """Returns the number of rows of a dense or ragged tensor: an int where the shape tells it, else a tensor."""
    if isinstance(tensor, tf.RaggedTensor):
        return tf.cast(tensor.nrows(), tf.int32)
    return tf.shape(tensor)[0] if tensor.shape[0] is None else tensor.shape[0]


def _part(tensor: Any, begin: Any, size: Any) -> Any:
    if tensor is None:
        return None
    if isinstance(tensor, tf.RaggedTensor):
        return tensor[begin : begin + size]
    rest = len(tensor.shape) - 1
    # A slice with a size of its own: XLA takes no end that moves with the beginning.
    found = tf.slice(tensor, [begin, *[0] * rest], [size, *[-1] * rest])
    return tf.ensure_shape(found, [None, *tensor.shape[1:]])


def all_rows(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Returns a gradient with a row for each of the table's; indices of those it does not touch are -1."""
    return _touched(*_sums(gradient.values, gradient.indices, tf.get_static_value(gradient.dense_shape)[0]))


def _sums(values: Any, indices: Any, rows: int) -> tuple[Any, Any]:
    count = tf.math.unsorted_segment_sum(tf.ones_like(indices), indices, rows)
    return tf.math.unsorted_segment_sum(values, indices, rows), count


def _touched(values: Any, count: Any) -> tf.IndexedSlices:
    # Sums over indices leave out what has a negative one.
    indices = tf.where(count > 0, tf.range(values.shape[0]), -1)
    return tf.IndexedSlices(values, indices, tf.constant(tuple(values.shape), tf.int32))
