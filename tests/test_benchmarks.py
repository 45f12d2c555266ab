"""Each benchmark runs, and prints the figures that its targets name."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from autorec.training.options import TrainOptions
from benchmarks import recipe
from benchmarks.record import Cells

ROOT = Path(__file__).resolve().parent.parent
TARGETS = tomllib.loads((ROOT / "benchmarks" / "targets.toml").read_text(encoding="utf-8"))


def quick(name: str) -> dict[str, float]:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["calibration", "demo", "ingest", "multi_task", "parallel", "search_overhead", "sharpness_cost"]
)
def test_a_quick_run_prints_every_figure_of_the_targets(name: str) -> None:
    assert set(TARGETS[name]) <= set(quick(name))


@pytest.mark.long
@pytest.mark.parametrize("name", ["automl", "recipe", "transfer"])
def test_a_quick_run_on_real_data_prints_every_figure_of_the_targets(name: str, real_data: Path) -> None:
    assert set(TARGETS[name]) <= set(quick(name))


def test_the_record_of_the_recipe_is_found_by_todays_options() -> None:
    cells = Cells("recipe", recipe.METHOD, quick=False)
    for variant, fields in recipe.VARIANTS.items():
        wanted = recipe.configuration("frappe", TrainOptions(**fields))
        assert cells.find(wanted, 0) is not None, variant
