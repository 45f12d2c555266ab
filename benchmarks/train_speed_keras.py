"""The Keras side of `train_speed`, a process each: ours, plain Keras, Keras with a fused Adam, the bare product.

Ours runs in the loop that `fit` has in a search, the others in the function that Keras's own `fit` calls, without the
callbacks around it. All read the same batches from memory.
"""

from __future__ import annotations

import gc
import itertools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import psutil
import tensorflow as tf
from keras import layers, ops

from autorec.training.fused_adam import FusedAdam
from benchmarks.train_speed_pool import (
    BATCH,
    CROSSES,
    DIM,
    FIELDS,
    NUMBERS,
    POOL,
    UNITS,
    WIDTH,
    field_sizes,
    make_pool,
    product_operations,
)
from benchmarks.turns import serve

Run = Callable[[int], None]
RATE = 1e-3
XLA_ROWS = 1_000_000  # beyond them a run that tries XLA takes minutes more, and at these it was no faster


class DenseFusedAdam(FusedAdam):
    """Adam over all rows, tables' too, in one TensorFlow operation a variable."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(tf.convert_to_tensor(gradient), variable, learning_rate)


def batches(rows: int, count: int, wide: str) -> Any:
    """Returns an endless dataset of the batches; `wide` is the type that the model wants numbers in."""
    pool = make_pool(rows, count)
    x = {"ids": pool.ids, "numbers": pool.numbers.astype(wide)}
    return tf.data.Dataset.from_tensor_slices((x, pool.labels)).repeat().prefetch(2)


# Ours


def layout_of(rows: int) -> Any:
    from autorec.data.layout import IdColumn, Layout, NumberColumn, TargetColumn

    ids = [IdColumn(f"c{i}", f"c{i}", size, f"c{i}") for i, size in enumerate(field_sizes(rows))]
    numbers = [NumberColumn(f"n{i}", f"n{i}", 0.0, 1.0, 0.0, 1.0, (-1.0, 1.0), 0.0) for i in range(NUMBERS)]
    target = TargetColumn("click", "binary", 0.3, 1.0, 0.0, 1.0)
    return Layout(ids=tuple(ids), numbers=tuple(numbers), targets=(target,))


def space(with_tables: bool = True) -> Any:
    """Returns `build(hp)` of the DCNv2.

    Without tables the fields are the numbers, repeated, each times a weight: the gradient of the first layers' input
    is taken all the same.
    """
    import autorec as ar
    from autorec.spaces.context import current_layout
    from autorec.spaces.features import Features

    def build(hp: Any) -> Any:
        features = Features(current_layout(), hp, dim=DIM)
        if with_tables:
            fields = layers.Flatten()(features.id_fields)
        else:
            wide = ops.tile(features.numbers, (1, FIELDS * DIM // NUMBERS))
            fields = layers.EinsumDense("bc,c->bc", (FIELDS * DIM,))(wide)
        vector = layers.Concatenate()([fields, features.numbers])
        cross = ar.blocks.CrossNetwork.tune(hp, kind="matrix", layers=CROSSES)(vector)
        deep = ar.blocks.MLP.tune(hp, units=list(UNITS), batch_norm=False, dropout=0.0)(vector)
        return ar.ctr_model(features.inputs, [cross, deep])

    return build


def ours(rows: int, count: int, rule: str | None, precision: str, with_tables: bool) -> tuple[Run, dict[str, Any]]:
    """Compiles as `train` does, with the options that a recommender has by default."""
    import keras_tuner as kt

    from autorec.spaces.space import build
    from autorec.training.compiling import compile_model
    from autorec.training.options import TrainOptions
    from autorec.training.precision import using_precision
    from autorec.training.stepper import Stepper

    options = TrainOptions(table_optimizer=rule, precision=precision).resolved()
    layout = layout_of(rows)
    with options.scope(), using_precision(precision):
        model = compile_model(build(space(with_tables), kt.HyperParameters(), layout), layout, options)
    groups = list(model.input)
    iterator = iter(
        batches(rows, count, "float64").map(lambda x, y: ({name: x[name] for name in groups}, {"click": y}))
    )
    stepper = Stepper(model, 1, 1)

    def run(steps: int) -> None:
        stepper.steps = stepper.limit = steps
        stepper.in_epoch = 0
        stepper(iterator)

    run(1)
    state = {"table_optimizer": options.table_optimizer, "table_bytes": table_bytes(model)}
    return run, state


def table_bytes(model: Any) -> int:
    """Returns the size of the tables and of what the optimizer keeps for each of their rows."""
    from autorec.training.table_variables import tables

    found = tables(model)
    rows = {table.shape[0] for table in found}  # no layer is as wide
    kept = [*found, *(v for v in model.optimizer.variables if len(v.shape) and v.shape[0] in rows)]
    return sum(4 * math.prod(variable.shape) for variable in kept)


# Stock Keras


def keras_model(rows: int, stacked: bool) -> Any:
    """The same network of stock layers; one `Embedding` a field, or one for all fields."""
    sizes = field_sizes(rows)
    ids = keras.Input((FIELDS,), dtype="int32", name="ids")
    numbers = keras.Input((NUMBERS,), name="numbers")
    if stacked:
        offsets = ops.convert_to_tensor([0, *itertools.accumulate(sizes[:-1])], dtype="int32")
        fields = [layers.Flatten()(layers.Embedding(rows, DIM)(ids + offsets))]
    else:
        fields = [layers.Embedding(size, DIM)(ids[:, i]) for i, size in enumerate(sizes)]
    start = x = deep = layers.Concatenate()([*fields, numbers])
    for _ in range(CROSSES):
        x = layers.Add()([layers.Multiply()([start, layers.Dense(WIDTH)(x)]), x])
    for units in UNITS:
        deep = layers.Dense(units, "relu")(deep)
    logit = layers.Dense(1)(layers.Concatenate()([x, deep]))
    return keras.Model({"ids": ids, "numbers": numbers}, logit)


def stock(rows: int, count: int, steps: int, fused: bool) -> tuple[Run, dict[str, Any]]:
    """Tries steps an execution and XLA, and keeps the fastest; for one step there is nothing to try."""
    model = keras_model(rows, stacked=fused)
    data = batches(rows, count, "float32")
    jits = (False, True) if rows <= XLA_ROWS else (False,)
    settings = [(each, jit) for each in (1, steps) for jit in jits] if steps > 1 else [(1, False)]
    seconds: dict[tuple[int, bool], float] = {}
    for setting in settings:
        try:
            run = compiled(model, data, fused, *setting)
            seconds[setting] = timed(run, steps)
        except (tf.errors.OpError, ValueError, TypeError, NotImplementedError):
            continue  # what XLA cannot compile is no setting
    best = min(seconds, key=lambda setting: seconds[setting])
    tried = {f"steps_per_execution={each} jit={jit}": value for (each, jit), value in seconds.items()}
    return compiled(model, data, fused, *best), {"steps_per_execution": best[0], "jit": best[1], "tried": tried}


def compiled(model: Any, data: Any, fused: bool, steps_per_execution: int, jit: bool) -> Run:
    model.train_function = model.optimizer = None
    gc.collect()  # the moments of the setting before
    model.compile(
        (DenseFusedAdam if fused else keras.optimizers.Adam)(RATE),
        keras.losses.BinaryCrossentropy(from_logits=True),
        steps_per_execution=steps_per_execution,
        jit_compile=jit,
    )
    model.optimizer.build(model.trainable_variables)
    model.make_train_function(force=True)
    iterator = iter(data)

    def run(steps: int) -> None:
        for _ in range(0, steps, steps_per_execution):
            logs = model.train_function(iterator)
        float(logs["loss"])

    run(steps_per_execution)
    return run


# The floor


def product() -> tuple[Run, dict[str, Any]]:
    """The product whose rate sets the floor, one behind the other, each of the result of the one before."""
    start = tf.random.normal((BATCH, WIDTH))
    weights = tf.linalg.qr(tf.random.normal((WIDTH, WIDTH)))[0]  # keeps the results' size

    @tf.function(autograph=False)
    def chain(x: Any, weights: Any, count: Any) -> Any:
        return tf.while_loop(lambda i, x: i < count, lambda i, x: (i + 1, tf.matmul(x, weights)), (0, x))[1]

    once = 2.0 * BATCH * WIDTH * WIDTH
    per_step = round(product_operations() / once)

    def run(steps: int) -> None:
        float(chain(start, weights, tf.constant(per_step * steps))[0, 0])

    run(1)
    return run, {"products_a_step": per_step, "operations_a_step": product_operations()}


def timed(run: Run, steps: int) -> float:
    """Returns the seconds of a step."""
    begin = time.perf_counter()
    run(steps)
    return (time.perf_counter() - begin) / steps


def prepare(
    peer: str,
    rows: int,
    steps: int,
    count: int = POOL,
    rule: str | None = None,
    precision: str = "float32",
    with_tables: bool = True,
) -> tuple[Mapping[str, Any], Callable[..., Mapping[str, Any]]]:
    """Returns what is known of a peer, and the function that runs its steps."""
    keras.utils.set_random_seed(0)
    tf.get_logger().setLevel("ERROR")  # it counts the settings that are tried as functions traced too often
    if peer == "product":
        run, state = product()
        state["factor"] = product_operations() / (state["products_a_step"] * 2.0 * BATCH * WIDTH * WIDTH)
    elif peer == "ours":
        run, state = ours(rows, count, rule, precision, with_tables)
    else:
        run, state = stock(rows, count, steps, fused=peer == "fused_keras")
    factor = state.pop("factor", 1.0)
    timed(run, steps)

    def answer(steps: int) -> dict[str, float]:
        seconds = timed(run, steps) * factor if steps else 0.0
        return {"seconds": seconds, "resident": float(psutil.Process().memory_info().rss)}

    return state, answer


if __name__ == "__main__":
    serve(prepare)
