"""A search whose trials are trained at the same time, from the recommender and the command line."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import keras
import polars as pl
import pytest

import autorec as ar
from autorec.cli import main
from autorec.data.demo import click_log
from autorec.errors import ConfigError
from autorec.run import Run

several = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return click_log(rows=2000).frame()


def rows(folder: Path) -> list[dict[str, Any]]:
    """Returns the rows of a run without what a clock gave."""
    found = Run(folder, read_only=True).trials()
    return [{key: value for key, value in row.items() if key not in ("seconds", "latency")} for row in found]


def searched(folder: Path, log: pl.DataFrame, **arguments: Any) -> list[dict[str, Any]]:
    settings = {"target": "click", "space": "fm", "searcher": "random", "max_trials": 4, "epochs": 1, "seed": 3}
    ar.CTRRecommender(directory=folder).search(log, progress=False, baselines=False, **{**settings, **arguments})
    return rows(folder)


class Noisy(keras.callbacks.Callback):
    """Makes rates of its own, and writes down in which process it lives."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_train_begin(self, logs: Any = None) -> None:
        (self.folder / f"{os.getpid()}").touch()


@pytest.mark.long
@several
def test_two_workers_find_the_winner_of_one_at_equal_threads(tmp_path: Path, log: pl.DataFrame) -> None:
    (tmp_path / "seen").mkdir()
    given: dict[str, Any] = {"callbacks": [Noisy(tmp_path / "seen")], "max_latency": 1000.0}
    two = searched(tmp_path / "two", log, workers=2, **given)
    assert len(list((tmp_path / "seen").iterdir())) == 2
    assert not (tmp_path / "seen" / f"{os.getpid()}").exists()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        one = searched(tmp_path / "one", log, executor="processes", **given)
    finally:
        os.sched_setaffinity(0, before)
    assert two == one
    assert all(row["latency"] > 0 for row in Run(tmp_path / "two", read_only=True).trials())


@pytest.mark.long
@several
def test_models_of_other_processes_are_in_the_run_and_can_be_exported(tmp_path: Path, log: pl.DataFrame) -> None:
    rec = ar.CTRRecommender(space="lr", directory=tmp_path / "run")
    events: list[str] = []
    listen = lambda event: events.append(event["event"])  # noqa: E731
    rec.search(log, target="click", max_trials=3, epochs=1, keep=2, workers=2, progress=listen, time_limit="5m")
    assert len(list((tmp_path / "run" / "trials").glob("*/model.keras"))) == 2
    assert not (tmp_path / "run" / ".working").exists()
    assert events.count("epoch") >= 3
    rec.export(tmp_path / "model")
    assert ar.load(tmp_path / "model").evaluate(log)["auc"] > 0.5


@pytest.mark.long
@several
def test_the_command_line_takes_workers_and_repeats_with_others(tmp_path: Path, log: pl.DataFrame) -> None:
    log.write_parquet(tmp_path / "log.parquet")
    common = ["--out", str(tmp_path / "run"), "--quiet"]
    search = ["search", str(tmp_path / "log.parquet"), "--target", "click", "--space", "lr", "--epochs", "1"]
    assert main([*search, "--searcher", "random", "--max-trials", "2", "--workers", "2", *common]) == 0
    config = tmp_path / "run" / "config.json"
    assert "workers" not in json.loads(config.read_text())
    again = ["search", "--config", str(config), "--out", str(tmp_path / "again"), "--quiet"]
    assert main([*again, "--executor", "processes"]) == 0
    assert [row["values"] for row in rows(tmp_path / "again")] == [row["values"] for row in rows(tmp_path / "run")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"workers": 0}, "`workers` must be a whole number of 1 or more"),
        ({"workers": 10_000}, "`workers` must be at most"),
        ({"executor": "cluster"}, "`executor` must be one of"),
        ({"ray_address": "head:6379"}, "`ray_address` must be left out"),
        ({"workers": 2, "options": ar.TrainOptions(strategy="mirrored")}, "`workers` must be left out"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_before_anything_is_written(
    tmp_path: Path, log: pl.DataFrame, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        searched(tmp_path / "run", log, **arguments)
    assert not (tmp_path / "run").exists()


@several
def test_a_space_that_cannot_be_sent_is_refused_before_anything_is_written(tmp_path: Path, log: pl.DataFrame) -> None:
    lock = threading.Lock()
    with pytest.raises(ConfigError, match="`space` must be something that can be sent"):
        searched(tmp_path / "run", log, space=lambda hp: lock, workers=2)
    assert not (tmp_path / "run").exists()
