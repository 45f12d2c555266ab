"""Columns that stand in the names of folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from autorec.data.inference import infer
from autorec.data.partitions import Partitions
from autorec.data.table import as_source

FRAME = pd.DataFrame(
    {
        "x": np.arange(6.0),
        "day": ["a/b", "c=d", "a/b", None, "c=d", "ö"],
        "hour": [7, 7, 12, 12, 7, 7],
        "click": [0, 1, 0, 1, 0, 1],
    }
)


def written(folder: Path, *names: str, frame: pd.DataFrame = FRAME) -> Path:
    frame.to_parquet(folder / "log", partition_cols=list(names))
    return folder / "log"


def rows_of(data: Any, names: list[str], size: int = 4) -> list[tuple[Any, ...]]:
    found = []
    for batch in as_source(data).batches(names, size):
        assert batch.schema.names == names
        found += list(zip(*(column.to_pylist() for column in batch.columns)))
    return found


def test_a_folder_called_key_and_value_is_a_column_of_its_rows(tmp_path: Path) -> None:
    path = written(tmp_path, "day", "hour")
    source = as_source(path)
    assert {field.name: field.type for field in source.schema} == {
        "x": pa.float64(),
        "click": pa.int64(),
        "day": pa.string(),
        "hour": pa.int64(),
    }
    expected = sorted(rows_of({name: FRAME[name].tolist() for name in FRAME}, ["hour", "x", "day"]))
    assert sorted(rows_of(path, ["hour", "x", "day"])) == expected
    assert sorted(hour for (hour,) in rows_of(path, ["hour"])) == [7, 7, 7, 7, 12, 12]
    assert set(infer(path, target="click").names) == {"x", "day", "hour"}


def test_samples_of_many_files_hold_these_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame({"k": np.arange(400) % 20, "x": np.arange(400) % 20, "click": np.arange(400) % 2})
    sample = as_source(written(tmp_path, "k", frame=frame)).sample(["k", "x"], 100)
    assert sample.num_rows > 20
    assert sample.column("k").to_pylist() == sample.column("x").to_pylist()


def test_one_value_that_is_no_whole_number_makes_text(tmp_path: Path) -> None:
    paths = [tmp_path / f"k={value}" / "x.parquet" for value in ("7", "-3", "08")]
    assert Partitions(tmp_path, paths, []).fields == [pa.field("k", pa.int64())]
    for other in ("7.5", "9223372036854775808", "x"):
        paths[0] = tmp_path / f"k={other}" / "x.parquet"
        assert Partitions(tmp_path, paths, []).fields == [pa.field("k", pa.string())]


def test_numbers_can_be_read_as_they_are_written(tmp_path: Path) -> None:
    for value in ("07", "8"):
        (tmp_path / f"k={value}").mkdir()
        pq.write_table(pa.table({"x": [1.5]}), tmp_path / f"k={value}" / "x.parquet")
    source = as_source(tmp_path)
    assert source.read_as_text("k")
    assert [batch.column(0).to_pylist() for batch in source.batches(["k"])] == [["07"], ["8"]]


def test_a_file_that_no_such_folder_holds_misses_the_value(tmp_path: Path) -> None:
    (tmp_path / "k=1").mkdir()
    for path in (tmp_path / "k=1" / "x.parquet", tmp_path / "z.parquet"):
        pq.write_table(pa.table({"x": [1.5]}), path)
    assert rows_of(tmp_path, ["k", "x"]) == [(1, 1.5), (None, 1.5)]


def test_a_column_that_the_files_hold_too_is_read_from_them(tmp_path: Path) -> None:
    (tmp_path / "k=1").mkdir()
    pq.write_table(pa.table({"k": ["one"]}), tmp_path / "k=1" / "x.parquet")
    assert rows_of(tmp_path, ["k"]) == [("one",)]


def test_the_fingerprint_depends_on_the_folders_names(tmp_path: Path) -> None:
    path = written(tmp_path, "hour")
    first = as_source(path).fingerprint()
    assert as_source(path).fingerprint() == first
    (path / "hour=7").rename(path / "hour=8")
    assert as_source(path).fingerprint() != first
