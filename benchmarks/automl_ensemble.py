"""Five minutes on two cores that end in a pruned ensemble, beside AutoGluon's ensembles, on five real logs.

Each cell is `search(effort="best")` of `--seconds` in a fresh process, through the public interface alone. What comes
out is exported, loaded from the one folder, and tested on the test rows, which nothing else looks at; beside it the
best trial alone, and how large either is.

AutoGluon 1.6.3 (`medium_quality`, 300 seconds, two cores, one run each on the same splits) was run apart, in an
environment of its own; its figures are constants here. Differences are of means over our seeds; above 0 is better for
the product, but for `movielens100k_rating_rmse_minus_autogluon`, which is plain.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.automl import QUICK, QUICK_SECONDS, SECONDS, SEEDS, Task, metric_of
from benchmarks.record import Cells, alone, arguments, finish, need_data

METHOD = 1
AUTOGLUON: dict[str, dict[str, float]] = {
    "frappe": {"auc": 0.96935, "log_loss": 0.16067},
    "movielens100k": {"auc": 0.79401, "log_loss": 0.54036},
    "movielens100k_rating": {"rmse": 0.95565},
    "adult": {"auc": 0.92842, "log_loss": 0.27301},
    "criteo10k": {"auc": 0.73532, "log_loss": 0.47132},
}


def measure(task: Task, seed: int, seconds: float) -> dict[str, Any]:
    """Searches, exports and tests; returns the figures of a cell."""
    import autorec as ar
    from autorec.loading import load_run
    from autorec.run import Run

    recommender, begin = task.recommender(), time.perf_counter()
    more = dict(QUICK, max_trials=3) if task.quick else {}
    settings = {"schema": task.schema(), "time_limit": seconds, "seed": seed, "progress": False, **more}
    recommender.search(task.train, effort="best", **settings)
    took = time.perf_counter() - begin
    told, run = recommender.ensemble_, Run(recommender.directory_, read_only=True)
    best = next(row["number"] for row in run.leaderboard() if row["rank"] == 1)
    with tempfile.TemporaryDirectory() as folder:
        exported = ar.load(recommender.export(Path(folder) / "model"))
        found = exported.evaluate(task.test)
        size = sum(path.stat().st_size for path in Path(folder).rglob("model.keras"))
    alone = load_run(recommender.directory_, best).evaluate(task.test)
    rows = run.trials()
    return {
        **{f"test_{name}": round(value, 6) for name, value in found.items()},
        **{f"single_{name}": round(value, 6) for name, value in alone.items()},
        "members": 1 if told is None else len(told["members"]),
        "pruning": None if told is None else told["pruning"],
        "disagreement": None if told is None else round(told["diversity"]["disagreement"], 4),
        "val_loss": None if told is None else round(told["loss"], 6),
        "single_val_loss": None if told is None else round(told["best_single_loss"], 6),
        "ensemble_seconds": None if told is None else told["seconds"],
        "megabytes": round(size / 1e6, 3),
        "trials": len(rows),
        "failed": sum(row["status"] == "failed" for row in rows),
        "took": round(took, 2),
    }


def figures_of(found: Mapping[str, Sequence[Mapping[str, Any]]], seconds: float) -> dict[str, Any]:
    """Returns the figures."""
    figures: dict[str, Any] = {}
    for task, rows in found.items():
        name, sign = metric_of(task)
        for metric, theirs in AUTOGLUON[task].items():
            ours, single = (statistics.mean(row[f"{key}_{metric}"] for row in rows) for key in ("test", "single"))
            figures[f"{task}/{metric}"], figures[f"{task}/single_{metric}"] = round(ours, 6), round(single, 6)
            figures[f"{task}/autogluon_{metric}"] = theirs
        theirs, ours = AUTOGLUON[task][name], figures[f"{task}/{name}"]
        key = f"{task}_{name}_minus_autogluon" if sign < 0 else f"{task}_minus_autogluon_{name}"
        figures[key] = round(ours - theirs, 6)
        for figure in ("members", "megabytes", "trials", "failed", "took"):
            figures[f"{task}/{figure}"] = round(statistics.mean(row[figure] for row in rows), 3)
        figures[f"{task}/pruning"] = [row["pruning"] for row in rows]
    figures["over_time_limit"] = round(max(row["took"] for rows in found.values() for row in rows) / seconds, 4)
    return figures


def main() -> None:
    options = arguments(
        __doc__ or "",
        tasks={"default": None, "help": "some tasks, separated by commas: only their cells, no record"},
        seconds={"default": None, "type": float, "help": "another time for each search: nothing is kept"},
        cell={"default": None, "help": "one cell (for the benchmark itself)"},
    )
    need_data()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if options.cell:
        cell = json.loads(options.cell)
        print(json.dumps(measure(Task(cell["task"], False), cell["seed"], cell["seconds"])))
        return
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    cells = Cells("automl_ensemble", METHOD, options.quick or options.seconds is not None)
    seeds = SEEDS[:1] if options.quick else SEEDS
    found: dict[str, list[dict[str, Any]]] = {}
    for name in options.tasks.split(",") if options.tasks else AUTOGLUON:
        found[name] = []
        for seed in seeds:

            def cell(name: str = name, seed: int = seed) -> Mapping[str, Any]:
                if options.quick:
                    return measure(Task(name, True), seed, seconds)
                return alone("automl_ensemble", task=name, seed=seed, seconds=seconds)

            found[name].append(cells.get({"task": name, "seconds": seconds}, seed, cell))
    if not (options.tasks or options.seconds):
        finish("automl_ensemble", figures_of(found, seconds), options.quick, seeds=list(seeds), limit=seconds)


if __name__ == "__main__":
    main()
