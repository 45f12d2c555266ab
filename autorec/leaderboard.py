"""The leaderboard of a run as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autorec.run import Run
from autorec.searchers.pareto import front

_TEXTS = ("trial", "kind", "status", "calibrated", "fidelity", "values", "error")
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
    calibration = run.calibration
    calibrated = [] if calibration is None else ["calibrated"]
    names = ["rank", "pareto", "trial", "kind", "status", *calibrated]
    names += ["score", *repeated, *metrics, "fidelity", "best_epoch"]
    names += ["seconds", "parameters", *costs, "values", "error"]
    if calibration is not None:
        rows = [{**row, "calibrated": _methods(calibration) if _is_of(calibration, row) else None} for row in rows]
    records = [_record(row, on_front, names) for row, on_front in zip(rows, _front(run, rows))]
    return pl.DataFrame(records, schema={name: _dtype(name) for name in names})


def _is_of(calibration: dict[str, Any], row: dict[str, Any]) -> bool:
    """Returns whether a row is the model that was calibrated."""
    made = {"ensemble": row["folder"]} if row["kind"] == "ensemble" else {"trial": row["number"]}
    return {name: value for name, value in calibration["of"].items() if name != "refit"} == made


def _methods(calibration: dict[str, Any]) -> str:
    """Returns the methods of a calibration, each once."""
    methods = ", ".join(dict.fromkeys(told["method"] for told in calibration["targets"].values()))
    return methods if calibration["by"] is None else f"{methods} by {calibration['by']}"


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
