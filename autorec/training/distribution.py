"""Training over the replicas of a strategy: one loop for several devices and several processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from autorec.training.mean_weights import MeanWeights
from autorec.training.sharpness_model import SharpnessAwareModel
from autorec.training.stepper import Stepper
from autorec.training.workers import Workers


class DistributedStepper(Stepper):
    """Runs the steps of a model on all replicas; every worker makes the same number of them.

    A step is the model's `train_step` on each replica's share of the batch. Losses are shares of the batch's mean that
    add up over the replicas (see `autorec.training.losses`), and so do the gradients: a step changes the weights as it
    would on one device with the whole batch.

    Args:
        model: Keras model, built and compiled under the strategy of `workers`.
        workers: Those that train together.
        rows: Rows of an epoch.
        batch_size: Rows of a batch, all shares together.
        limit: Most steps of a call.
        deadline: `time.monotonic()` at which to stop, or None; the chief's counts.
        validation_steps, mean: As in `Stepper`.
    """

    def __init__(
        self,
        model: Any,
        workers: Workers,
        rows: int,
        batch_size: int,
        limit: int,
        deadline: float | None = None,
        validation_steps: float = 0.0,
        mean: MeanWeights | None = None,
    ) -> None:
        super().__init__(model, -(-rows // batch_size), limit, deadline, validation_steps, mean=mean)
        self.workers = workers
        self._rows = rows
        self._rows_a_batch = batch_size
        self._names: list[str] = []
        self._sums: Any = 0.0  # over the epoch so far
        self._seen = 0  # rows
        self._step = _step(model, workers, self._names)
        self._run = self._steps

    def _late(self) -> bool:
        """By the chief's clock."""
        return bool(self.workers.from_chief(super()._late()))

    def _affordable(self) -> int:
        return int(self.workers.from_chief(super()._affordable()))

    def _steps(self, iterator: Any, count: Any) -> tuple[dict[str, float], int]:
        """Does what the compiled loop of `Stepper` does, a step a call.

        Within one call TensorFlow takes gathered gradients of one size only: those of tables differ in the last batch
        of an epoch, and in every batch where there are lists.
        """
        if not self.in_epoch:
            self._sums, self._seen = 0.0, 0
        for step in range(self.in_epoch, self.in_epoch + int(count)):
            values = self._step(iterator).numpy().astype("float64")
            if not math.isfinite(values[self._names.index("loss")]):
                return self._means() | {"loss": math.nan}, step - self.in_epoch
            rows = min(self._rows - step * self._rows_a_batch, self._rows_a_batch)
            self._sums, self._seen = self._sums + rows * values, self._seen + rows
        return self._means(), int(count)

    def _means(self) -> dict[str, float]:
        """Returns the means over the epoch's rows so far."""
        return dict(zip(self._names, (self._sums / self._seen).tolist())) if self._seen else {}


def _step(model: Any, workers: Workers, names: list[str]) -> Any:
    """Returns a compiled function of an iterator that makes a step and gives the batch's loss and metrics.

    Args:
        model: Compiled Keras model.
        workers: Those that train together.
        names: Receives the names of what the function gives.
    """

    strategy = workers.strategy

    def on_replica(shares: list[Any]) -> Any:
        replica = tf.distribute.get_replica_context()
        data = shares[int(tf.get_static_value(replica.replica_id_in_sync_group)) % len(shares)]
        model.reset_metrics()  # so that they are those of the step
        logs = model.train_step(data)
        names[:] = sorted(logs)
        values = tf.stack([tf.cast(logs[name], tf.float32) for name in names])
        # Keras multiplies each loss by the number of replicas, so that shares add up to as many times the loss.
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, values) / replica.num_replicas_in_sync

    @tf.function(autograph=False, reduce_retracing=True)
    def step(iterator: Any) -> Any:
        # TensorFlow's own distributed iterator can take seconds to be let go.
        shares = [iterator.get_next() for _ in range(workers.local)]
        values = strategy.run(on_replica, args=(shares,))
        return strategy.experimental_local_results(values)[0]

    return step


def distributed_fit(
    model: Any,
    dataset: Callable[[range, int], Any],
    stepper: DistributedStepper,
    callbacks: Sequence[Any],
    epochs: int,
) -> None:
    """Does under a strategy what Keras's `fit` does, which fails where there are several workers.

    Args:
        model: Built and compiled within the strategy's scope.
        dataset: Returns an endless dataset of some shares of each batch, given their numbers and the number of all.
        stepper: Runs the steps.
        callbacks: Keras callbacks; each worker calls its own.
        epochs: Number of epochs.
    """
    callbacks = keras.callbacks.CallbackList(
        list(callbacks), add_history=True, epochs=epochs, steps=stepper.steps, verbose=0, model=model
    )
    workers = stepper.workers
    first = workers.index * workers.local
    shares = dataset(range(first, first + workers.local), workers.replicas)
    model.stop_training = False
    with workers.scope():
        # Each target's metric, which Keras makes in the first step: a replica cannot.
        zeros = keras.tree.map_structure(lambda _: tf.zeros((1, 1)), model.output)
        model._compile_loss.build(zeros, zeros)
    with _gradients_summed_first(model.optimizer), _moments_of_whole_batches(model):
        _epochs(model, iter(shares), stepper, callbacks, epochs)
    if isinstance(model, SharpnessAwareModel):
        model.warn_of_skipped()


def _epochs(model: Any, iterator: Any, stepper: DistributedStepper, callbacks: Any, epochs: int) -> None:
    logs: dict[str, Any] = {}
    callbacks.on_train_begin()
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        logs = _epoch(model, iterator, stepper, callbacks)
        callbacks.on_epoch_end(epoch, logs)
        if _stops(model, stepper.workers):
            break
    model.optimizer.finalize_variable_values(model.trainable_weights)
    callbacks.on_train_end(logs)


def _epoch(model: Any, iterator: Any, stepper: DistributedStepper, callbacks: Any) -> dict[str, Any]:
    logs: dict[str, Any] = {}
    while stepper.in_epoch < stepper.steps:
        callbacks.on_train_batch_begin(stepper.in_epoch)
        logs = stepper(iterator)
        callbacks.on_train_batch_end(stepper.in_epoch - 1, logs)
        if _stops(model, stepper.workers):
            break
    return logs


def _stops(model: Any, workers: Workers) -> bool:
    """Returns whether the chief's callbacks end the training."""
    model.stop_training = bool(workers.from_chief(model.stop_training))
    return model.stop_training


@contextmanager
def _gradients_summed_first(optimizer: Any) -> Iterator[None]:
    """Sums gradients over the replicas before an optimizer sees them; Keras clips each replica's own, then sums."""
    add, apply = optimizer._all_reduce_sum_gradients, optimizer.apply

    def summed(gradients: Any, variables: Any = None) -> Any:
        pairs = add(list(zip(gradients, optimizer._trainable_variables if variables is None else variables)))
        return apply([gradient for gradient, _ in pairs], variables)

    both = [optimizer, *([optimizer.inner] if hasattr(optimizer, "inner") else [])]
    optimizer.__dict__["apply"] = summed
    for each in both:
        each.__dict__["_all_reduce_sum_gradients"] = list
    try:
        yield
    finally:
        del optimizer.__dict__["apply"]
        for each in both:
            del each.__dict__["_all_reduce_sum_gradients"]


@contextmanager
def _moments_of_whole_batches(model: Any) -> Iterator[None]:
    """Lets batch normalization take mean and variance over all replicas; each replica's own averages would differ.

    Sharpness-aware training takes them over a shard, as it does on one device.
    """
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if not isinstance(model, SharpnessAwareModel)
        and isinstance(layer, keras.layers.BatchNormalization)
        and not layer.synchronized
    ]
    for layer in layers:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer in layers:
            layer.synchronized = False
