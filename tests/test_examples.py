"""Every example runs as it is, in under a minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples"
EXAMPLES = (
    "calibration",
    "ensemble",
    "evolution",
    "latency_budget",
    "million_ids",
    "own_callback",
    "own_schema",
    "own_searcher",
    "own_space",
    "parallel",
    "preset_in_keras",
    "quickstart",
    "ratings",
    "ray_cluster",
    "residual_dcn",
    "several_targets",
    "several_workers",
    "sharpness_images",
    "sharpness_recommender",
    "transfer",
)


def test_every_example_is_run() -> None:
    assert tuple(sorted(path.stem for path in FOLDER.glob("*.py"))) == EXAMPLES


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_in_under_a_minute(name: str, tmp_path: Path) -> None:
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(FOLDER / f"{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=quiet)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "rmse" in done.stdout or "AUC" in done.stdout or "auc" in done.stdout
    assert "Warning" not in done.stderr
    assert not list(tmp_path.iterdir())
