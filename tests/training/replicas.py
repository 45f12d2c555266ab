"""Trainings under a strategy and on one device, run as a program of its own: devices are set up once a process.

`python -m tests.training.replicas mirrored|multi_worker OUT.json` writes what each case came to.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from autorec import CTRRecommender
from autorec.errors import AutoRecError
from autorec.training import TrainOptions, train, validation
from autorec.training.workers import get_workers
from tests.training import small

BATCH = 64


def rows(**more: Any) -> Any:
    """Five full batches and one row, which leaves a replica without any; every seventh label is unknown."""
    part = small.part(5 * BATCH + 1, weights=True, **more)
    part.labels[::7] = np.nan
    return part


def trained(
    strategy: Any, targets: tuple[str, ...] = ("click",), make: Callable[..., Any] = small.model, **more: Any
) -> dict[str, Any]:
    settings = {"parts": [rows(targets=len(targets))], "batch_size": BATCH, "epochs": 3, **more}
    options = TrainOptions(
        strategy=strategy, **{"learning_rate": 0.02, "table_l2": 1e-3, **settings.pop("options", {})}
    )
    judge = small.part(200, seed=1, targets=len(targets))
    chooses = not settings.get("average")
    with options.scope():
        model = make(*targets)
    layout = small.layout(*targets)
    begin = time.monotonic()
    if "seconds" in settings:
        settings["deadline"] = begin + settings.pop("seconds")
    found = train(model, settings.pop("parts"), judge if chooses else None, layout=layout, options=options, **settings)
    return {
        "history": found.history,
        "weights": [weight.ravel().tolist() for weight in model.get_weights()],
        "best_epoch": found.best_epoch,
        "metrics": found.metrics,
        "validated": validation.validate(model, judge, layout),
        "steps": found.steps,
        "seconds": time.monotonic() - begin,
    }


def normalised(*targets: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    ids = keras.Input((small.COLUMNS,), dtype="int32", name="ids")
    hidden = keras.layers.BatchNormalization()(keras.layers.Flatten()(small.Lookup()(ids)))
    return keras.Model({"ids": ids}, {"click": keras.layers.Dense(1)(hidden)})


def infinite(strategy: Any) -> str:
    part = rows()
    part.labels[:] = np.inf
    return refused(lambda: trained(strategy, parts=[part]))


def outside(strategy: Any) -> str:
    model = small.model()
    options = TrainOptions(strategy=strategy)
    return refused(lambda: train(model, [rows()], layout=small.layout(), options=options, batch_size=BATCH))


def refused(call: Callable[[], Any]) -> str:
    try:
        call()
    except AutoRecError as error:
        return str(error)
    return ""


def stopped(strategy: Any) -> dict[str, Any]:
    """Drops units, and ends by a callback that sees every batch."""

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 2

    return trained(strategy, make=partial(small.model, dropout=0.2), callbacks=[Stop()])


def searched(strategy: Any, directory: Path) -> list[dict[str, Any]]:
    """A search for two trials, the second of which fails, and a refit; gone on with for a third trial."""

    class Failing(keras.callbacks.Callback):
        trials = 0

        def on_train_begin(self, logs: Any = None) -> None:
            Failing.trials += 1
            if Failing.trials == 2:
                raise ValueError("the second fails")

    rng = np.random.default_rng(0)
    ids = rng.integers(0, small.SIZE, (1201, 2))
    click = (rng.random(1201) < 1 / (1 + np.exp(-2 * np.sin(ids).sum(axis=1)))).astype(int)
    data = {"a": [f"a{i}" for i in ids[:, 0]], "b": [f"b{i}" for i in ids[:, 1]], "click": click}
    recommender = CTRRecommender("fm", directory=directory, options=TrainOptions(strategy=strategy))
    for trials in (2, 3):
        recommender.search(
            data,
            target="click",
            max_trials=trials,
            epochs=2,
            refit=True,
            baselines=False,
            callbacks=[Failing()],
            progress=False,
        )
    assert recommender.evaluate(data)["auc"] > 0.5
    rows: list[dict[str, Any]] = recommender.leaderboard().select("trial", "score", "status").to_dicts()
    return rows


def cases(strategy: Any, place: Path) -> dict[str, Any]:
    kind = get_workers(TrainOptions(strategy=strategy).strategy)
    both = {
        "plain": {},
        "clipped": {"options": {"clip": 0.05, "table_optimizer": "adagrad"}},
        "dense": {"options": {"clip": 0.05, "table_optimizer": "dense", "table_l2": 0.0}},
        "targets": {"targets": ("click", "like")},
        "normalised": {"make": normalised},
        "averaged": {"average": 1.5},
        "plateau": {"options": {"learning_rate": 0.3, "patience": 1}, "epochs": 20},
    }
    found: dict[str, Any] = {
        name: {"one": trained(None, **settings), "many": trained(strategy, **settings)}
        for name, settings in both.items()
    }
    found["infinite"] = infinite(strategy)
    found["outside"] = outside(strategy)
    found["odd"] = refused(lambda: trained(strategy, batch_size=63))
    found["stopped"] = stopped(strategy)
    found["late"] = trained(strategy, parts=[small.part(60_000)], batch_size=4, epochs=50, seconds=4.0)
    found["search"] = {"one": searched(None, place / f"one{kind.index}"), "many": searched(strategy, place / "many")}
    found["from_chief"] = kind.from_chief({"index": kind.index, "text": "ä" * 1000 * (1 - kind.index)})
    found["unequal"] = refused(lambda: kind.check_equal("data", kind.index))
    return found


def main(name: str, out: str) -> None:
    if name == "mirrored":
        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
        strategy: Any = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    else:
        strategy = name
        get_workers(name)
    Path(out).write_text(json.dumps(cases(strategy, Path(out).parent)))


if __name__ == "__main__":
    main(*sys.argv[1:])
