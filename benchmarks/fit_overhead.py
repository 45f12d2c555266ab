"""DeepFM on MovieLens-100K: rows a second beside plain Keras, the cost of a trial outside its steps, memory.

Rows a second are those of the fastest epoch of all rounds, so that neither side pays for compiling or for other work
on the machine; the ratio of each round is recorded too. Ours compiles by XLA only behind
1,500 steps; what it does before is recorded too.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Cells, arguments, finish, need_data

METHOD = 4
BATCH, DIM, UNITS, LAYERS = 1024, 16, 64, 2


def cache_of(folder: Path, rows: int | None = None) -> Any:
    from autorec.data.encode import encode
    from autorec.data.schema import Schema
    from autorec.data.table import as_source
    from benchmarks.tasks import movielens_100k_ctr

    train, _, target, _ = movielens_100k_ctr()
    source = as_source(train[:rows])
    schema = Schema.infer(source, target=target, user="user", item="item")
    return encode(source, schema, folder, statistics=None)


class Epochs:
    """A Keras callback that notes when each epoch ends."""

    def __new__(cls) -> Any:
        import keras

        class Times(keras.callbacks.Callback):
            def __init__(self) -> None:
                super().__init__()
                self.ends: list[float] = []

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                self.ends.append(time.perf_counter())

        return Times()


def rate(ends: list[float], rows: int) -> float:
    """Returns rows a second in the fastest epoch but the first: other work on the machine disturbs it least."""
    return rows / min(b - a for a, b in itertools.pairwise(ends))


def our_model(layout: Any) -> Any:
    from autorec.spaces import DeepFM

    space = DeepFM(
        dim=DIM, numbers="log", number_embedding="linear", units=UNITS, layers=LAYERS, dropout=0.0, batch_norm=False
    )
    return space.build_for(layout)


def ours(cache: Any, epochs: int) -> tuple[float, float]:
    """Returns rows a second before a long training goes on with XLA, and in all."""
    from autorec.training import xla
    from autorec.training.trainer import train

    times = Epochs()
    model = our_model(cache.layout)
    train(model, [cache.train], None, layout=cache.layout, batch_size=BATCH, epochs=epochs, callbacks=[times])
    usual = xla.AFTER // -(-cache.train.rows // BATCH)
    return rate(times.ends[:usual], cache.train.rows), rate(times.ends, cache.train.rows)


def plain_model(layout: Any) -> Any:
    """The same DeepFM of stock Keras layers: one Embedding a field for vectors, one for first-order weights."""
    import keras

    from autorec.blocks import NumericEmbedding

    ids = {column.name: keras.Input((), dtype="int32", name=f"id_{i}") for i, column in enumerate(layout.ids)}
    width = number_values(layout, None)
    numbers = keras.Input((width,), name="numbers")
    vectors = [keras.layers.Embedding(c.size, DIM)(ids[c.name]) for c in layout.ids]
    weights = [keras.layers.Embedding(c.size, 1)(ids[c.name]) for c in layout.ids]
    fields = keras.ops.stack(vectors, axis=1)
    if width:
        fields = keras.layers.Concatenate(axis=1)([fields, NumericEmbedding(DIM, "linear")(numbers)])
    total = keras.ops.sum(fields, axis=1)
    pairs = 0.5 * keras.ops.sum(keras.ops.square(total) - keras.ops.sum(keras.ops.square(fields), axis=1), 1, True)
    deep = keras.layers.Concatenate()([keras.layers.Flatten()(fields), numbers])
    for _ in range(LAYERS):
        deep = keras.layers.Dense(UNITS, "relu")(deep)
    first = keras.layers.Add()([*weights, keras.layers.Dense(1, use_bias=False)(numbers)])
    logit = keras.layers.Add()([first, pairs, keras.layers.Dense(1)(deep)])
    return keras.Model([*ids.values(), numbers], logit)


def number_values(layout: Any, numbers: np.ndarray | None) -> Any:
    """Returns standardised log numbers, or how many there are."""
    if numbers is None:
        return len(layout.numbers)
    values = np.sign(numbers) * np.log1p(np.abs(numbers))
    mean = np.array([column.log_mean for column in layout.numbers])
    std = np.array([column.log_std for column in layout.numbers])
    return np.nan_to_num((values - mean) / std).astype(np.float32)


def plain(cache: Any, epochs: int, steps_per_execution: int, jit: bool) -> float:
    import keras

    model = plain_model(cache.layout)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.BinaryCrossentropy(from_logits=True),
        steps_per_execution=steps_per_execution,
        jit_compile=jit,
    )
    ids = np.ascontiguousarray(np.asarray(cache.train.arrays["ids"]).T)
    x = [*ids, number_values(cache.layout, np.asarray(cache.train.arrays["numbers"]))]
    times = Epochs()
    model.fit(x, np.asarray(cache.train.labels), batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[times])
    return rate(times.ends, cache.train.rows)


def speed(quick: bool) -> dict[str, Any]:
    """Returns rows a second of both, in turn in one process; plain Keras at its best setting."""
    epochs, rounds = (3, 1) if quick else (50, 5)
    with tempfile.TemporaryDirectory() as name:
        cache = cache_of(Path(name) / "cache", 20_000 if quick else None)
        settings = list(itertools.product((1, 10, 50), (False, True)))
        trials = {setting: plain(cache, 3, *setting) for setting in (settings[:2] if quick else settings)}
        best = max(trials, key=lambda setting: trials[setting])
        found: dict[str, list[float]] = {"usual": [], "ours": [], "plain": []}
        for _ in range(rounds):
            for key, value in zip(("usual", "ours"), ours(cache, epochs)):
                found[key].append(value)
            found["plain"].append(plain(cache, 3 if quick else 20, *best))
    fastest = {key: max(values) for key, values in found.items()}
    return {
        "ratio": fastest["ours"] / fastest["plain"],
        "ratios": [a / b for a, b in zip(found["ours"], found["plain"])],
        "before_xla_over_plain_keras": fastest["usual"] / fastest["plain"],
        "ours_rows_per_second": fastest["ours"],
        "plain_rows_per_second": fastest["plain"],
        "plain_steps_per_execution": best[0],
        "plain_jit": best[1],
    }


def outside(quick: bool) -> dict[str, float]:
    """Returns the seconds of a trial outside of its training steps: build, first step less a usual one, save."""
    from autorec.searchers.trial import without_optimizer
    from autorec.training.trainer import train

    with tempfile.TemporaryDirectory() as name:
        cache = cache_of(Path(name) / "cache", 20_000 if quick else None)
        found: dict[str, list[float]] = {"build": [], "trace": [], "save": []}
        for _ in range(2 if quick else 5):
            times = Epochs()
            begin = time.perf_counter()
            model = our_model(cache.layout)
            built = time.perf_counter()
            train(model, [cache.train], None, layout=cache.layout, batch_size=BATCH, epochs=3, callbacks=[times])
            end = time.perf_counter()
            without_optimizer(model).save(Path(name) / "model.keras")
            found["build"].append(built - begin)
            found["save"].append(time.perf_counter() - end)
            epoch = (times.ends[-1] - times.ends[0]) / 2
            found["trace"].append(times.ends[0] - built - epoch)
    return {f"{key}_seconds": statistics.median(values) for key, values in found.items()}


def memory(quick: bool) -> dict[str, float]:
    """Returns resident megabytes behind trial 10 and behind the last one, in a process of its own."""
    code = f"from benchmarks.fit_overhead import trials; trials({20 if quick else 100})"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    ten, last = map(float, done.stdout.split()[-2:])
    return {"megabytes_10": ten, "megabytes_last": last}


def trials(count: int) -> None:
    import psutil

    import autorec as ar
    from benchmarks.tasks import movielens_100k_ctr

    train, _, target, _ = movielens_100k_ctr()
    sizes: list[float] = []

    def listen(event: dict[str, Any]) -> None:
        if event["event"] == "trial_finished":
            sizes.append(psutil.Process().memory_info().rss / 2**20)

    recommender = ar.CTRRecommender(space="deepfm")
    recommender.search(
        train[:20_000], target=target, max_trials=count, epochs=1, baselines=False, keep=2, progress=listen
    )
    print(sizes[9], sizes[-1])


def main() -> None:
    options = arguments(__doc__ or "")
    need_data()
    cells = Cells("fit_overhead", METHOD, options.quick)
    found = cells.get({"part": "speed"}, 0, lambda: speed(options.quick))
    costs = cells.get({"part": "outside"}, 0, lambda: outside(options.quick))
    sizes = cells.get({"part": "memory"}, 0, lambda: memory(options.quick))
    figures = {
        "small_model_over_plain_keras": found["ratio"],
        "memory_100_trials_over_10": sizes["megabytes_last"] / sizes["megabytes_10"],
        **{key: value for key, value in found.items() if key not in ("ratio", "seconds")},
        **{key: value for key, value in costs.items() if key != "seconds"},
        "megabytes_10": sizes["megabytes_10"],
    }
    finish("fit_overhead", figures, options.quick)


if __name__ == "__main__":
    main()
