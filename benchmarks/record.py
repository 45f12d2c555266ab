"""Records: finished cells in a CSV, figures and context in a JSON, targets beside them."""

from __future__ import annotations

import argparse
import csv
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autorec.errors import require

ROOT = Path(__file__).resolve().parent.parent
RECORDS = Path(__file__).resolve().parent / "records"
TARGETS = Path(__file__).resolve().parent / "targets.toml"
COLUMNS = ("method", "configuration", "seed", "run", "commit", "seconds", "figures")
PACKAGES = ("tensorflow", "keras", "keras-tuner", "numpy", "polars", "pyarrow", "lightgbm", "scikit-learn")


def arguments(description: str, **extra: Mapping[str, Any]) -> argparse.Namespace:
    """Parses `--quick` and the benchmark's own options."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="at most 3 minutes, same keys, nothing recorded")
    for name, settings in extra.items():
        parser.add_argument(f"--{name}", **settings)
    return parser.parse_args()


def need_data() -> None:
    """Ends the process with a sentence where AUTOREC_DATA does not name a folder, or pandas is not there."""
    require("pandas", "dev", "This benchmark")
    if not os.path.isdir(os.environ.get("AUTOREC_DATA", "")):
        sys.exit("this benchmark needs real data sets: let AUTOREC_DATA name the folder that holds them")


def alone(benchmark: str, **cell: Any) -> dict[str, Any]:
    """Returns the figures of a cell that `python -m benchmarks.NAME --cell JSON` measures in a process of its own.

    Args:
        benchmark: Name of the benchmark, whose last line of output is the figures as JSON.
        **cell: The cell.
    """
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--cell", json.dumps(cell)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"the process of {cell} ended with status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def commit() -> str:
    """Returns the commit that is checked out, `unknown` without git."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True, cwd=RECORDS
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def context(**more: Any) -> dict[str, Any]:
    """Returns where, when and with what a record was made."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_processor()}",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
        "command": " ".join(["python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]]),
        **more,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


class Cells:
    """Finished cells of a benchmark, one CSV row each; a cell that is already there is not run again.

    Args:
        name: Name of the benchmark; the file is `records/NAME.csv`.
        method: Number of the method, raised when it changes, so that older cells no longer count.
        quick: Keep the cells in memory only.
    """

    def __init__(self, name: str, method: int, quick: bool = False) -> None:
        self.method = method
        self.path = None if quick else RECORDS / f"{name}.csv"
        self.rows: list[dict[str, str]] = []
        if self.path is not None and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["method"]) == method]

    def find(self, configuration: Mapping[str, Any], seed: int, run: int = 1) -> dict[str, Any] | None:
        """Returns a finished cell's figures, None if it is not there."""
        key = json.dumps(configuration, sort_keys=True)
        for row in self.rows:
            if row["configuration"] == key and int(row["seed"]) == seed and int(row["run"]) == run:
                return {"seconds": float(row["seconds"]), **json.loads(row["figures"])}
        return None

    def get(
        self, configuration: Mapping[str, Any], seed: int, measure: Callable[[], Mapping[str, Any]], run: int = 1
    ) -> dict[str, Any]:
        """Returns a cell's figures, running `measure` and appending the row if it is not there."""
        found = self.find(configuration, seed, run)
        if found is not None:
            return found
        start = time.perf_counter()
        figures = dict(measure())
        row = {
            "method": str(self.method),
            "configuration": json.dumps(configuration, sort_keys=True),
            "seed": str(seed),
            "run": str(run),
            "commit": commit(),
            "seconds": f"{time.perf_counter() - start:.2f}",
            "figures": json.dumps(figures, sort_keys=True),
        }
        self._append(row)
        print(f"{row['configuration']} seed {seed}: {row['figures']} in {row['seconds']} s", flush=True)
        return {"seconds": float(row["seconds"]), **figures}

    def _append(self, row: dict[str, str]) -> None:
        self.rows.append(row)
        if self.path is None:
            return
        self.path.parent.mkdir(exist_ok=True)
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)


def finish(name: str, figures: Mapping[str, Any], quick: bool, **more: Any) -> None:
    """Says which targets hold, records a full run, and prints the figures as the last line."""
    targets = tomllib.loads(TARGETS.read_text(encoding="utf-8")).get(name, {})
    for key, bound in targets.items():
        value = figures.get(key)
        holds = value is not None and value <= bound.get("max", value) and value >= bound.get("min", value)
        print(f"{'holds' if holds else 'MISSED':6} {key} = {value} (target {bound})")
    if not quick:
        RECORDS.mkdir(exist_ok=True)
        record = {"figures": dict(figures), "context": context(**more)}
        (RECORDS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(dict(figures)))
