"""One method of `sharpness_cost`, a process each: DCNv2 of `train_speed`, trained in the loop that a search has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import psutil
import tensorflow as tf

from benchmarks.train_speed_keras import layout_of, space, timed
from benchmarks.train_speed_pool import make_pool
from benchmarks.turns import serve


def batches(rows: int, count: int, batch: int, groups: list[str]) -> Any:
    """Returns an endless dataset of the pool's rows in batches of a size that divides its own."""
    pool = make_pool(rows, count)
    x = {"ids": pool.ids, "numbers": pool.numbers.astype("float64"), "labels": pool.labels}
    x = {name: values.reshape(-1, batch, values.shape[-1]) for name, values in x.items()}
    labels = x.pop("labels")
    data = tf.data.Dataset.from_tensor_slices((x, labels)).repeat().prefetch(2)
    return data.map(lambda x, y: ({name: x[name] for name in groups}, {"click": y}))


def prepare(
    rows: int, batch: int, micro_batches: int, steps: int, count: int
) -> tuple[Mapping[str, Any], Callable[..., Mapping[str, Any]]]:
    """Returns the seconds of the first step, traced, and the function that times steps; 0 micro-batches are plain."""
    import keras_tuner as kt

    from autorec.spaces.space import build
    from autorec.training.compiling import compile_model
    from autorec.training.options import TrainOptions
    from autorec.training.sharpness import SharpnessAware
    from autorec.training.stepper import Stepper

    keras.utils.set_random_seed(0)
    layout = layout_of(rows)
    sharpness = SharpnessAware(micro_batches=micro_batches) if micro_batches else None
    options = TrainOptions(sharpness=sharpness).resolved()
    model = compile_model(build(space(), kt.HyperParameters(), layout), layout, options)
    iterator = iter(batches(rows, count, batch, list(model.input)))
    stepper = Stepper(model, 1, 1)

    def run(steps: int) -> None:
        stepper.steps = stepper.limit = steps
        stepper.in_epoch = 0
        stepper(iterator)

    first = timed(run, 1)
    timed(run, steps)

    def answer(steps: int) -> dict[str, float]:
        seconds = timed(run, steps) if steps else 0.0
        return {"seconds": seconds, "resident": float(psutil.Process().memory_info().rss)}

    return {"first": first}, answer


if __name__ == "__main__":
    serve(prepare)
