"""Predictions of a model for encoded rows, fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from autorec.data.cache import Part
from autorec.data.layout import TargetColumn
from autorec.training.metrics import sigmoid

BATCH = 8192
_COMPILED = "_autorec_predict"


def predict(model: Any, part: Part, batch_size: int = BATCH) -> dict[str, np.ndarray]:
    """Returns the raw outputs for all rows of a part, by target: logits of a binary one, values of a real one.

    A direct call of the model, compiled once for all lengths of batches and lists; `model.predict` spends some 100 ms
    on each call whatever the rows.

    Args:
        model: Functional Keras model on groups of columns; its output is a dict target -> (batch, 1), or one tensor,
            which is then named by the output.
        part: Encoded rows; its labels do not matter.
        batch_size: Rows of a call.

    Returns:
        Target -> (rows,) float32.

    Example:
        >>> predict(model, cache.validation)["click"].shape
        (10000,)
    """
    groups = input_groups(model)
    names = output_names(model)
    result = {name: np.empty(part.rows, np.float32) for name in names}
    call = compiled(model)
    for start in range(0, part.rows, batch_size):
        span = slice(start, min(start + batch_size, part.rows))
        outputs = call(part.take(span, groups))
        for name in names:
            result[name][span] = outputs[name].numpy().reshape(-1)
    return result


def answers(raw: np.ndarray, target: TargetColumn) -> np.ndarray:
    """Returns what a user sees of raw outputs: probabilities, or values kept within the range of the training rows."""
    return sigmoid(raw) if target.kind == "binary" else np.clip(raw, np.float32(target.low), np.float32(target.high))


def input_groups(model: Any) -> list[str]:
    """Returns the groups of columns that a functional model reads, in its order."""
    if isinstance(model.input, Mapping):
        return list(model.input)
    return [tensor.name for tensor in model.inputs]


def arrange(model: Any, x: Mapping[str, Any]) -> Any:
    """Returns groups of columns in the structure of a functional model's input: a dict, a list or one tensor."""
    if isinstance(model.input, Mapping):
        return dict(x)
    listed = [x[group] for group in input_groups(model)]
    return listed if isinstance(model.input, (list, tuple)) else listed[0]


def output_names(model: Any) -> list[str]:
    """Returns the names of a functional model's outputs: its targets where they are a dict."""
    return list(model.output) if isinstance(model.output, Mapping) else list(model.output_names)


def compiled(model: Any) -> Any:
    """Returns a compiled function from a dict of arrays to a dict of outputs; made once and kept with the model.

    Weights may change between calls; layers may not.
    """
    if _COMPILED not in model.__dict__:
        names = output_names(model)
        tensors = model.input if isinstance(model.input, Mapping) else {each.name: each for each in model.inputs}
        specs = {group: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for group, tensor in tensors.items()}

        @tf.function(input_signature=[specs], autograph=False)
        def call(x: Any) -> Any:
            outputs = model(arrange(model, x), training=False)
            return outputs if isinstance(outputs, Mapping) else dict(zip(names, _listed(outputs)))

        # Past Keras's `__setattr__`, which tracks; a cache that held the model from outside would keep it alive.
        model.__dict__[_COMPILED] = call
    return model.__dict__[_COMPILED]


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
