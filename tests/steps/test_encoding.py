"""The encoded rows of a run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from autorec.config import SearchConfig
from autorec.data.cache import Cache
from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import ConfigError, DataError
from autorec.steps.clock import Clock
from autorec.steps.encoding import check_encoded, encoded
from autorec.training.workers import Workers

SCHEMA = Schema([Feature("a", "categorical"), Feature("c", "categorical")], targets=["y"], pairs=[("a", "c")])


def rows(**columns: Any) -> Any:
    plain = {"a": ["x", "y", "z", "x"] * 10, "c": ["u", "v"] * 20, "y": [0, 1, 1, 0] * 10}
    return as_source(pl.DataFrame(plain).with_columns(**{name: _column(given) for name, given in columns.items()}))


def _column(values: Any) -> Any:
    return pl.Series(values) if isinstance(values, list) else pl.lit(values)


def encode(place: Path, events: list[dict[str, Any]], source: Any = None, clock: Clock | None = None) -> Cache:
    config = SearchConfig("ctr", "rows", ["y"], fraction=0.5)
    about: dict[str, Any] = {"config": config, "workers": Workers(), "clock": clock or Clock(), "emit": events.append}
    place.mkdir(exist_ok=True)
    return encoded(place, source or rows(), SCHEMA, None, **about)


def test_rows_are_encoded_once(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    first = encode(tmp_path, events)
    assert {"event": "encoded", "train": 20, "validation": 20}.items() <= events[-1].items()
    count = len(events)
    assert encode(tmp_path, events).fingerprint == first.fingerprint
    assert len(events) == count


def test_what_a_killed_encoding_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".cache.123.partial").mkdir()
    encode(tmp_path, [])
    assert not (tmp_path / ".cache.123.partial").exists()


def test_pairs_for_which_there_is_no_time_are_left_out(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    cache = encode(tmp_path, events, clock=Clock(limit=1e-3, begin=time.monotonic() - 1))
    assert cache.layout.pairs == ()
    assert any("pairs of columns: the time for them is over" in event.get("text", "") for event in events)


@pytest.mark.parametrize(("training", "validation"), [(0.0, 1.0), (1.0, 0.0)])
def test_a_part_whose_weights_are_all_0_is_refused(tmp_path: Path, training: float, validation: float) -> None:
    schema = replace(SCHEMA, weight="w")
    config = SearchConfig("ctr", "rows", ["y"])
    about: dict[str, Any] = {"config": config, "workers": Workers(), "clock": Clock(), "emit": lambda event: None}
    cache = encoded(tmp_path, rows(w=training), schema, rows(w=validation), **about)
    name = "validation" if training else "training"
    with pytest.raises(DataError, match=f"all 40 {name} rows have the weight 0; give more rows"):
        check_encoded(cache, "ctr", "val_auc", rows())


@pytest.mark.parametrize(
    ("labels", "task", "objective", "error", "words"),
    [
        ([0, 1, 1, 0] * 10, "rating", "val_rmse", DataError, "other values than 0 and 1"),
        ([0] * 40, "ctr", "val_auc", DataError, "training rows have only the value 0"),
        ([0, 1, 1, 0] * 10, "ctr", "val_gauc", ConfigError, "`objective` must be one of"),
    ],
)
def test_what_only_encoded_rows_tell_is_checked(
    tmp_path: Path, labels: list[int], task: str, objective: str, error: type[Exception], words: str
) -> None:
    source = rows(y=labels)
    with pytest.raises(error, match=words):
        check_encoded(encode(tmp_path, [], source), task, objective, source)
