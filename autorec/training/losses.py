"""Losses that leave out rows without a label."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from autorec.data.layout import TargetColumn


class _MaskedLoss(keras.losses.Loss):
    """Mean over the labelled rows of `weight * loss(label, prediction)`.

    Rows whose label is NaN count neither in the sum nor in the number of rows, and give no gradient. On a replica of a
    strategy it is the sum over the replica's rows by the number of labelled rows on all of them: the replicas' losses
    add up to the mean of the whole batch, however the rows are shared out.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_pred = ops.cast(y_pred, "float32")
        y_true = ops.reshape(ops.cast(y_true, "float32"), ops.shape(y_pred))
        known = ops.logical_not(ops.isnan(y_true))
        # The label is replaced before the loss is taken: a NaN times a zero weight would still be NaN.
        losses = self.call(ops.where(known, y_true, 0.0), y_pred)
        mask = ops.cast(known, "float32")
        if sample_weight is None:
            return ops.sum(losses * mask) / ops.maximum(_on_all_replicas(ops.sum(mask)), 1.0)
        weight = ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1)) * mask
        return ops.sum(losses * weight) / ops.maximum(_on_all_replicas(ops.sum(mask)), 1.0)


def _on_all_replicas(number: Any) -> Any:
    """Returns the sum of a number over the replicas that run this step."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return number
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, number)


@keras.saving.register_keras_serializable(package="autorec")
class MaskedBinaryCrossentropy(_MaskedLoss):
    """Binary cross-entropy of logits, in float32, over the rows that have a label.

    `max(z, 0) - z y + log(1 + exp(-|z|))` for a logit `z` and a label `y`.
    """

    def __init__(self, name: str = "masked_binary_crossentropy", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.relu(y_pred) - y_pred * y_true + ops.softplus(-ops.abs(y_pred))


@keras.saving.register_keras_serializable(package="autorec")
class MaskedSquaredError(_MaskedLoss):
    """Squared error over the rows that have a label, divided by `scale`.

    Args:
        scale: Positive divisor; the target's variance makes targets of any unit weigh the same.
    """

    def __init__(self, scale: float = 1.0, name: str = "masked_squared_error", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.scale = float(scale)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.square(y_true - y_pred) / self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


def losses(targets: Iterable[TargetColumn]) -> dict[str, keras.losses.Loss]:
    """Returns a loss for each target: cross-entropy if `binary`, squared error over the variance if `real`."""
    return {
        target.name: MaskedBinaryCrossentropy() if target.kind == "binary" else MaskedSquaredError(target.std**2)
        for target in targets
    }
