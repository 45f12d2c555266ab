"""The gradient of a sharpness-aware step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from autorec.errors import ConfigError
from autorec.training.losses import apart, spread_labels
from autorec.training.perturbation import perturbation, perturbed, square_of
from autorec.training.row_sparse import is_table
from autorec.training.rows import under_xla
from autorec.training.sharpness import SharpnessAware
from autorec.training.sharpness_shards import Found, Shards, all_rows, row_count


class SharpnessGradient:
    """Finds the gradient of one batch. Made anew in each trace of a step.

    No variable is written: the model runs with the moved values in their place, so that weights are the same bit for
    bit whatever happens in between. What the first passes change (moving statistics, states of random generators) goes
    from shard to shard and comes back as `Found.state`.

    Shards run in a loop, traced once however many there are. XLA wants sizes that do not change within a loop: there
    shards that are a row longer have one of their own, and tables' gradients are summed as they come.
    """

    def __init__(self, model: Any, settings: SharpnessAware, x: Any, y: Any, weight: Any) -> None:
        self.model, self.settings = model, settings
        self.variables = model.trainable_variables
        self.moved = perturbed(model, settings)
        self.state = model.non_trainable_variables
        self.batch = (x, *spread_labels(model.loss, y, weight))
        self.rows = row_count(next(t for t in tf.nest.flatten(x) if t is not None))
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
        return tf.cond(now, lambda: self._even(self._sharp()), lambda: self._even(self._plain()))

    def _even(self, found: Found) -> Found:
        """Returns tables' gradients with as many rows as any branch has: XLA wants equal shapes."""
        if not self.xla:
            return found
        gradients = found.gradients
        return found._replace(gradients=[all_rows(g) if isinstance(g, tf.IndexedSlices) else g for g in gradients])

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
            good = tf.math.is_finite(square + square_of(gradients) + told[0])
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
            if is_table(variable):
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
            return Shards(self, state).run()
        found, good = self.shard(self.batch, tf.ones(()), state)
        kept = tf.cond(
            good, lambda: _mapped(tf.identity, found.gradients), lambda: _mapped(tf.zeros_like, found.gradients)
        )
        return self.finished(found._replace(gradients=kept), tf.cast(good, tf.float32), tf.fill((self.rows,), good))

    def _plain(self) -> Found:
        found, good = self.shard(self.batch, tf.ones(()), self._state(), sharp=False)
        return self.finished(found, tf.ones(()), tf.fill((self.rows,), good))

    def _state(self) -> list[Any]:
        return [tf.convert_to_tensor(v.value) for v in self.state]

    def finished(self, found: Found, share: Any, good: Any) -> Found:
        """Returns gradients in their last form, and they and the loss as the mean over what counts.

        Args:
            found: Sums over the shards.
            share: Share of the batch that counts.
            good: (rows,) whether a row counts.
        """
        gradients = list(found.gradients)
        for place in self._dense:
            values = tf.reshape(gradients[place].values, (-1, *self.variables[place].shape))
            gradients[place] = tf.reduce_sum(values, axis=0)
        factor = tf.math.divide_no_nan(1.0, share)
        loss, gradients = tf.cond(
            found.skipped > 0.0,
            lambda: (found.loss / share, _mapped(lambda t: t * tf.cast(factor, t.dtype), gradients)),
            lambda: (tf.identity(found.loss), _mapped(tf.identity, gradients)),
        )
        outputs = [*found.outputs, good] if self.outputs else []
        return found._replace(loss=loss, gradients=gradients, outputs=outputs)


def _slices(gradient: Any, table: Any) -> tf.IndexedSlices:
    """Returns a table's gradient as rows; a dense one is all rows."""
    if gradient is None:
        gradient = tf.IndexedSlices(tf.zeros((0, *table.shape[1:]), table.dtype), tf.zeros((0,), tf.int32))
    elif not isinstance(gradient, tf.IndexedSlices):
        gradient = tf.IndexedSlices(gradient, tf.range(table.shape[0]))
    return tf.IndexedSlices(
        gradient.values, tf.cast(gradient.indices, tf.int32), tf.constant(tuple(table.shape), tf.int32)
    )


def _mapped(function: Callable[[Any], Any], gradients: Sequence[Any]) -> list[Any]:
    return [
        tf.IndexedSlices(function(each.values), tf.identity(each.indices), tf.identity(each.dense_shape))
        if isinstance(each, tf.IndexedSlices)
        else function(each)
        for each in gradients
    ]
