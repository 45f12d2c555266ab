"""The baselines of a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from autorec.data.cache import Cache
from autorec.run import Run
from autorec.steps.clock import Clock
from autorec.steps.simple_models import train_baselines
from tests import fitted


@pytest.fixture(scope="module")
def cache() -> Cache:
    """The encoded rows of a small run."""
    return Cache.open(fitted.single().directory_ / "cache")


def baselines(folder: Path, cache: Cache, clock: Clock) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    with Run(folder) as run:
        train_baselines(run, cache, objective="val_auc", seed=0, clock=clock, emit=events.append)
        return events, run.baselines()


def test_each_is_written_down_and_told_once(tmp_path: Path, cache: Cache) -> None:
    told, rows = baselines(tmp_path, cache, Clock())
    assert [event["name"] for event in told] == [row["name"] for row in rows]
    assert baselines(tmp_path, cache, Clock()) == ([], rows)


def test_what_there_is_no_time_for_is_a_failed_row(tmp_path: Path, cache: Cache) -> None:
    _, rows = baselines(tmp_path, cache, Clock(limit=1e-3, begin=time.monotonic() - 1))
    assert {row["error"] for row in rows} == {"no time was left"}
    completed, all_rows = baselines(tmp_path, cache, Clock())  # with time they are trained
    assert [event["status"] for event in completed] == ["completed"] * 3
    assert all_rows == baselines(tmp_path, cache, Clock())[1]
    assert {row["status"] for row in all_rows} == {"completed"}
