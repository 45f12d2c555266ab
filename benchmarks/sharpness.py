"""Plain training, SAM and mSAM on six tasks over ten seeds: test log loss, error and flatness.

Each method gets four tries, judged by their mean validation log loss over the same tuning seeds: plain training
chooses its learning rate, SAM and mSAM keep that rate and choose rho. Where the split is ours the tuning seeds are
five, each with another fifth of the rows to validate on: one fold tells more of itself than of rho. Where it is given
they are two. Each training keeps the weights of the epoch with the least validation log loss and is tested once.
Differences are taken seed by seed. On the digits mSAM runs with 2, 4, 8 and 16 micro-batches, elsewhere with 8. The
eigenvalue is the largest one of the training loss's Hessian, in the dense weights.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.recipe import standard_errors
from benchmarks.record import Cells, arguments, finish, need_data

METHOD = 1
SEEDS = tuple(range(10))
RHOS = (0.02, 0.05, 0.1, 0.2)
METHODS = {"base": 0, "sam": 1, "msam8": 8}
MORE = {"msam2": 2, "msam4": 4, "msam16": 16}
NETS = ("digits_conv", "digits_mlp")
CLICKS = ("frappe", "movielens100k", "adult")


class Tuned:
    """A task whose methods are tuned and then run.

    Args:
        name: Name of the task.
        task: Has `rates` and `run`.
        cells: Where figures go.
        quick: Take the first try as the best one.
    """

    def __init__(self, name: str, task: Any, cells: Cells, quick: bool) -> None:
        self.name, self.task, self.cells, self.quick = name, task, cells, quick

    def cell(self, rate: float, rho: float, shards: int, seed: int) -> dict[str, Any]:
        def measure() -> Mapping[str, Any]:
            from autorec.training.sharpness import SharpnessAware

            settings = SharpnessAware(rho=rho, micro_batches=shards) if shards else None
            found: Mapping[str, Any] = self.task.run(settings, rate, seed)
            return found

        key = {"task": self.name, "rate": rate, "rho": rho, "micro_batches": shards}
        return self.cells.get(key, seed, measure)

    def best(self, tries: Sequence[tuple[float, float]], shards: int) -> tuple[float, float]:
        """Returns the rate and rho with the least mean validation log loss over the tuning seeds."""
        if self.quick:
            return tries[0]

        def loss(each: tuple[float, float]) -> float:
            return statistics.mean(self.cell(*each, shards, seed)["val_log_loss"] for seed in self.task.tuning)

        return min(tries, key=loss)

    def run(self, methods: Mapping[str, int], seeds: Sequence[int]) -> dict[str, Any]:
        """Returns for each method its rate, its rho and its cells."""
        found: dict[str, Any] = {}
        rate, _ = self.best([(rate, 0.0) for rate in self.task.rates], 0)
        for method, shards in methods.items():
            rho = 0.0 if not shards else self.best([(rate, rho) for rho in RHOS], shards)[1]
            cells = [self.cell(rate, rho, shards, seed) for seed in seeds]
            found[method] = {"rate": rate, "rho": rho, "cells": cells}
        return found


def gains(found: Mapping[str, Any], method: str, over: str) -> list[float]:
    """Returns by how much a method's test log loss is below another's, seed by seed."""
    return [b["log_loss"] - a["log_loss"] for a, b in zip(found[method]["cells"], found[over]["cells"])]


def figures_of(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the figures; of differences, above 0 is better for the method named first."""
    figures: dict[str, Any] = {}
    if all(name in found for name in NETS):
        for over in ("sam", "base"):
            nets = zip(*(gains(found[name], "msam8", over) for name in NETS))
            figures[f"digits_msam_over_{over}_se"] = standard_errors([statistics.mean(each) for each in nets])
    ahead = [standard_errors(gains(found[name], "msam8", "base")) > 1 for name in CLICKS if name in found]
    figures["ctr_sets_msam_ahead_of_base"] = sum(ahead)
    for name, methods in found.items():
        for method, chosen in methods.items():
            figures[f"{name}/{method}_rate"], figures[f"{name}/{method}_rho"] = chosen["rate"], chosen["rho"]
            for figure in ("log_loss", "error", "eigenvalue"):
                figures[f"{name}/{method}_{figure}"] = statistics.mean(cell[figure] for cell in chosen["cells"])
            for over in ("base", "sam"):
                if method not in ("base", over):
                    figures[f"{name}/{method}_over_{over}_se"] = standard_errors(gains(methods, method, over))
    return figures


def main() -> None:
    options = arguments(
        __doc__ or "", tasks={"default": None, "help": "some tasks, separated by commas: only their cells, no record"}
    )
    need_data()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from benchmarks.sharpness_tasks import tasks

    cells = Cells("sharpness", METHOD, options.quick)
    seeds = SEEDS[:2] if options.quick else SEEDS
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        known = tasks(Path(folder), options.quick)
        for name in options.tasks.split(",") if options.tasks else known:
            methods = {**METHODS, **({} if options.quick or name not in NETS else MORE)}
            found[name] = Tuned(name, known[name], cells, options.quick).run(methods, seeds)
    if options.tasks is None:
        finish("sharpness", figures_of(found), options.quick, seeds=list(seeds), rhos=list(RHOS))


if __name__ == "__main__":
    main()
