"""The main job as a newcomer runs it: how long it takes, and how much of the gap to the best possible AUC it closes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.record import Cells, arguments, finish

METHOD = 1
SEEDS = (0, 1, 2)
# In a process of its own, so that the import of TensorFlow counts.
CODE = "import json, sys; from autorec.demo import run; print(json.dumps(run(**json.loads(sys.argv[1]))))"


def measure(seed: int, quick: bool) -> dict[str, Any]:
    settings = {"seed": seed} | ({"rows": 20_000, "time_limit": "20s"} if quick else {})
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", CODE, json.dumps({**settings, "directory": folder})],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=os.environ,
        )
    found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "wall_seconds": time.perf_counter() - begin}


def main() -> None:
    options = arguments(__doc__ or "")
    cells = Cells("demo", METHOD, options.quick)
    seeds = SEEDS[:1] if options.quick else SEEDS
    found = [cells.get({"demo": "default"}, seed, lambda seed=seed: measure(seed, options.quick)) for seed in seeds]
    figures = {
        "gap_closed": min(row["gap_closed"] for row in found),
        "gap_closed_mean": sum(row["gap_closed"] for row in found) / len(found),
        "seconds": max(row["wall_seconds"] for row in found),
    }
    finish("demo", figures, options.quick, seeds=list(seeds))


if __name__ == "__main__":
    main()
