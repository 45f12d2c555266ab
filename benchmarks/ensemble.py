"""Pruned ensembles: their size against their quality, on three click logs and the digits, over five seeds.

A cell is one set and seed: a fold of the training rows to validate on, test rows that decide nothing. Nets of width 32
are trained, 11 iterations of two: of the same depth as the newest member and of one more (see `searchers.growing`).
Iterations that want the same net share it.

- `grown_<rule>`: the ensemble that grew with the rule behind each iteration, `grown_none` without one;
- `none`: the better net of each iteration of `grown_none`, all 11, with fitted weights: the full ensemble;
- `<rule>_<size>`, `forward_<size>`, `answers_<size>`: the full one pruned to a size at most, or selected from it;
- `auto_<size>`: by the rule that `rec.ensemble` takes, of few validation rows `answers`, else by cross-fitting;
- `<rule>_<size>_bare`: pruned by the rule alone, every step taken (see `guarded` of `searchers.pruning.prune`);
- `single`: the net of them that validates best.

Weights and members are chosen on the validation rows. Differences are of test log loss (cross-entropy for digits), seed
by seed, above 0 is better for the first-named. What is quoted for pruned ensembles of at most half the size is of
`auto`, which picks a rule on the validation rows.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ensemble_nets import MOST, ClickNets, DigitNets, Nets
from benchmarks.recipe import standard_errors
from benchmarks.record import Cells, alone, arguments, finish, need_data

METHOD = 2
SETS = ("frappe", "movielens100k", "adult", "digits")
SEEDS = (0, 1, 2, 3, 4)
ITERATIONS, QUICK_ITERATIONS = 11, 4
RULES = ("prs", "pap", "pie")
SELECTIONS = (*RULES, "forward", "answers", "auto")
HALF = 2  # the largest size that counts as at most half is the number of iterations over this one


class Cell:
    """One set and seed.

    Args:
        nets: What is trained.
        iterations: Number of iterations.
    """

    def __init__(self, nets: Nets, iterations: int) -> None:
        self.nets, self.iterations = nets, iterations

    def measure(self) -> dict[str, dict[str, float]]:
        """Returns the figures of each method."""
        found = {}
        whole, better = self._grown(None)
        found["grown_none"] = whole
        for rule in RULES:
            found[f"grown_{rule}"] = self._grown(rule)[0]
        return {**found, **self._pruned(better)}

    def _grown(self, rule: str | None) -> tuple[dict[str, float], list[tuple[int, int]]]:
        """Grows an ensemble; returns its figures, and the better net of each iteration."""
        from autorec.searchers.growing import grow
        from autorec.searchers.oracles import spread

        members: list[tuple[int, int]] = []
        better: list[tuple[int, int]] = []
        depth, weights = 0, np.ones(0)
        for iteration in range(self.iterations):
            candidates = [(iteration, each) for each in range(depth, min(depth + 1, MOST) + 1)]
            names = [*members, *candidates]
            panel = self.nets.panel(names, 0)
            count = len(members)
            found = grow(panel, range(count), range(count, len(names)), rule, seed=spread(self.nets.seed, iteration))
            better.append(names[count + int(np.argmin(panel.single_losses[count:]))])
            depth = depth if found.winner is None else names[found.winner][1]
            members, weights = [names[place] for place in found.members], found.weights[list(found.members)]
        return self._figures(members, weights), better

    def _pruned(self, names: Sequence[tuple[int, int]]) -> dict[str, dict[str, float]]:
        from autorec.searchers.ensemble_selection import best_single, select
        from autorec.searchers.pruning import prune

        panel = self.nets.panel(names, 0)
        chosen = {"none": select(panel, None)[0], "single": best_single(panel)}
        for size in sizes(self.iterations):
            for rule in SELECTIONS:
                chosen[f"{rule}_{size}"] = select(panel, rule, size=size, seed=self.nets.seed)[0]
            for rule in RULES:
                chosen[f"{rule}_{size}_bare"] = prune(panel, rule, size=size, seed=self.nets.seed, guarded=False)
        return {
            method: self._figures([names[place] for place in one.members], one.weights[list(one.members)])
            for method, one in chosen.items()
        }

    def _figures(self, names: Sequence[tuple[int, int]], weights: np.ndarray) -> dict[str, float]:
        from autorec.searchers.diversity import diversity

        validation, test = self.nets.panel(names, 0), self.nets.panel(names, 1)
        return {
            "size": len(names),
            "depth": statistics.mean(depth for _, depth in names),
            "val_loss": round(validation.loss(weights), 6),
            "test_loss": round(test.loss(weights), 6),
            "test_quality": round(self._quality(test.votes[0], weights), 6),
            **{name: round(value, 6) for name, value in diversity(validation, range(len(names))).items()},
        }

    def _quality(self, votes: Any, weights: np.ndarray) -> float:
        """Returns the AUC of clicks, the share of right digits."""
        from autorec.training.metrics import auc

        mean = np.tensordot(weights, votes.scores, 1)
        return auc(votes.labels, mean) if votes.kind == "binary" else float(np.mean(mean.argmax(1) == votes.labels))


def sizes(iterations: int) -> list[int]:
    """Returns the sizes to prune to, the largest one at most half of all."""
    return sorted({max(iterations // HALF, 1), max(iterations // 4, 1)})


def measure(name: str, seed: int, quick: bool) -> dict[str, dict[str, float]]:
    """Returns the figures of a cell."""
    iterations = QUICK_ITERATIONS if quick else ITERATIONS
    with tempfile.TemporaryDirectory() as folder:
        nets = DigitNets(seed, quick) if name == "digits" else ClickNets(name, seed, quick, Path(folder))
        return Cell(nets, iterations).measure()


def ahead(ours: Sequence[Mapping[str, float]], theirs: Sequence[Mapping[str, float]]) -> float:
    """Returns by how many standard errors one method's test loss is below another's."""
    gains = [other["test_loss"] - one["test_loss"] for one, other in zip(ours, theirs)]
    return round(standard_errors(gains), 4) if len(gains) > 1 else 0.0


def figures_of(found: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]], iterations: int) -> dict[str, Any]:
    """Returns the figures of all sets from their cells, one a seed."""
    figures: dict[str, Any] = {}
    summary: dict[str, list[float]] = {"size": [], "full": [], "single": []}
    for name, cells in found.items():
        methods = {method: [cell[method] for cell in cells] for method in cells[0]}
        picked = f"auto_{iterations // HALF}"
        best = min((each for each in methods if each != "single"), key=lambda each: _mean(methods[each], "val_loss"))
        summary["size"].append(_mean(methods[picked], "size") / _mean(methods["none"], "size"))
        summary["full"].append(ahead(methods[picked], methods["none"]))
        summary["single"].append(ahead(methods[best], methods["single"]))
        figures[f"{name}/best"] = best
        for method, rows in methods.items():
            figures |= {f"{name}/{method}_{figure}": round(_mean(rows, figure), 6) for figure in rows[0]}
            figures[f"{name}/{method}_minus_full_se"] = ahead(rows, methods["none"])
            figures[f"{name}/{method}_minus_single_se"] = ahead(rows, methods["single"])
    figures["size_over_full"] = round(max(summary["size"]), 4)
    figures["pruned_minus_full_se"] = min(summary["full"])
    figures["best_ensemble_minus_best_single_se"] = min(summary["single"])
    return figures


def _mean(rows: Sequence[Mapping[str, float]], figure: str) -> float:
    return statistics.mean(row[figure] for row in rows)


def main() -> None:
    options = arguments(
        __doc__ or "",
        sets={"default": None, "help": "some sets, separated by commas: only their cells, no record"},
        cell={"default": None, "help": "one cell (for the benchmark itself)"},
    )
    need_data()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if options.cell:
        print(json.dumps(measure(**json.loads(options.cell), quick=False)))
        return
    cells = Cells("ensemble", METHOD, options.quick)
    iterations = QUICK_ITERATIONS if options.quick else ITERATIONS
    seeds = SEEDS[:1] if options.quick else SEEDS
    found: dict[str, list[dict[str, Any]]] = {}
    for name in options.sets.split(",") if options.sets else SETS:
        found[name] = []
        for seed in seeds:

            def cell(name: str = name, seed: int = seed) -> Mapping[str, Any]:
                return measure(name, seed, True) if options.quick else alone("ensemble", name=name, seed=seed)

            row = cells.get({"set": name, "iterations": iterations}, seed, cell)
            found[name].append({method: value for method, value in row.items() if method != "seconds"})
    if options.sets is None:
        finish("ensemble", figures_of(found, iterations), options.quick, seeds=list(seeds), iterations=iterations)


if __name__ == "__main__":
    main()
