"""A training step of DCNv2 at Criteo's shape beside Keras, PyTorch and the bare matrix products, by rows of the tables.

13 numbers and 26 fields of width 16 with Zipf ids, batch 4096, 3 full crosses beside an MLP 400-400-400. Each peer is
a process that reads the same batches from memory; they take turns, a few steps each, and all that is compared is the
median over the rounds of the ratio within a round. The floor is the multiplications and additions of the step's matrix
products at the rate of a (4096, 429) x (429, 429) product, timed in the same turns.

PyTorch is installed into `~/.cache/autorec-benchmarks/torch`, outside of the project's environment.
"""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import TARGETS, Cells, arguments, finish, need_data
from benchmarks.train_speed_pool import distinct, make_pool
from benchmarks.turns import Worker, in_turn

METHOD = 2
SIZES = {"1e5": 100_000, "1e6": 1_000_000, "1e7": 10_000_000}
QUICK_SIZES = {"1e5": 50_000, "1e6": 50_000, "1e7": 200_000}
PEERS = ("plain_keras", "fused_keras", "torch_dense", "torch_sparse")
RULES = ("adam", "adagrad", "rowwise_adagrad")
SEEDS = (0, 1, 2)
MEMORY_STEPS = 50
TORCH = Path.home() / ".cache" / "autorec-benchmarks" / "torch"
# The first one has no CUDA libraries; where no index has it, the second one does.
REQUIREMENTS = ("torch==2.13.0+cpu", "torch")


def torch_python() -> Path:
    """Returns the interpreter of an environment with PyTorch, making it at the first call."""
    python = TORCH / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(TORCH)], check=True)
    if _imports_torch(python):
        return python
    for requirement in REQUIREMENTS:
        command = [str(python), "-m", "pip", "install", "--quiet", requirement, "numpy"]
        if subprocess.run(command, check=False).returncode == 0 and _imports_torch(python):
            return python
    sys.exit(f"PyTorch, one of {REQUIREMENTS}, cannot be installed into {TORCH}")


def _imports_torch(python: Path) -> bool:
    return subprocess.run([str(python), "-c", "import torch, numpy"], capture_output=True, check=False).returncode == 0


def worker(peer: str, rows: int, **more: Any) -> Worker:
    if peer.startswith("torch"):
        return Worker(torch_python(), "benchmarks.train_speed_torch", peer=peer, rows=rows, **more)
    return Worker(sys.executable, "benchmarks.train_speed_keras", peer=peer, rows=rows, **more)


def peers(rows: int, sizes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Returns what takes turns with tables of `rows` rows, `sizes` being what that stands for."""
    found: dict[str, dict[str, Any]] = {"floor": {"peer": "product"}, "ours": {"peer": "ours"}}
    found |= {peer: {"peer": peer} for peer in PEERS}
    found = {name: {"rows": rows, **settings} for name, settings in found.items()}
    if "1e5" in sizes:
        found["without_tables"] = {"peer": "ours", "rows": rows, "with_tables": False}
    if "1e6" in sizes:
        found |= {f"rule_{rule}": {"peer": "ours", "rows": rows, "rule": rule} for rule in RULES}
    if "1e7" in sizes:
        found["ours_1e5"] = {"peer": "ours", "rows": min(rows, SIZES["1e5"])}
    return found


def take_turns(started: Mapping[str, Mapping[str, Any]], quick: bool) -> dict[str, Any]:
    """Starts processes one behind the other, lets them take turns, and returns their seconds a step."""
    rounds, steps, count = (2, 1, 2) if quick else (7, 5, 32)
    workers: dict[str, Worker] = {}
    try:
        for name, settings in started.items():
            workers[name] = worker(steps=steps, count=count, **settings)
        seconds = in_turn(workers, rounds, steps=steps)
        return {"seconds_a_step": seconds, "settings": {name: each.ready for name, each in workers.items()}}
    finally:
        for each in workers.values():
            each.close()


def speed(size: str, quick: bool) -> dict[str, Any]:
    """Returns the seconds a step of all at a size; a quick run measures once and takes that for all sizes."""
    return _quick_speed() if quick else _speed(SIZES[size], [size], quick)


@functools.cache
def _quick_speed() -> dict[str, Any]:
    return _speed(QUICK_SIZES["1e5"], list(SIZES), True)


def _speed(rows: int, sizes: Sequence[str], quick: bool) -> dict[str, Any]:
    found = take_turns(peers(rows, sizes), quick)
    return {**found, "distinct_rows_a_batch": distinct(make_pool(rows, 4))}


def memory(rows: int, quick: bool) -> dict[str, Any]:
    """Returns the resident bytes of a process behind 50 steps, and the size of its tables and slots."""
    steps = 2 if quick else MEMORY_STEPS
    alone = worker("ours", rows, steps=steps, count=2)
    try:
        answer = alone.ask(steps=0)
    finally:
        alone.close()
    return {"resident": answer["resident"], "table_bytes": alone.ready["table_bytes"]}


def precision(quick: bool) -> dict[str, Any]:
    """Returns the seconds of a step in both precisions at the least size, or why not."""
    from autorec.training.precision import lacking

    lack = lacking()
    if lack is not None:
        return {"reason": lack}
    rows = (QUICK_SIZES if quick else SIZES)["1e5"]
    started = {name: {"peer": "ours", "rows": rows, "precision": name} for name in ("float32", "bfloat16")}
    return take_turns(started, quick)


class Frappe:
    """Frappe, encoded once for both precisions and all seeds."""

    def __init__(self, folder: str, quick: bool) -> None:
        self.folder, self.quick = Path(folder), quick
        self.cache: Any = None

    def log_loss(self, precision: str, seed: int) -> dict[str, float]:
        """Returns the validation log loss of a DCNv2 with its default values and the default recipe."""
        import keras

        from autorec.spaces import DCNv2
        from autorec.training.options import TrainOptions
        from autorec.training.precision import using_precision
        from autorec.training.trainer import train

        self.cache = self.cache or self._encode()
        keras.utils.set_random_seed(seed)
        with using_precision(precision):
            model = DCNv2().build_for(self.cache.layout)
        result = train(
            model,
            [self.cache.train],
            self.cache.validation,
            layout=self.cache.layout,
            options=TrainOptions(precision=precision),
            epochs=1 if self.quick else None,
            seed=seed,
            objective="val_log_loss",
        )
        return {**result.metrics, "best_epoch": result.best_epoch}

    def _encode(self) -> Any:
        from autorec.data.encode import encode
        from autorec.data.table import as_source
        from benchmarks import tasks
        from benchmarks.presets import schema_of

        rows, _, target, _ = tasks.frappe()
        rows = rows[:4000] if self.quick else rows
        schema = schema_of("frappe", rows, target, {"user": "user", "item": "app"})
        return encode(as_source(rows), schema, self.folder / "cache")


def measure(cells: Cells, run: int, quick: bool) -> None:
    """Fills the cells of a run."""
    for size in SIZES:
        cells.get({"part": "speed", "rows": size}, 0, lambda size=size: speed(size, quick), run)
    for size in ("1e5", "1e7"):
        rows = (QUICK_SIZES if quick else SIZES)[size]
        cells.get({"part": "memory", "rows": size}, 0, lambda rows=rows: memory(rows, quick), run)
    cells.get({"part": "precision"}, 0, lambda: precision(quick), run)
    with tempfile.TemporaryDirectory() as folder:
        frappe = Frappe(folder, quick)
        for kind in ("float32", "bfloat16"):
            for seed in SEEDS[:1] if quick else SEEDS:  # the same in each run: once is enough
                cell = {"part": "log_loss", "precision": kind}
                cells.get(cell, seed, lambda kind=kind, seed=seed: frappe.log_loss(kind, seed))


def ratio(above: Iterable[float], below: Iterable[float]) -> float:
    """Returns the median over the rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(above, below))


def figures_of(found: Callable[..., dict[str, Any] | None], seeds: Iterable[int]) -> dict[str, Any] | None:
    """Returns the figures of a run from its cells, or None if one is not there.

    Args:
        found: Returns the figures of a cell by its configuration and seed.
        seeds: Seeds of the log loss.
    """
    speeds = {size: found({"part": "speed", "rows": size}) for size in SIZES}
    sizes = {size: found({"part": "memory", "rows": size}) for size in ("1e5", "1e7")}
    both = found({"part": "precision"})
    kinds = ("float32", "bfloat16")
    losses = {kind: [found({"part": "log_loss", "precision": kind}, seed) for seed in seeds] for kind in kinds}
    cells = [*speeds.values(), *sizes.values(), both, *losses["float32"], *losses["bfloat16"]]
    if any(cell is None for cell in cells):
        return None
    return _speed_figures(speeds) | _memory_figures(sizes) | _precision_figures(both, losses)


def _speed_figures(speeds: Mapping[str, Any]) -> dict[str, Any]:
    turns = {size: cell["seconds_a_step"] for size, cell in speeds.items()}
    margins = {
        f"{peer}_over_ours_{size}": ratio(rounds[peer], rounds["ours"])
        for size, rounds in turns.items()
        for peer in PEERS
    }
    figures = {f"over_floor_{size}": ratio(rounds["ours"], rounds["floor"]) for size, rounds in turns.items()}
    figures["step_1e7_over_1e5"] = ratio(turns["1e7"]["ours"], turns["1e7"]["ours_1e5"])
    figures |= margins
    figures["slowest_peer_margin"] = min(margins.values())
    figures["without_tables_over_floor"] = ratio(turns["1e5"]["without_tables"], turns["1e5"]["floor"])
    for rule in RULES:
        figures[f"{rule}_over_floor_1e6"] = ratio(turns["1e6"][f"rule_{rule}"], turns["1e6"]["floor"])
    for size, rounds in turns.items():
        figures |= {f"milliseconds_{name}_{size}": 1e3 * statistics.median(each) for name, each in rounds.items()}
        figures[f"distinct_rows_a_batch_{size}"] = speeds[size]["distinct_rows_a_batch"]
    return figures


def _memory_figures(sizes: Mapping[str, Any]) -> dict[str, Any]:
    added = {key: sizes["1e7"][key] - sizes["1e5"][key] for key in ("resident", "table_bytes")}
    return {
        "memory_over_tables_and_slots_1e7": added["resident"] / added["table_bytes"],
        "tables_and_slots_megabytes_1e7": sizes["1e7"]["table_bytes"] / 2**20,
        "resident_megabytes_1e7": sizes["1e7"]["resident"] / 2**20,
    }


def _precision_figures(both: Mapping[str, Any], losses: Mapping[str, list[Any]]) -> dict[str, Any]:
    means = {kind: statistics.mean(cell["val_log_loss"] for cell in cells) for kind, cells in losses.items()}
    figures: dict[str, Any] = {"float32_over_bfloat16": None}
    if "reason" in both:
        figures["float32_over_bfloat16_reason"] = both["reason"]
    else:
        turns = both["seconds_a_step"]
        figures["float32_over_bfloat16"] = ratio(turns["float32"], turns["bfloat16"])
    figures["bfloat16_minus_float32_log_loss"] = means["bfloat16"] - means["float32"]
    return figures | {f"{kind}_log_loss": mean for kind, mean in means.items()}


def worst(runs: Mapping[int, Mapping[str, Any]], name: str = "train_speed") -> dict[str, Any]:
    """Returns over several runs the worst of each figure with a target, the median of each other number."""
    targets = tomllib.loads(TARGETS.read_text(encoding="utf-8"))[name]
    figures: dict[str, Any] = {}
    for key in next(iter(runs.values())):
        values = [run[key] for run in runs.values() if run.get(key) is not None]
        if not values or isinstance(values[0], str):
            figures[key] = values[0] if values else None
        elif key in targets:
            figures[key] = min(values) if "min" in targets[key] else max(values)
        else:
            figures[key] = statistics.median(values)
    return figures


def main() -> None:
    options = arguments(__doc__ or "", run={"type": int, "default": 1, "help": "number of the run (1, 2, 3)"})
    need_data()
    cells = Cells("train_speed", METHOD, options.quick)
    measure(cells, options.run, options.quick)
    seeds = SEEDS[:1] if options.quick else SEEDS

    def of_run(run: int) -> dict[str, Any] | None:
        def found(cell: Mapping[str, Any], seed: int = 0) -> dict[str, Any] | None:
            return cells.find(cell, seed, 1 if cell["part"] == "log_loss" else run)

        return figures_of(found, seeds)

    numbers = sorted({int(row["run"]) for row in cells.rows})
    runs = {run: figures for run in numbers if (figures := of_run(run)) is not None}
    targets = tomllib.loads(TARGETS.read_text(encoding="utf-8"))["train_speed"]
    by_run = {run: {key: figures[key] for key in targets} for run, figures in runs.items()}
    finish("train_speed", worst(runs), options.quick, seeds=list(seeds), runs=by_run)


if __name__ == "__main__":
    main()
