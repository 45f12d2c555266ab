"""The leaderboard of a run as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autorec.run import Run
from autorec.searchers.pareto import front

_TEXTS = ("trial", "kind", "status", "fidelity", "values", "error")
_WHOLE = ("rank", "best_epoch", "parameters", "seeds", "parent", "dense_parameters", "operations", "model_size")
# Columns that are there only if some row has a value for them.
_REPEATED = ("mean_score", "seeds", "parent")
_COSTS = ("dense_parameters", "operations", "model_size", "latency", "ranker")


def leaderboard(directory: str | Path) -> Any:
    """Returns the leaderboard of a run as a Polars frame; see `Recommender.leaderboard`."""
    import polars as pl

    run = Run(directory, read_only=True)
    rows = run.leaderboard()
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    repeated = _REPEATED if any((row["seeds"] or 0) > 1 for row in rows) else ()
    costs = [name for name in _COSTS if any(row.get(name) is not None for row in rows)]
    names = ["rank", "pareto", "trial", "kind", "status", "score", *repeated, *metrics, "fidelity", "best_epoch"]
    names += ["seconds", "parameters", *costs, "values", "error"]
    records = [_record(row, on_front, names) for row, on_front in zip(rows, _front(run, rows))]
    return pl.DataFrame(records, schema={name: _dtype(name) for name in names})


def _dtype(name: str) -> Any:
    import polars as pl

    if name == "pareto":
        return pl.Boolean
    return pl.String if name in _TEXTS else pl.Int64 if name in _WHOLE else pl.Float64


def _front(run: Run, rows: Sequence[dict[str, Any]]) -> Sequence[bool | None]:
    """Returns for each row whether it is on the Pareto front, None where the search has one objective."""
    objectives = (run.config or {}).get("objective")
    if not isinstance(objectives, list) or len(objectives) < 2:
        return [None] * len(rows)
    return front(rows, objectives)


def _record(row: dict[str, Any], on_front: bool | None, names: Sequence[str]) -> dict[str, Any]:
    fidelity = ", ".join(f"{name} {value}" for name, value in row["fidelity"].items())
    error = row["error"]
    shown = {
        "pareto": on_front,
        "trial": str(row["number"]) if row["name"] is None else row["name"],
        "status": row["status"] + (" (cut)" if row["cut"] else ""),
        "fidelity": fidelity or None,
        "values": json.dumps(row["values"]) if row["values"] else None,
        "error": None if error is None else str(error).strip().splitlines()[0],
    }
    known = {**row["metrics"], **row, **shown}
    return {name: known.get(name) for name in names}
