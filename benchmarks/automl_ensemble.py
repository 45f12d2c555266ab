"""Five minutes on two cores that end in a pruned ensemble, beside AutoGluon's ensembles, on five real logs.

Its cells are those of `best` in `automl`, and stand in that benchmark's file: `search(effort="best")` in a fresh
process, through the public interface alone. What comes out is exported, loaded from the one folder, and tested on the
test rows, which nothing else looks at; beside it the best trial alone, and how large it is.

AutoGluon 1.6.3 (`medium_quality`, 300 seconds, two cores, one run each on the same splits) was run apart, in an
environment of its own; its figures are constants here. Differences are of means over our seeds; above 0 is better for
the product, but for `movielens100k_rating_rmse_minus_autogluon`, which is plain.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.automl import METHOD, QUICK_SECONDS, SECONDS, SEEDS, metric_of, run
from benchmarks.record import Cells, arguments, finish, need_data

AUTOGLUON: dict[str, dict[str, float]] = {
    "frappe": {"auc": 0.96935, "log_loss": 0.16067},
    "movielens100k": {"auc": 0.79401, "log_loss": 0.54036},
    "movielens100k_rating": {"rmse": 0.95565},
    "adult": {"auc": 0.92842, "log_loss": 0.27301},
    "criteo10k": {"auc": 0.73532, "log_loss": 0.47132},
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
    )
    need_data()
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    cells = Cells("automl", METHOD, options.quick or options.seconds is not None)
    seeds = SEEDS[:1] if options.quick else SEEDS
    names = options.tasks.split(",") if options.tasks else list(AUTOGLUON)
    found = {
        name: methods["best"] for name, methods in run(names, ["best"], seeds, seconds, cells, options.quick).items()
    }
    if not (options.tasks or options.seconds):
        finish("automl_ensemble", figures_of(found, seconds), options.quick, seeds=list(seeds), limit=seconds)


if __name__ == "__main__":
    main()
