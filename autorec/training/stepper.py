"""Runs training steps in few calls: many in one compiled loop, up to a deadline and to the first loss that is NaN."""

from __future__ import annotations

import time
from typing import Any

import tensorflow as tf

from autorec.training import xla
from autorec.training.mean_weights import MeanWeights

# Seconds of one call: long enough that the call costs nothing beside it, short enough to end near a deadline.
_CALL = 0.1
# Seconds before a deadline in which compiling no longer pays, or might even end too late.
_COMPILING = 10.0


class Stepper:
    """The train function of a compiled Keras model, as `fit` calls it.

    Keras's own runs a fixed number of steps in a call and reads the batches through optionals. This one runs as many as
    fit into a tenth of a second, and an epoch to its exact end. The model's `train_step` is what a step is. Where that
    pays, see `autorec.training.xla`, a long training goes on with a step compiled by XLA.

    Args:
        model: Compiled Keras model.
        steps: Steps of an epoch.
        limit: Most steps of a call of `fit`: 1 where callbacks want to see every batch.
        deadline: `time.monotonic()` at which to stop, or None.
        validation_steps: Size of a validation in steps' rows, 0 for none: time for it is left before the deadline.
        batch_size: Rows of a full batch, for XLA; None goes without.
        total: Steps of the whole training, for XLA.
        mean: Is told of the steps behind which it takes the weights, or None.
    """

    def __init__(
        self,
        model: Any,
        steps: int,
        limit: int,
        deadline: float | None = None,
        validation_steps: float = 0.0,
        batch_size: int | None = None,
        total: int = 0,
        mean: MeanWeights | None = None,
    ) -> None:
        self.model = model
        self.steps = steps
        self.limit = limit
        self.deadline = deadline
        self.validation_steps = validation_steps
        self.validation_seconds: float | None = None  # once measured
        self.done = 0
        self.in_epoch = 0
        self.seconds_a_step: float | None = None
        self.not_finite: int | None = None
        self.was_late = False  # whether the deadline has ended it
        self._run = _loop(model, model.train_step)
        self._mean = mean
        self._warm = False
        self._batch_size = batch_size or 0
        self._may_compile = self._batch_size > 0 and limit > 1 and xla.pays(model, self._batch_size, total)

    def __call__(self, iterator: Any) -> dict[str, Any]:
        """Runs the next steps of the epoch; returns the running means of loss and metrics."""
        left = min(self.limit, self.steps - self.in_epoch)
        logs: dict[str, Any] = {}
        while left and (not logs or not self.late()):
            if self._may_compile and self.done >= xla.AFTER:
                self._compile(iterator)
            count = min(left, self._affordable(), *self._before_marks())
            logs = self._timed(iterator, count)
            left -= count
            if self.not_finite is not None:
                break
            if self._mean is not None:
                self._mean.see(self.done)
        if self.not_finite is not None or self.late():
            self.model.stop_training = True
        return logs

    def late(self) -> bool:
        """Returns whether the next step would end too late."""
        late = self._late()
        self.was_late = self.was_late or late
        return late

    def _late(self) -> bool:
        if self.deadline is None:
            return False
        return time.monotonic() + self._reserve() + (self.seconds_a_step or 0.0) >= self.deadline

    def _reserve(self) -> float:
        """Returns the seconds that a validation needs: as measured, else a guess that includes its trace."""
        if self.validation_seconds is not None:
            return 1.2 * self.validation_seconds
        if not self.validation_steps or self.seconds_a_step is None:
            return 0.0
        return 0.5 + 0.5 * self.seconds_a_step * self.validation_steps

    def _affordable(self) -> int:
        if self.seconds_a_step is None:
            return 1
        seconds = _CALL
        if self.deadline is not None:
            seconds = min(seconds, self.deadline - self._reserve() - time.monotonic())
        return max(1, int(seconds / self.seconds_a_step))

    def _before_marks(self) -> list[int]:
        """Returns the steps up to XLA and to the next weights of the mean, if any are to come.

        How many steps fit into a call is a matter of the clock; these have their places.
        """
        marks = [xla.AFTER - self.done] if self._may_compile else []
        following = None if self._mean is None else self._mean.before(self.done)
        return marks if following is None else [*marks, following]

    def _compile(self, iterator: Any) -> None:
        self._may_compile = False
        if self.deadline is not None and time.monotonic() + _COMPILING >= self.deadline:
            return
        step = xla.compiled_step(self.model, self._batch_size, iterator.element_spec)
        if step is not None:
            self._run, self._warm = _loop(self.model, step), False

    def _timed(self, iterator: Any, count: int) -> dict[str, Any]:
        begin = time.perf_counter()
        logs, finite = self._run(iterator, tf.constant(count))
        finite = int(finite)
        seconds = (time.perf_counter() - begin) / max(finite, 1)
        if self._warm:  # the first call traced the function
            self.seconds_a_step = seconds if self.seconds_a_step is None else 0.5 * (seconds + self.seconds_a_step)
        self._warm = True
        self.done += count
        self.in_epoch += count
        if finite < count:
            self.not_finite = self.done - count + finite + 1
        return dict(logs)


def _loop(model: Any, train_step: Any) -> Any:
    """Returns a compiled function of an iterator and a number of steps; it ends with the first loss that is not finite.

    It gives the running means and the number of steps with a finite loss.
    """

    def step(iterator: Any) -> Any:
        # The running mean of an epoch stays NaN, so that one look at its end would do; a look a step tells which.
        outputs = model.distribute_strategy.run(train_step, args=(iterator.get_next(),))
        return tf.math.is_finite(tf.cast(outputs["loss"], tf.float32))

    @tf.function(autograph=False, reduce_retracing=True)
    def run(iterator: Any, count: Any) -> Any:
        def body(finite: Any, good: Any) -> Any:
            good = step(iterator)
            return finite + tf.cast(good, tf.int32), good

        finite, _ = tf.while_loop(
            lambda finite, good: tf.logical_and(finite < count, good), body, (tf.constant(0), tf.constant(True))
        )
        return model.get_metrics_result(), finite

    return run
