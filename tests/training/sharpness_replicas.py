"""Sharpness-aware trainings on two replicas, as a program of its own: devices are set up once a process.

`python -m tests.training.sharpness_replicas OUT.json` writes what each came to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from autorec.training import SharpnessAware, TrainOptions, sharpness_aware, train
from tests.training import small
from tests.training.replicas import normalised, rows


def trained(strategy: Any, count: int, make: Any = small.model, **settings: Any) -> dict[str, Any]:
    options = TrainOptions(
        strategy=strategy,
        learning_rate=0.02,
        optimizer="sgd",
        table_optimizer="adagrad",
        sharpness=SharpnessAware(rho=0.5, micro_batches=count, **settings),
    )
    with options.scope():
        model = make()
    found = train(model, [rows()], None, layout=small.layout(), options=options, batch_size=64, epochs=2)
    return {"losses": [row["loss"] for row in found.history], "weights": flat(model)}


def flat(model: Any) -> list[Any]:
    return np.concatenate([weight.ravel() for weight in model.get_weights()]).tolist()


def fitted(strategy: Any, count: int) -> dict[str, Any]:
    """Trains by Keras's own `fit`."""
    with strategy.scope():
        model = sharpness_aware(small.model(), SharpnessAware(rho=0.5, micro_batches=count))
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    ids = {"ids": np.arange(40, dtype=np.int32).reshape(20, 2) % small.SIZE}
    data = tf.data.Dataset.from_tensor_slices((ids, {"click": np.ones((20, 1), np.float32)})).batch(20)
    logs = model.fit(data, epochs=2, verbose=0).history
    return {"losses": logs["loss"], "weights": flat(model), "skipped": model.skipped_micro_batches}


def main(out: str) -> None:
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {
        "one": [trained(strategy, 1), trained(None, 2)],
        "four": [trained(strategy, 4), trained(None, 8)],
        "every": [trained(strategy, 2, every=2), trained(None, 4, every=2)],
        "keras": [fitted(strategy, 2), fitted(tf.distribute.get_strategy(), 4)],
        "normalised": [trained(strategy, 2, normalised)],
    }
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
