"""What a sharpness-aware step costs beside a plain one: SAM and mSAM, DCNv2 of `train_speed`, batches of 4096 and 256.

Each method is a process that reads the same batches from memory; they take turns, a few steps each, and what is
compared is the median over the rounds of the ratio within a round. Memory is the process's resident bytes behind its
steps, beside those of plain training.
"""

from __future__ import annotations

import functools
import statistics
import sys
import tomllib
from typing import Any

from benchmarks.record import TARGETS, Cells, arguments, finish
from benchmarks.train_speed import ratio, worst
from benchmarks.turns import Worker, in_turn

METHOD = 1
ROWS = 100_000
METHODS = {"plain": 0, "sam": 1, "msam2": 2, "msam8": 8, "msam16": 16}
BATCHES = {"4096": 5, "256": 40}  # rows: steps of a turn
ROUNDS = 9


def measure(batch: str, quick: bool) -> dict[str, Any]:
    """Returns seconds a step, of the first step, and the resident bytes of each method."""
    return _quick() if quick else _measure(int(batch), BATCHES[batch], ROUNDS, METHODS, ROWS)


@functools.cache
def _quick() -> dict[str, Any]:
    methods = {name: METHODS[name] for name in ("plain", "sam", "msam8")}
    return _measure(4096, 1, 2, methods, ROWS // 2)


def _measure(batch: int, steps: int, rounds: int, methods: dict[str, int], rows: int) -> dict[str, Any]:
    workers: dict[str, Worker] = {}
    try:
        for name, shards in methods.items():
            settings = {"rows": rows, "batch": batch, "micro_batches": shards, "steps": steps, "count": 8}
            workers[name] = Worker(sys.executable, "benchmarks.sharpness_cost_keras", **settings)
        seconds = in_turn(workers, rounds, steps=steps)
        resident = {name: each.ask(steps=0)["resident"] for name, each in workers.items()}
        first = {name: each.ready["first"] for name, each in workers.items()}
        return {"seconds_a_step": seconds, "first_step": first, "resident": resident}
    finally:
        for each in workers.values():
            each.close()


def figures_of(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns the figures of a run from its cells by batch size."""
    figures: dict[str, Any] = {}
    for batch, cell in found.items():
        turns, end = cell["seconds_a_step"], "" if batch == "4096" else f"_{batch}"
        figures[f"sam_over_plain_step{end}"] = ratio(turns["sam"], turns["plain"])
        for name in turns:
            if name.startswith("msam"):
                figures[f"{name}_over_sam_step{end}"] = ratio(turns[name], turns["sam"])
            figures[f"milliseconds_{name}_{batch}"] = 1e3 * statistics.median(turns[name])
            figures[f"first_step_seconds_{name}_{batch}"] = cell["first_step"][name]
            above = cell["resident"][name] - cell["resident"]["plain"]
            figures[f"megabytes_above_plain_{name}_{batch}"] = above / 2**20
    return figures


def main() -> None:
    options = arguments(__doc__ or "", run={"type": int, "default": 1, "help": "number of the run (1, 2, 3)"})
    cells = Cells("sharpness_cost", METHOD, options.quick)
    for batch in BATCHES:
        cells.get({"batch": batch}, 0, lambda batch=batch: measure(batch, options.quick), options.run)
    runs = {}
    for run in sorted({int(row["run"]) for row in cells.rows}):
        found = {batch: cells.find({"batch": batch}, 0, run) for batch in BATCHES}
        if all(found.values()):
            runs[run] = figures_of(found)
    targets = tomllib.loads(TARGETS.read_text(encoding="utf-8"))["sharpness_cost"]
    by_run = {run: {key: figures[key] for key in targets} for run, figures in runs.items()}
    finish("sharpness_cost", worst(runs, "sharpness_cost"), options.quick, runs=by_run)


if __name__ == "__main__":
    main()
