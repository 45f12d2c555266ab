"""Criteo-shaped Parquet to cache, beside the usual pandas route; memory by rows; training from the cache on disk."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Cells, arguments, finish

METHOD = 2
NUMBERS, CATEGORIES, DISTINCT = 13, 26, 1_000_000
BATCH = 4096


def make(path: Path, rows: int) -> None:
    """Writes the file: 13 numbers (a fifth missing), 26 columns of 8-digit hex strings with Zipf counts, a label."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    share = np.geomspace(3, 400_000, CATEGORIES)
    sizes = np.maximum(share * DISTINCT / share.sum(), 3).astype(int)
    names = [*(f"I{i}" for i in range(1, NUMBERS + 1)), *(f"C{i}" for i in range(1, CATEGORIES + 1)), "label"]
    writer = None
    for start in range(0, rows, 500_000):
        count = min(500_000, rows - start)
        arrays = [
            pa.array(np.floor(rng.lognormal(2, 1.5, count)), mask=rng.random(count) < 0.2) for _ in range(NUMBERS)
        ]
        for i, size in enumerate(sizes):
            ids = np.minimum((size * rng.random(count) ** 3).astype(np.int64), size - 1)
            hashed = (ids * 2_654_435_761 + i * 97_531) % 2**32
            words = np.char.zfill(np.vectorize("{:x}".format)(np.unique(hashed)), 8)
            arrays.append(pa.array(words[np.searchsorted(np.unique(hashed), hashed)]))
        arrays.append(pa.array((rng.random(count) < 0.25).astype(np.int64)))
        table = pa.table(dict(zip(names, arrays)))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=250_000)
    if writer is not None:
        writer.close()


def ours(path: Path, folder: Path) -> None:
    from autorec.data.encode import encode
    from autorec.data.schema import Feature, Schema
    from autorec.data.table import as_source

    features = [Feature(f"I{i}", "numeric", "float") for i in range(1, NUMBERS + 1)]
    features += [Feature(f"C{i}", "categorical", "string") for i in range(1, CATEGORIES + 1)]
    encode(as_source(path), Schema(features, ["label"]), folder / "cache", statistics=None)


def pandas_route(path: Path, folder: Path) -> None:
    import pandas as pd

    frame = pd.read_parquet(path)
    ids = np.empty((len(frame), CATEGORIES), np.int32)
    for i in range(CATEGORIES):
        codes, _ = pd.factorize(frame[f"C{i + 1}"])
        counts = np.bincount(codes + 1)
        local = np.cumsum(counts >= 2) + 1
        ids[:, i] = np.where(counts[codes + 1] >= 2, local[codes + 1], 1)
    numbers = np.empty((len(frame), NUMBERS), np.float32)
    for i in range(NUMBERS):
        values = frame[f"I{i + 1}"].to_numpy(dtype=np.float64)
        logs = np.sign(values) * np.log1p(np.abs(values))
        numbers[:, i] = np.nan_to_num((logs - np.nanmean(logs)) / np.nanstd(logs))
    for name, array in (("ids", ids), ("numbers", numbers), ("label", frame["label"].to_numpy(np.float32))):
        np.save(folder / f"{name}.npy", array)


def route(name: str, path: Path) -> dict[str, float]:
    """Runs a route in a process of its own."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [sys.executable, "-m", "benchmarks.ingest", "--route", name, "--file", str(path), "--out", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_route(name: str, path: Path, folder: Path) -> dict[str, float]:
    if name == "ours":
        import autorec.data.encode  # noqa: F401  (imports are not what is measured)
    else:
        import pandas  # noqa: F401
    begin = time.perf_counter()
    (ours if name == "ours" else pandas_route)(path, folder)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def train(path: Path, steps: int, rounds: int) -> dict[str, Any]:
    """Returns steps a second from the cache on disk and from one batch in memory, in turn in one run."""
    import keras_tuner as kt
    import tensorflow as tf

    from autorec.data.cache import Cache
    from autorec.data.dataset import batches
    from autorec.spaces import DeepFM
    from autorec.spaces.space import build
    from autorec.training.losses import losses
    from autorec.training.optimizers import make_optimizer
    from autorec.training.options import TrainOptions
    from autorec.training.stepper import Stepper

    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        ours(path, folder)
        cache = Cache.open(folder / "cache")
        space = DeepFM(dim=16, units=400, layers=3, dropout=0.0)
        model = build(space, kt.HyperParameters(), cache.layout)
        model.compile(make_optimizer(TrainOptions().resolved()), losses(cache.layout.targets), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        stepper = Stepper(model, steps, steps)
        groups, targets = list(model.input), [target.name for target in cache.layout.targets]
        disk = batches([cache.train], groups, targets, BATCH, shuffle=True, seed=0, epochs=rounds + 2)
        one = next(iter(disk.take(1)))
        memory = tf.data.Dataset.from_tensors(one).repeat()
        speeds: dict[str, list[float]] = {"disk": [], "memory": []}
        iterators = {"disk": iter(disk.repeat()), "memory": iter(memory)}
        for source in iterators:  # trace, and warm up
            _steps(stepper, iterators[source])
        for _ in range(rounds):
            for source, found in speeds.items():
                found.append(_steps(stepper, iterators[source]))
    return {name: statistics.median(found) for name, found in speeds.items()} | {"rounds": rounds, "steps": steps}


def _steps(stepper: Any, iterator: Any) -> float:
    """Trains an epoch of steps with the train function that `fit` has in a search; returns steps a second."""
    stepper.in_epoch = 0
    begin = time.perf_counter()
    float(stepper(iterator)["loss"])
    return float(stepper.steps / (time.perf_counter() - begin))


def main() -> None:
    options = arguments(
        __doc__ or "",
        route={"default": None, "help": "ours or pandas (for the benchmark itself)"},
        file={"default": None, "help": "Parquet file"},
        out={"default": None, "help": "folder"},
    )
    if options.route:
        print(json.dumps(run_route(options.route, Path(options.file), Path(options.out))))
        return
    cells = Cells("ingest", METHOD, options.quick)
    small, large, runs = (100_000, 400_000, 1) if options.quick else (2_000_000, 8_000_000, 3)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:

        def file(rows: int) -> Path:
            path = Path(name) / f"{rows}.parquet"
            if not path.exists():
                make(path, rows)
            return path

        found: dict[str, list[dict[str, Any]]] = {"ours": [], "pandas": []}
        for run in range(1, runs + 1):
            for kind in found:
                cell = {"route": kind, "rows": small}
                found[kind].append(cells.get(cell, 0, lambda kind=kind: route(kind, file(small)), run))
        peak = cells.get({"route": "ours", "rows": large}, 0, lambda: route("ours", file(large)))
        theirs = cells.get({"route": "pandas", "rows": large}, 0, lambda: route("pandas", file(large)))
        steps, rounds = (20, 2) if options.quick else (100, 5)
        speed = cells.get({"train": "deepfm"}, 0, lambda: train(file(small), steps, rounds))
    ratios = [usual["seconds"] / mine["seconds"] for mine, usual in zip(found["ours"], found["pandas"])]
    seconds = statistics.median(row["seconds"] for row in found["ours"])
    figures = {
        "rows_per_second_over_pandas": statistics.median(ratios),
        "peak_memory_8m_over_2m": peak["peak_megabytes"] / max(row["peak_megabytes"] for row in found["ours"]),
        "end_to_end_over_in_memory": speed["disk"] / speed["memory"],
        "rows_per_second_over_pandas_8m": theirs["seconds"] / peak["seconds"],
        "rows_per_second": small / seconds,
        "rows_per_second_8m": large / peak["seconds"],
        "peak_megabytes_8m": peak["peak_megabytes"],
        "pandas_peak_megabytes_8m": theirs["peak_megabytes"],
        "steps_per_second_from_disk": speed["disk"],
    }
    finish("ingest", figures, options.quick, runs=runs)


if __name__ == "__main__":
    main()
