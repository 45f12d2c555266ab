"""A training step compiled by XLA, for small models that are trained for long."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from autorec.training.rows import SMALL
from autorec.training.table_variables import tables

#: Steps behind which a training goes on with XLA. To compile takes about as long as it saves in so many steps: a
#: training that ends sooner has lost nothing, one that goes on has at most paid twice. It is a number of steps and not
#: a time, so that a training repeats bit for bit.
AFTER = 1500
# Multiplications and additions of a step up to which its many small operations cost as much as its arithmetic. On two
# cores XLA took .67 of the time at 2.5e8, .72 at 5e8 and .93 at 1.7e9.
_WORK = 1e9


def pays(model: Any, batch_size: int, steps: int) -> bool:
    """Returns whether XLA would make a training faster.

    It does for a float32 model of little arithmetic whose tables are all small: the distinct rows of a large one are
    found by an operation that XLA does not have.

    Args:
        model: Compiled Keras model, built.
        batch_size: Rows of a step.
        steps: Steps of the whole training.
    """
    if steps < 2 * AFTER or model.distribute_strategy.num_replicas_in_sync > 1:
        return False
    found = tables(model)
    if any(table.shape[0] * table.shape[1] > SMALL for table in found):
        return False
    if any(layer.compute_dtype != "float32" for layer in model._flatten_layers()):
        return False
    known = {id(table) for table in found}
    values = sum(int(tf.size(v.value)) for v in model.trainable_variables if id(v) not in known)
    return 6.0 * batch_size * values <= _WORK


def compiled_step(model: Any, batch_size: int, batch: Any) -> Any:
    """Returns the model's `train_step` as a function of a batch, or None if XLA cannot compile it.

    Batches of `batch_size` rows take the compiled way; another size (an epoch's last batch), which XLA would have to
    compile anew, takes the usual one.

    Args:
        model: Compiled Keras model.
        batch_size: Rows of a full batch.
        batch: The `tf.TensorSpec`s of a batch.
    """
    fast = tf.function(model.train_step, autograph=False, jit_compile=True)
    if not _compiles(fast, batch_size, batch):
        return None

    def step(batch: Any) -> Any:
        rows = tf.shape(tf.nest.flatten(batch)[0])[0]
        return tf.cond(tf.equal(rows, batch_size), lambda: fast(batch), lambda: model.train_step(batch))

    return step


def _compiles(step: Any, batch_size: int, batch: Any) -> bool:
    if not all(spec.shape[1:].is_fully_defined() for spec in tf.nest.flatten(batch)):
        return False  # lists, whose length changes from batch to batch
    zeros = tf.nest.map_structure(lambda spec: tf.zeros((batch_size, *spec.shape[1:]), spec.dtype), batch)
    try:
        step.experimental_get_compiler_ir(zeros)(stage="hlo_serialized")
    except (tf.errors.OpError, ValueError, TypeError):
        return False
    return True
