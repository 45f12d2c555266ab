"""The leaderboard of a run as a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autorec.run import Run


def leaderboard(directory: str | Path) -> Any:
    """Returns the leaderboard of a run as a Polars frame; see `Recommender.leaderboard`."""
    import polars as pl

    rows = Run(directory, read_only=True).leaderboard()
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    records = [_record(row, names) for row in rows]
    texts = ("trial", "kind", "status", "fidelity", "values", "error")
    whole = ("rank", "best_epoch", "parameters")
    columns = ["rank", "trial", "kind", "status", "score", *names, "fidelity", "best_epoch", "seconds", "parameters"]
    kinds = {
        name: pl.String if name in texts else pl.Int64 if name in whole else pl.Float64
        for name in (*columns, "values", "error")
    }
    return pl.DataFrame(records, schema=kinds)


def _record(row: dict[str, Any], metrics: list[str]) -> dict[str, Any]:
    fidelity = ", ".join(f"{name} {value}" for name, value in row["fidelity"].items())
    error = row["error"]
    return {
        "rank": row["rank"],
        "trial": str(row["number"]) if row["name"] is None else row["name"],
        "kind": row["kind"],
        "status": row["status"] + (" (cut)" if row["cut"] else ""),
        "score": row["score"],
        **{name: row["metrics"].get(name) for name in metrics},
        "fidelity": fidelity or None,
        "best_epoch": row["best_epoch"],
        "seconds": row["seconds"],
        "parameters": row["parameters"],
        "values": json.dumps(row["values"]) if row["values"] else None,
        "error": None if error is None else str(error).strip().splitlines()[0],
    }
