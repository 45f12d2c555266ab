"""A Keras model whose training step is sharpness-aware."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from autorec.errors import ConfigError
from autorec.training.perturbation import perturbed
from autorec.training.row_sparse import RowSparse
from autorec.training.rows import under_xla
from autorec.training.sharpness import SharpnessAware
from autorec.training.sharpness_gradient import SharpnessGradient
from autorec.training.sharpness_shards import Found

# What a wrapper cannot carry over from a model of one's own class.
_OWN = ("train_step", "compute_loss", "compute_metrics")


def sharpness_aware(model: Any, settings: SharpnessAware | None = None) -> SharpnessAwareModel:
    """Returns a model that shares a model's layers and variables, and trains them sharpness-aware.

    Args:
        model: Functional or sequential Keras model, built. It is left as it is, and has the trained weights.
        settings: How; None takes the defaults.

    Returns:
        The model, not compiled.

    Raises:
        ConfigError: If the model has no graph of layers, or a training step, loss or metrics of its own class.

    Example:
        >>> trained = sharpness_aware(model, SharpnessAware(rho=0.1))
        >>> trained.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> trained.fit(images, labels)
    """
    kind = type(model)
    own = [name for name in _OWN if getattr(kind, name, None) is not getattr(keras.Model, name)]
    if own and not isinstance(model, SharpnessAwareModel):
        hint = f"{kind.__name__} has a {own[0]} of its own, which a sharpness-aware one would replace."
        raise ConfigError("model", "a Keras model that is trained by Keras's own step", kind.__name__, hint)
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ConfigError("model", "a functional or sequential Keras model, built", kind.__name__)
    inputs, outputs = model.inputs, model.outputs
    if not isinstance(model, keras.Sequential):
        inputs, outputs = model.input, model.output
    elif len(outputs) == 1:
        inputs, outputs = inputs[0], outputs[0]
    settings = SharpnessAware() if settings is None else settings
    made = SharpnessAwareModel(inputs, outputs, name=model.name, sharpness=settings)
    made.dtype_policy = model.dtype_policy  # under `mixed_float16`, Keras scales the loss
    return made


@keras.saving.register_keras_serializable(package="autorec")
class SharpnessAwareModel(keras.Model):
    """A functional Keras model that is trained as `SharpnessAware` says; `sharpness_aware` makes one.

    All else is as in Keras: `compile`, `fit`, callbacks, `save`. Loss and metrics that a training shows are those of
    the unperturbed weights. Variables keep their values through a step until the optimizer changes them. Batch
    normalization's moving statistics follow the first passes alone; regularisers count once, and losses that layers add
    count where they arose, neither being perturbed; clipping acts on the final gradient. Under a distribution strategy
    each replica perturbs by its own gradient. A shard whose loss or gradient is not finite is left out and the others
    weigh more; `skipped_micro_batches` counts them, and `fit` warns of them. A `LossScaleOptimizer` has a rule of its
    own for that: with it none is left out.

    `keras.models.clone_model` takes over the layers alone: wrap what it returns with `sharpness_aware`.

    Args:
        inputs: As for `keras.Model`.
        outputs: As for `keras.Model`.
        sharpness: The settings.

    Raises:
        ConfigError: In `compile`, if there are no settings; in a step, if there is no loss, or a layer changes a
            variable that is not its own.
    """

    def __init__(self, *args: Any, sharpness: SharpnessAware | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sharpness: Any = sharpness
        self._skipped: Any = None

    @property
    def skipped_micro_batches(self) -> int:
        """Micro-batches left out since `compile`."""
        return 0 if self._skipped is None else int(tf.convert_to_tensor(self._skipped))

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles as Keras does; warns of a loss over pairs of a batch's rows."""
        if self.sharpness is None:
            raise ConfigError("sharpness", "given: a clone does not have it, see `sharpness_aware`", None)
        super().compile(*args, **kwargs)
        # No metric: `evaluate` would show it too. On replicas each counts its own.
        on_read, total = tf.VariableSynchronization.ON_READ, tf.VariableAggregation.SUM
        self._skipped = tf.Variable(0, trainable=False, dtype=tf.int64, synchronization=on_read, aggregation=total)
        if self.sharpness.micro_batches == 1:
            return
        for name in _losses_over_rows(self.loss, self.output):
            warnings.warn(
                f"The loss {name} of a batch is not the mean of its rows' losses, as a loss over pairs within the "
                f"batch: {self.sharpness.micro_batches} micro-batches change what it means. With "
                "SharpnessAware(micro_batches=1) it sees whole batches.",
                stacklevel=2,
            )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as a saved model was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Trains as Keras does; warns of micro-batches that were left out."""
        before = self.skipped_micro_batches
        history = super().fit(*args, **kwargs)
        self.warn_of_skipped(before)
        return history

    def warn_of_skipped(self, before: int = 0) -> None:
        """Warns of micro-batches left out since there were `before` of them."""
        skipped = self.skipped_micro_batches - before
        if skipped:
            warnings.warn(f"{skipped} micro-batches without a finite loss and gradient were left out.", stacklevel=3)

    def train_step(self, data: Any) -> Any:
        """Makes a step; returns the running loss and metrics."""
        if self.sharpness.rho == 0 or not perturbed(self, self.sharpness):
            return super().train_step(data)
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if self._compile_loss is None:
            raise ConfigError("loss", "given in `compile`", None)
        if not self._compile_loss.built:  # its metrics are variables, which a loop cannot make
            self._compile_loss.build(y, self.output)
        gradient = SharpnessGradient(self, self.sharpness, x, y, weight)
        found = gradient.find()
        loss = self._apply(found)
        for variable, value in gradient.changed(found):
            variable.assign(value)
        self._show(found, loss, gradient.rows, x, y, weight)
        return self.get_metrics_result()

    def _apply(self, found: Found) -> Any:
        """Updates the weights; returns the loss with its regularisers."""
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            terms = [v.regularizer(v) for v in variables if v.regularizer is not None]
            total = self._aggregate_additional_loss(tf.add_n(terms)) if terms else tf.zeros(())
            scaled = self.optimizer.scale_loss(total)
        gradients = found.gradients
        if terms:
            added = tape.gradient(scaled, [v.value for v in variables])
            gradients = [g if a is None else tf.convert_to_tensor(g) + a for g, a in zip(gradients, added)]
        if under_xla() and not isinstance(self.optimizer, RowSparse):  # Keras's own would take -1 for a row
            gradients = [tf.convert_to_tensor(g) for g in gradients]
        self.optimizer.apply_gradients(zip(gradients, variables))
        return found.loss + total

    def _show(self, found: Found, loss: Any, rows: Any, x: Any, y: Any, weight: Any) -> None:
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        self._loss_tracker.update_state(loss * replicas, sample_weight=rows)
        self._skipped.assign_add(tf.cast(found.skipped, tf.int64))
        if not found.outputs:
            return
        outputs, y, weight = found.of_good_rows(self.output, y, weight)
        if self._compile_loss.metrics:
            self._compile_loss(y, outputs, weight)
        self.compute_metrics(x, y, outputs, weight)

    def get_config(self) -> dict[str, Any]:
        """Returns the functional model's configuration and the settings."""
        return {**super().get_config(), "sharpness": self.sharpness and self.sharpness.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SharpnessAwareModel:
        """Returns the model that `get_config` described."""
        config = dict(config)
        settings = config.pop("sharpness")
        model: SharpnessAwareModel = super().from_config(config, custom_objects=custom_objects)
        model.sharpness = settings and SharpnessAware.from_dict(settings)
        return model


def _losses_over_rows(losses: Any, outputs: Any) -> list[str]:
    """Returns the names of the losses that are neither the mean nor the sum of their rows' losses.

    A loss with an attribute `in_batch` says so itself; others are tried on made-up rows.
    """
    found = []
    flat = keras.tree.flatten(outputs)
    for index, loss in enumerate(keras.tree.flatten(losses)):
        if loss is None:
            continue
        with contextlib.suppress(Exception):  # a loss that does not take made-up rows is not judged
            given = getattr(loss, "in_batch", None)
            output = flat[min(index, len(flat) - 1)]
            if isinstance(losses, dict) and isinstance(outputs, dict):
                output = outputs[list(losses)[index]]
            if _is_over_rows(keras.losses.get(loss), output) if given is None else given:
                found.append(str(getattr(loss, "name", None) or getattr(loss, "__name__", loss)))
    return found


def _is_over_rows(loss: Any, output: Any) -> bool:
    rng = np.random.default_rng(0)
    shape = (6, *(3 if size is None else size for size in output.shape[1:]))
    predicted = rng.uniform(0.2, 0.8, shape).astype("float32")
    for true in (rng.integers(0, 2, shape).astype("float32"), rng.integers(0, min(shape[-1], 2), shape[:-1])):
        with contextlib.suppress(Exception):
            whole, *parts = (
                float(np.mean(loss(true[rows], predicted[rows]))) for rows in (slice(6), slice(3), slice(3, 6))
            )
            if not np.isfinite([whole, *parts]).all():
                continue
            near = [np.isclose(whole, share * sum(parts), rtol=1e-3, atol=1e-5) for share in (0.5, 1.0)]
            return not any(near)
    return False
