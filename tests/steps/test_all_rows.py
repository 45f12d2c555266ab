"""All rows of a run as training rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from autorec.config import SearchConfig
from autorec.data.encode import encode
from autorec.data.schema import Schema
from autorec.data.table import as_source
from autorec.errors import TrialFailed
from autorec.steps.all_rows import FOLDER, AllRows
from tests import fitted


def all_rows(place: Path, deadline: float | None = None, validation: Any = None, **more: Any) -> AllRows:
    source = as_source(fitted.clicks().drop("like"))
    held = None if validation is None else as_source(validation)
    schema = Schema.infer(source, target="click")
    like = encode(source, schema, place / "cache", validation=held, statistics="kfold", **more)
    config = SearchConfig(task="ctr", data="", target=["click"], statistics="kfold")
    return AllRows(place, source, held, schema, config, like, lambda event: None, lambda: deadline)


def test_they_are_encoded_once_and_have_the_columns_of_the_trials(tmp_path: Path) -> None:
    rows = all_rows(tmp_path, trees=True)
    cache = rows()
    assert cache.train.rows == 600
    assert cache.layout.groups == rows.like.layout.groups
    assert "margins" in cache.layout.groups
    assert rows() is cache


def test_given_validation_rows_are_among_them(tmp_path: Path) -> None:
    assert all_rows(tmp_path, validation=fitted.clicks(100, 1).drop("like"))().train.rows == 700


def test_nothing_stays_on_disk(tmp_path: Path) -> None:
    rows = all_rows(tmp_path)
    rows()
    (tmp_path / f".{FOLDER}.1.partial").mkdir()
    rows.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_columns_that_there_is_no_time_for_fail_the_refit(tmp_path: Path) -> None:
    with pytest.raises(TrialFailed, match="no time to make the columns .*margin\\(click\\), leaves of all rows"):
        all_rows(tmp_path, deadline=time.monotonic(), trees=True)()
