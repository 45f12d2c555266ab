"""The gradient of a sharpness-aware step: shards, perturbations, and the loop over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from autorec.errors import ConfigError
from autorec.training.losses import apart, spread_labels
from autorec.training.row_sparse import is_table
from autorec.training.rows import under_xla
from autorec.training.sharpness import SharpnessAware

EPSILON = 1e-12


def perturbed(model: Any, settings: SharpnessAware) -> list[Any]:
    """Returns the variables that a perturbation moves."""
    return [v for v in model.trainable_variables if settings.tables or not is_table(v)]


def perturbation(values: Sequence[Any], gradients: Sequence[Any], rho: float, adaptive: bool = False) -> Any:
    """Returns the perturbation of each value, of length `rho` together, and the square of the gradients' norm.

    Args:
        values: Weights.
        gradients: Their gradients, dense.
        rho: Length.
        adaptive: Scale by the weights.
    """
    sizes = [tf.abs(value) for value in values] if adaptive else []
    scaled = [size * gradient for size, gradient in zip(sizes, gradients)] if adaptive else list(gradients)
    square = _square(scaled)
    factor = rho / (tf.sqrt(square) + EPSILON)
    moves = [tf.cast(factor, each.dtype) * each for each in scaled]
    return [size * move for size, move in zip(sizes, moves)] if adaptive else moves, square


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


class SharpnessGradient:
    """Finds the gradient of one batch. Made anew in each trace of a step.

    No variable is written: the model runs with the moved values in their place, so that weights are the same bit for
    bit whatever happens in between. What the first passes change (moving statistics, states of random generators) goes
    from shard to shard and comes back as `Found.state`.

    Shards run in a loop, traced once however many there are. XLA wants sizes that do not change within a loop: there
    shards that are a row longer have one of their own, and tables a dense gradient.
    """

    def __init__(self, model: Any, settings: SharpnessAware, x: Any, y: Any, weight: Any) -> None:
        self.model, self.settings = model, settings
        self.variables = model.trainable_variables
        self.moved = perturbed(model, settings)
        self.state = model.non_trainable_variables
        self.batch = (x, *spread_labels(model.loss, y, weight))
        self.rows = _rows(next(t for t in tf.nest.flatten(x) if t is not None))
        self.xla = under_xla()
        tells = bool(model._compile_loss.metrics) or model._compile_metrics is not None
        self.outputs = keras.tree.flatten(model.output) if tells else []  # those that somebody asks for
        self._hides = not isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        self._scale = model.optimizer.scale_loss(tf.ones(()))
        self._dense: set[int] = set()  # places of tables whose gradient arrives dense
        self._changed: set[int] = set()  # places in the state

    def find(self) -> Found:
        """Returns the sharpness-aware gradient, each `every`-th step, else the plain one."""
        every = self.settings.every
        if every == 1:
            return self._sharp()
        now = tf.equal((tf.cast(self.model.optimizer.iterations.value, tf.int32) + 1) % every, 0)
        return tf.cond(now, self._sharp, self._plain)

    def changed(self, found: Found) -> list[tuple[Any, Any]]:
        """Returns the untrained variables that the model changes, and their new values."""
        return [(self.state[i], found.state[i]) for i in sorted(self._changed)]

    # One shard

    def _forward(self, part: Any, mapping: Any, watched: Sequence[Any], factor: Any) -> Any:
        """Runs the model; returns loss and added losses, by `factor` in the tape, predictions, and the scope."""
        x, y, weight = part
        scope = keras.StatelessScope(mapping, collect_losses=True, initialize_variables=False)
        with tf.GradientTape(persistent=True) as tape, scope, apart():
            tape.watch(watched)
            outputs = self.model(x, training=True)
            self._check(scope)
            loss = tf.cast(self.model._compile_loss(y, outputs, weight), tf.float32)
            added = [tf.cast(tf.reduce_sum(each), tf.float32) for each in scope.losses]
            own = self.model._aggregate_additional_loss(tf.add_n(added)) if added else None
            scaled = loss * factor, None if own is None else own * factor
        return tape, scaled, (loss, own), outputs, scope

    def _check(self, scope: Any) -> None:
        if set(scope.state_mapping) - {id(v) for v in (*self.state, *self.variables)}:
            hint = "Give random operations a keras.random.SeedGenerator of the layer's."
            raise ConfigError("model", "made of layers that change their own variables only", self.model.name, hint)

    def shard(self, part: Any, share: Any, state: Sequence[Any], sharp: bool = True) -> tuple[Found, Any]:
        """Returns what a shard adds, by its share of the batch, and whether it counts."""
        factor = share * self._scale
        begin = list(zip(self.state, state))
        tape, (loss, own), told, outputs, scope = self._forward(part, begin, [], factor)
        after = [scope.get_current_value(v) for v in self.state]
        self._changed |= {i for i, (a, b) in enumerate(zip(after, state)) if a is not b}
        if sharp:
            seeds = begin if self.settings.same_dropout else list(zip(self.state, after))
            gradients, square = self._second(part, factor, tape, loss, seeds)
        else:
            gradients = self._gradients(tape, loss, {})
            square = tf.zeros(())
        if own is not None:
            gradients = self._sums(gradients, self._gradients(tape, own, {}))
        shown = told[0] if own is None else told[0] + told[1]
        good = tf.constant(True)
        if sharp and self._hides:
            good = tf.math.is_finite(square + _square(gradients) + told[0])
        state = [a if a is b else tf.where(good, a, b) for a, b in zip(after, state)]
        flat = keras.tree.flatten(outputs) if self.outputs else []
        return Found(shown * share, tf.cast(tf.logical_not(good), tf.float32), gradients, state, flat), good

    def _second(self, part: Any, factor: Any, tape: Any, loss: Any, begin: Any) -> tuple[list[Any], Any]:
        """Returns the gradients at the perturbed weights, and the squared norm of those at the weights."""
        values = [v.value for v in self.moved]
        gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        values = [tf.convert_to_tensor(value) for value in values]
        moves, square = perturbation(values, dense, self.settings.rho, self.settings.adaptive)
        moves = [tf.stop_gradient(value + move) for value, move in zip(values, moves)]
        tape, (loss, _), _, _, _ = self._forward(part, [*begin, *zip(self.moved, moves)], moves, factor)
        return self._gradients(tape, loss, {id(v): move for v, move in zip(self.moved, moves)}), square

    def _gradients(self, tape: Any, target: Any, moved: dict[int, Any]) -> list[Any]:
        """Returns the gradient of each variable: a tensor, of a table the rows of `tf.IndexedSlices`."""
        found = tape.gradient(target, [moved.get(id(v), v.value) for v in self.variables])
        gradients = []
        for place, (variable, gradient) in enumerate(zip(self.variables, found)):
            if is_table(variable) and not self.xla:
                if gradient is not None and not isinstance(gradient, tf.IndexedSlices):
                    self._dense.add(place)
                gradients.append(_slices(gradient, variable))
            elif gradient is None:
                gradients.append(tf.zeros(variable.shape, variable.dtype))
            elif isinstance(gradient, tf.IndexedSlices):
                rows = variable.shape[0]
                gradients.append(tf.math.unsorted_segment_sum(gradient.values, gradient.indices, rows))
            else:
                gradients.append(gradient)
        return gradients

    def _sums(self, gradients: list[Any], more: list[Any]) -> list[Any]:
        found = []
        for place, (a, b) in enumerate(zip(gradients, more)):
            if not isinstance(a, tf.IndexedSlices):
                found.append(a + b)
            elif place in self._dense:
                found.append(_slices(tf.convert_to_tensor(a) + tf.convert_to_tensor(b), self.variables[place]))
            else:
                both = [tf.concat(pair, axis=0) for pair in ((a.values, b.values), (a.indices, b.indices))]
                found.append(tf.IndexedSlices(*both, a.dense_shape))
        return found

    # All shards

    def _sharp(self) -> Found:
        state = self._state()
        if self.settings.micro_batches > 1:
            return _Loop(self, state).run()
        found, good = self.shard(self.batch, tf.ones(()), state)
        kept = tf.cond(
            good, lambda: _mapped(tf.identity, found.gradients), lambda: _mapped(tf.zeros_like, found.gradients)
        )
        return self.finished(found._replace(gradients=kept), tf.cast(good, tf.float32), tf.fill((self.rows,), good), 1)

    def _plain(self) -> Found:
        found, good = self.shard(self.batch, tf.ones(()), self._state(), sharp=False)
        return self.finished(found, tf.ones(()), tf.fill((self.rows,), good), 1)

    def _state(self) -> list[Any]:
        return [tf.convert_to_tensor(v.value) for v in self.state]

    def finished(self, found: Found, share: Any, good: Any, shards: Any) -> Found:
        """Returns gradients in their last form, and they and the loss as the mean over what counts.

        Args:
            found: Sums over the shards.
            share: Share of the batch that counts.
            good: (rows,) whether a row counts.
            shards: Number of shards.
        """
        gradients = list(found.gradients)
        for place in self._dense:
            values = tf.reshape(gradients[place].values, (shards, *self.variables[place].shape))
            gradients[place] = tf.reduce_sum(values, axis=0)
        factor = tf.math.divide_no_nan(1.0, share)
        loss, gradients = tf.cond(
            found.skipped > 0.0,
            lambda: (found.loss / share, _mapped(lambda t: t * tf.cast(factor, t.dtype), gradients)),
            lambda: (tf.identity(found.loss), _mapped(tf.identity, gradients)),
        )
        outputs = [*found.outputs, good] if self.outputs else []
        return found._replace(loss=loss, gradients=gradients, outputs=outputs)


class _Loop:
    """The loop over the shards of a batch.

    Args:
        gradient: Of the batch.
        state: First values of the variables that are not trained.
    """

    def __init__(self, gradient: SharpnessGradient, state: list[Any]) -> None:
        self.of = gradient
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
            gradients=[_joined(gradient, v) for gradient, v in zip(found.gradients, self.of.variables)],
            outputs=[each.concat() if isinstance(each, tf.TensorArray) else each for each in found.outputs],
        )
        return self.of.finished(found, share, tf.gather(good, self._shards_of_rows()), self.count)

    def _stretches(self) -> list[tuple[Any, Any, Any]]:
        """Returns first and last shard of each loop and the size of its shards, None where it changes."""
        if not self.of.xla:
            return [(0, self.count, None)]
        both = [(0, self.longer, self.size + 1), (self.longer, self.count, self.size)]
        return [each for each in both if not isinstance(each[1], int) or each[0] < each[1]]

    def _start(self) -> tuple[Found, Any, Any]:
        gradients = [
            _arrays(self.count, v) if is_table(v) and not self.of.xla else tf.zeros(v.shape, v.dtype)
            for v in self.of.variables
        ]
        outputs = [self._output(each) for each in self.of.outputs]
        found = Found(tf.zeros(()), tf.zeros(()), gradients, self.state, outputs)
        return found, tf.zeros(()), tf.zeros((self.of.settings.micro_batches,), tf.bool)

    def _output(self, output: Any) -> Any:
        shape = tuple(output.shape[1:])
        if not self.of.xla:
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
        part = tf.nest.map_structure(lambda t: _part(t, begin, size), self.of.batch)
        mine = tf.math.divide_no_nan(tf.cast(size, tf.float32), tf.cast(self.rows, tf.float32))
        more, counts = self.of.shard(part, mine, found.state)
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
        written = iter(
            (a.write(shard, value), b.write(shard, each.indices)) for (a, b), value, each in zip(arrays, values, rows)
        )
        added = iter(tensors)
        return [next(written) if isinstance(each, tuple) else next(added) for each in sums]

    def _write(self, target: Any, value: Any, shard: Any, begin: Any, size: Any) -> Any:
        if isinstance(target, tf.TensorArray):
            return target.write(shard, value)
        return tf.tensor_scatter_nd_update(target, (begin + tf.range(size))[:, None], value)

    def _shards_of_rows(self) -> Any:
        """Returns for each row the shard that it is in."""
        row, head = tf.range(self.rows), self.longer * (self.size + 1)
        size = tf.maximum(self.size, 1)
        return tf.where(row < head, row // (self.size + 1), self.longer + (row - head) // size)


def _within(count: int, rows: Any) -> Any:
    """Returns `count`, or the rows if they are fewer, but not 0."""
    return max(1, min(count, rows)) if isinstance(rows, int) else tf.clip_by_value(rows, 1, count)


def _rows(tensor: Any) -> Any:
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


def _arrays(count: Any, table: Any) -> tuple[Any, Any]:
    """Returns what takes the rows of a table's gradient from shard to shard: values and indices."""
    shape = (None, *table.shape[1:])
    values = tf.TensorArray(table.dtype, count, element_shape=shape, infer_shape=False)
    return values, tf.TensorArray(tf.int32, count, element_shape=(None,), infer_shape=False)


def _joined(gradient: Any, variable: Any) -> Any:
    if not isinstance(gradient, tuple):
        return gradient
    values, indices = gradient
    return tf.IndexedSlices(values.concat(), indices.concat(), tf.constant(tuple(variable.shape), tf.int32))


def _slices(gradient: Any, table: Any) -> tf.IndexedSlices:
    """Returns a table's gradient as rows; a dense one is all rows."""
    if gradient is None:
        gradient = tf.IndexedSlices(tf.zeros((0, *table.shape[1:]), table.dtype), tf.zeros((0,), tf.int32))
    elif not isinstance(gradient, tf.IndexedSlices):
        gradient = tf.IndexedSlices(gradient, tf.range(table.shape[0]))
    return tf.IndexedSlices(
        gradient.values, tf.cast(gradient.indices, tf.int32), tf.constant(tuple(table.shape), tf.int32)
    )


def _square(gradients: Sequence[Any]) -> Any:
    """Returns the square of the norm over all gradients."""
    values = [each.values if isinstance(each, tf.IndexedSlices) else each for each in gradients]
    return 2.0 * tf.add_n([tf.nn.l2_loss(tf.cast(value, tf.float32)) for value in values])


def _mapped(function: Any, gradients: Sequence[Any]) -> list[Any]:
    return [
        tf.IndexedSlices(function(each.values), tf.identity(each.indices), tf.identity(each.dense_shape))
        if isinstance(each, tf.IndexedSlices)
        else function(each)
        for each in gradients
    ]
