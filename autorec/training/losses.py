"""Losses that leave out rows without a label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from autorec.data.layout import TargetColumn

# Whether losses are taken of shards, see `apart`.
_APART = ContextVar("apart", default=False)


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

    def spread(self, y_true: Any, sample_weight: Any = None) -> tuple[Any, Any]:
        """Returns (rows, 1) labels without NaN, and weights whose mean over the rows is that over the labelled ones."""
        y_true = ops.reshape(ops.cast(y_true, "float32"), (-1, 1))
        known = ops.logical_not(ops.isnan(y_true))
        weight = ops.cast(known, "float32")
        count = ops.maximum(_on_all_replicas(ops.sum(weight)), 1.0)
        weight *= ops.cast(ops.shape(y_true)[0], "float32") / count
        if sample_weight is not None:
            weight *= ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        return ops.where(known, y_true, 0.0), weight


def _on_all_replicas(number: Any) -> Any:
    """Returns the sum of a number over the replicas that run this step."""
    replica = None if _APART.get() else tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return number
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, number)


@contextmanager
def apart() -> Iterator[None]:
    """Lets masked losses be means over the rows they are given, those of other replicas left out."""
    token = _APART.set(True)
    try:
        yield
    finally:
        _APART.reset(token)


def spread_labels(by_target: Any, y: Any, weight: Any) -> tuple[Any, Any]:
    """Returns labels and weights with which the losses of a batch are the means of those of its shards.

    The mean over labelled rows is none: shards have more of them or fewer. As a weighted mean over all rows it is.

    Args:
        by_target: What a model was compiled with as `loss`.
        y: Labels.
        weight: Weights of the rows, or None.
    """
    if isinstance(by_target, _MaskedLoss) and not keras.tree.is_nested(y):
        return by_target.spread(y, weight)
    if not isinstance(by_target, Mapping) or not isinstance(y, Mapping):
        return y, weight
    if not any(isinstance(loss, _MaskedLoss) for loss in by_target.values()):
        return y, weight
    labels, weights = dict(y), {}
    for name, loss in by_target.items():
        given = weight.get(name) if isinstance(weight, Mapping) else weight
        if isinstance(loss, _MaskedLoss):
            labels[name], weights[name] = loss.spread(y[name], given)
        else:
            weights[name] = ops.ones(ops.shape(y[name])[:1]) if given is None else given
    return labels, weights


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
