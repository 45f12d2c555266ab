"""Data that cannot be used is refused with the place, what is allowed and what was received."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autorec.data.checks import check_same_columns, check_targets
from autorec.data.encode import encode
from autorec.data.inference import infer
from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import DataError

GOOD = {"city": ["a", "b", "a", "b"], "price": [0.5, 1.5, 2.5, 3.5], "click": [0, 1, 1, 0]}


def all_checks(data: Any, target: str = "click") -> None:
    """What a search does before any training."""
    source = as_source(data)
    schema = infer(source, target=target)
    check_same_columns(schema, source)
    check_targets(source, schema, "ctr")


def refused(data: Any, *words: str, target: str = "click") -> None:
    with pytest.raises(DataError) as caught:
        all_checks(data, target)
    for word in words:
        assert word in str(caught.value)


def test_good_data_passes() -> None:
    all_checks(GOOD)


def test_a_missing_target_is_named_with_the_columns_and_the_nearest_name() -> None:
    place = "file 'dict', column 'clik'"
    refused(GOOD, place, "missing target", "['city', 'price', 'click']", "'click'", target="clik")


def test_a_target_with_three_classes_shows_them() -> None:
    refused({**GOOD, "click": [0, 1, 2, 1]}, "column 'click'", "two classes 0 and 1", "got 3 values: 0, 1, 2")


def test_a_constant_target_is_refused() -> None:
    refused({**GOOD, "click": [1, 1, 1, 1]}, "file 'dict'", "column 'click'", "constant", "1")


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.parquet", "x.csv.gz"])
def test_an_empty_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    refused(tmp_path / name, f"{tmp_path / name}", "empty")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("city,click\n")
    pl.DataFrame(GOOD).head(0).write_parquet(tmp_path / "x.parquet")
    for data in (tmp_path / "x.csv", tmp_path / "x.parquet", pl.DataFrame(GOOD).head(0), pd.DataFrame(GOOD).head(0)):
        refused(data, "no rows")


def test_an_all_missing_column_is_left_out_and_refused_if_it_is_all_there_is() -> None:
    assert infer({**GOOD, "none": [None] * 4}, target="click").names == ["city", "price"]
    refused({"none": [None] * 4, "click": [0, 1, 0, 1]}, "no feature", "`none` has no value in any row")


def test_mixed_types_name_the_row_and_both_values() -> None:
    frame = pd.DataFrame({"x": pd.Series([1, None, 2.5, "oops"], dtype=object), "click": [0, 1, 1, 0]})
    place = "file 'pandas.DataFrame', row 3, column 'x'"
    refused(frame, place, "mixed types", "'oops' is text", "1 in row 0 is a number")


def test_text_among_the_fractions_of_a_text_file_names_the_line(tmp_path: Path) -> None:
    rows = [f"{i}.5,{i % 2}" for i in range(2_000)]
    rows[1_500] = "oops,1"
    (tmp_path / "x.csv").write_text("\n".join(["price,click", *rows]))
    refused(tmp_path / "x.csv", "x.csv', row 1502, column 'price'", "mixed types", "'oops'")


def test_infinity_names_row_and_column() -> None:
    refused({**GOOD, "price": [0.5, 1.0, np.inf, 2.0]}, "row 2, column 'price'", "finite", "got inf")


def test_duplicate_column_names_are_refused_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b,a,click\n1,2,3,0\n")
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    pq.write_table(table, tmp_path / "x.parquet")
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    for data in (tmp_path / "x.csv", tmp_path / "x.parquet", table, frame):
        refused(data, "column 'a'", "unique")


def test_columns_of_test_data_must_be_there_and_of_their_type() -> None:
    schema = infer(GOOD, target="click")
    with pytest.raises(DataError, match="file 'dict', column 'price': the column is absent.*expects numbers"):
        check_same_columns(schema, as_source({"city": ["a"]}))
    with pytest.raises(DataError, match="column 'price': the schema expects numbers, got text"):
        check_same_columns(schema, as_source({"city": ["a"], "price": ["cheap"]}))


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame(GOOD).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    refused(path, str(path), "not a whole Parquet file")


def test_a_parquet_file_damaged_inside_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"x": np.random.default_rng(0).random(50_000), "click": np.arange(50_000) % 2}), path)
    raw = bytearray(path.read_bytes())
    raw[4:2_000] = bytes(1_996)
    path.write_bytes(bytes(raw))
    refused(path, str(path), "damaged")


def test_a_truncated_gzip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    text = "x,click\n" + "".join(f"{value},1\n" for value in np.random.default_rng(0).random(20_000))
    path.write_bytes(gzip.compress(text.encode())[:-500])
    refused(path, str(path), "cannot be read")


def test_a_line_with_another_number_of_fields_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,click\n1,0\n2,1\n3,1,9\n4,0\n")
    refused(tmp_path / "x.csv", "x.csv', row 4", "2 fields", "this one has 3")


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,0,2.5\n2,1,3.5\n")
    refused(tmp_path / "x.csv", "row 1", "must name the columns", "'1'")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"caf\xe9,click\n1,0\n")
    refused(tmp_path / "x.csv", "x.csv", "UTF-8")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path / "absent.parquet", "no such file or folder"),
        (lambda path: path, "holds no .parquet file"),
        (lambda path: Path(__file__), "must end in .parquet, .csv"),
    ],
)
def test_a_path_that_is_no_table_is_refused(make: Callable[[Path], Path], words: str, tmp_path: Path) -> None:
    refused(make(tmp_path), str(make(tmp_path)), words)


def test_files_of_a_folder_must_agree(tmp_path: Path) -> None:
    pl.DataFrame(GOOD).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({**GOOD, "price": ["x"] * 4}).write_parquet(tmp_path / "b.parquet")
    refused(tmp_path, "b.parquet', column 'price'", "same types", "double")
    pl.DataFrame(GOOD).drop("price").write_parquet(tmp_path / "b.parquet")
    refused(tmp_path, "b.parquet', column 'price'", "same columns")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": [1, 2], "b": [1, 2, 3]}, "column 'b': all columns must be of equal length; 'a' has 2 rows, this one 3"),
        ({"a": np.ones((2, 2))}, "column 'a': a column must have one dimension, got shape (2, 2)"),
        (np.ones(3), "two dimensions (rows, columns), got shape (3,)"),
    ],
)
def test_arrays_must_have_one_length_and_shape(data: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        as_source(data)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("y", "target", "words"),
    [
        ([0, 1], "y", "a value for each of the 4 rows, got 2"),
        ([0, 1, 0, 1], "click", "column 'click': `y` was given"),
        (np.ones((4, 2)), "y", "one column, got shape (4, 2)"),
    ],
)
def test_y_must_fit_the_rows(y: Any, target: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        as_source(GOOD, y, target)
    assert words in str(caught.value)


def test_a_full_disk_is_a_data_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("autorec.data.cache.PartWriter.append", full)
    schema = Schema([Feature("city", "categorical")], ["click"])
    with pytest.raises(DataError, match="the disk is full"):
        encode(as_source(GOOD), schema, tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []
