"""What one run gives to another."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from autorec.errors import ConfigError
from autorec.run import Run
from autorec.transfer import best_architectures, get_warm_start


def run_with(folder: Path, *rows: dict[str, Any]) -> Path:
    with Run(folder) as run:
        run.append({"event": "search", "direction": "max"})
        for number, row in enumerate(rows):
            started = {"values": row["values"], "fidelity": row.get("fidelity", {}), "seed": 1}
            finished = {"status": "completed", "metrics": {}, **row}
            run.append({"event": "started", "number": number, **started})
            run.append({"event": "finished", "number": number, **finished})
    return folder


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A run of five trials."""
    return run_with(
        tmp_path / "other",
        {"values": {"a": 1, "train/rate": 0.1}, "score": 0.6},
        {"values": {"a": 1, "train/rate": 0.2}, "score": 0.7},
        {"values": {"a": 2, "fidelity/rows": 10}, "score": 0.9, "fidelity": {"rows": 10}},
        {"values": {"a": 3}, "score": None, "status": "failed", "error": "no"},
        {"values": {"a": 4}, "score": 0.65},
    )


def test_the_best_that_differ_in_more_than_the_recipe_come_first_in_full(other: Path) -> None:
    assert best_architectures(other) == [{"a": 1, "train/rate": 0.2}, {"a": 4}, {"a": 2}]
    assert best_architectures(other, 1) == [{"a": 1, "train/rate": 0.2}]


def test_a_run_without_a_trained_trial_gives_nothing(tmp_path: Path) -> None:
    folder = run_with(tmp_path / "run", {"values": {"a": 3}, "score": None, "status": "failed"})
    with pytest.raises(ConfigError, match="`warm_start` must be the directory of a run with a trained trial"):
        best_architectures(folder)


def test_a_warm_start_is_kept_with_its_values(other: Path, tmp_path: Path) -> None:
    found = get_warm_start(str(other), tmp_path / "mine")
    assert found == {"run": str(other), "trials": best_architectures(other)}
    assert get_warm_start(found, tmp_path / "mine") == found
    assert get_warm_start(None, tmp_path / "mine") is None


def test_a_run_that_began_warm_does_not_need_the_other_one(other: Path, tmp_path: Path) -> None:
    found = get_warm_start(other, tmp_path / "mine")
    with Run(tmp_path / "mine") as run:
        run.write_config({"warm_start": found})
    shutil.rmtree(other)
    assert get_warm_start(other, tmp_path / "mine") == found


@pytest.mark.parametrize(
    ("value", "words"), [(3, "got 3"), ("nowhere", "It holds no journal.jsonl"), ("mine", "A run goes on by itself")]
)
def test_anything_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"`warm_start` must be the directory of another run.*{words}"):
        get_warm_start(value, Path("mine"))
