"""Every form of a table becomes a source that streams the same batches."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from autorec.data.demo import click_log
from autorec.data.source import Source
from autorec.data.table import as_source
from autorec.errors import ConfigError, DataError

COLUMNS = {
    "user": [3, 1, 2, 3, 1],
    "city": ["Oslo", "", "Rome", "Oslo", "Bonn"],
    "price": [1.5, 2.0, None, -4.25, 0.0],
    "day": [datetime(2024, 1, day) for day in (1, 2, 3, 4, 5)],
    "tags": [[1, 2], [], [3], [1], [2]],
}
FLAT = {name: values for name, values in COLUMNS.items() if name != "tags"}


def rows_of(source: Source, rows: int = 2) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {name: [] for name in source.schema.names}
    for batch in source.batches(source.schema.names, rows):
        assert batch.num_rows <= rows
        for name, array in zip(batch.schema.names, batch.columns):
            found[name].extend(array.to_pylist())
    return found


def in_folder(path: Path) -> Path:
    folder = path / "parts"
    folder.mkdir()
    table = pa.table(COLUMNS)
    pq.write_table(table.slice(0, 3), folder / "a.parquet")
    pq.write_table(table.slice(3), folder / "b.parquet")
    (folder / "_SUCCESS").write_text("")
    return folder


def in_file(path: Path) -> Path:
    pq.write_table(pa.table(COLUMNS), path / "rows.parquet", row_group_size=2)
    return path / "rows.parquet"


def as_dataset(path: Path) -> ds.Dataset:
    return ds.dataset(in_file(path))


FORMS: dict[str, Callable[[Path], Any]] = {
    "dict": lambda path: COLUMNS,
    "pandas": lambda path: pd.DataFrame({**COLUMNS, "tags": pd.Series(COLUMNS["tags"], dtype=object)}),
    "polars": lambda path: pl.DataFrame(COLUMNS),
    "lazy": lambda path: pl.LazyFrame(COLUMNS),
    "arrow": lambda path: pa.table(COLUMNS),
    "record batch": lambda path: pa.table(COLUMNS).to_batches()[0],
    "dataset": as_dataset,
    "parquet": in_file,
    "folder": in_folder,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows_and_types(form: str, tmp_path: Path) -> None:
    source = as_source(FORMS[form](tmp_path))
    expected = [pa.int64(), pa.string(), pa.float64(), pa.timestamp("us"), pa.list_(pa.int64())]
    assert source.schema.types == expected
    assert source.rows == 5
    assert rows_of(source) == COLUMNS


def test_a_query_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []

    def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
        runs.append(len(frame))
        return frame.sample(fraction=1.0, shuffle=True, seed=len(runs))

    source = as_source(pl.LazyFrame({"x": range(1000), "y": range(1000)}).map_batches(shuffled))
    read = [next(iter(source.batches([name], 1000))).column(0).to_pylist() for name in ("x", "y")]
    assert read[0] == read[1] != list(range(1000))
    assert runs == [1000]


def test_a_query_that_fails_is_an_error_in_the_data() -> None:
    with pytest.raises(DataError, match=r"polars.LazyFrame': the query fails: .*nope"):
        as_source(pl.LazyFrame({"x": [1]}).select("nope"))


def test_a_dataset_is_told_from_its_filtered_rows_and_from_other_partitions(tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"day={day}").mkdir()
        pq.write_table(pa.table({"x": [1, 2, 3]}), tmp_path / f"day={day}" / "part.parquet")
    whole = ds.dataset(tmp_path, partitioning="hive")
    few = whole.filter(ds.field("x") < 3)
    fewer = whole.filter(ds.field("x") < 2)
    prints = [as_source(each).fingerprint() for each in (whole, few, fewer)]
    assert len(set(prints)) == 3
    assert as_source(whole.filter(ds.field("x") < 3)).fingerprint() == prints[1]
    (tmp_path / "day=2").rename(tmp_path / "day=3")
    assert as_source(ds.dataset(tmp_path, partitioning="hive")).fingerprint() != prints[0]


@pytest.mark.parametrize("target", [None, "y"])
def test_labels_of_a_type_that_cannot_be_read_are_refused(target: str | None) -> None:
    labels = pa.array([1, 2], pa.duration("s"))
    with pytest.raises(DataError, match=r"'y', .*duration"):
        as_source({"x": [1, 2]}, labels, target)


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".csv", ";"), (".tsv", "\t"), (".csv.gz", ",")])
def test_text_files_give_the_same_rows_and_types(suffix: str, delimiter: str, tmp_path: Path) -> None:
    text = pl.DataFrame(FLAT).write_csv(separator=delimiter, quote_style="never")
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith(".gz") else text.encode())
    source = as_source(str(path))
    assert source.schema.types == [pa.int64(), pa.string(), pa.float64(), pa.timestamp("us")]
    assert source.rows == 5
    assert rows_of(source) == FLAT


def test_columns_come_in_the_order_asked_for() -> None:
    (batch,) = as_source(COLUMNS).batches(["price", "user"])
    assert batch.schema.names == ["price", "user"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([True, None]), [1, None]),
        (pa.array([Decimal("1.5"), None]), [1.5, None]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array([b"a", None]), ["a", None]),
        (pa.array([date(2024, 1, 2), None]), [datetime(2024, 1, 2), None]),
        (pa.array([datetime(2024, 1, 2, tzinfo=UTC), None]), [datetime(2024, 1, 2), None]),
        (pa.array([["a"], None], pa.large_list(pa.string())), [["a"], None]),
        (pa.array([["a", "b"], None], pa.list_(pa.dictionary(pa.int32(), pa.string()))), [["a", "b"], None]),
        (pa.array([7, 2**40], pa.uint64()), [7, 2**40]),
        (pa.array([7, 2**64 - 1], pa.uint64()), ["7", str(2**64 - 1)]),
        (pa.nulls(2), [None, None]),
        (pa.array([[], None], pa.list_(pa.null())), [None, None]),
        (pa.array([[None], []], pa.large_list(pa.null())), [None, None]),
    ],
)
def test_other_types_become_one_of_the_few(values: pa.Array, expected: list[Any]) -> None:
    assert rows_of(as_source(pa.table({"x": values})))["x"] == expected


def test_unsigned_numbers_in_parquet_are_text_only_if_they_do_not_fit(tmp_path: Path) -> None:
    table = pa.table({"small": pa.array([1], pa.uint64()), "large": pa.array([2**63], pa.uint64())})
    pq.write_table(table, tmp_path / "x.parquet")
    assert rows_of(as_source(tmp_path / "x.parquet")) == {"small": [1], "large": [str(2**63)]}


def test_text_stays_a_dictionary_where_it_is_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"city": ["a", "b", "a"]}), tmp_path / "x.parquet")
    (batch,) = as_source(tmp_path / "x.parquet").batches(["city"])
    assert batch.column(0).type == pa.dictionary(pa.int32(), pa.string())


def test_a_pandas_category_of_numbers_is_declared_categorical() -> None:
    source = as_source(pd.DataFrame({"x": pd.Categorical([10, 20, 10])}))
    assert rows_of(source) == {"x": [10, 20, 10]}
    assert source.schema.field("x").metadata == {b"kind": b"categorical"}


def test_a_column_of_a_type_that_cannot_be_read_is_left_out_with_a_note() -> None:
    source = as_source(pa.table({"x": [1], "point": [{"a": 1}]}))
    assert source.schema.names == ["x"]
    with pytest.raises(DataError, match="column 'point'.*struct.*cannot be read"):
        list(source.batches(["point"]))


def test_a_matrix_and_y_make_numbered_columns_and_a_target() -> None:
    source = as_source(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1]))
    assert rows_of(source) == {"x0": [1.0, 3.0], "x1": [2.0, 4.0], "target": [0, 1]}


@pytest.mark.parametrize(("target", "expected"), [(None, "liked"), ("click", "click"), (["click"], "click")])
def test_y_is_called_as_the_caller_or_the_series_says(target: Any, expected: str) -> None:
    source = as_source(pd.DataFrame({"a": ["u", "v"]}), pd.Series([True, False], name="liked"), target)
    assert rows_of(source)[expected] == [1, 0]


def test_y_follows_the_rows_of_a_file_in_any_batches(tmp_path: Path) -> None:
    source = as_source(in_file(tmp_path), list(range(5)), "y")
    assert [batch.column(0).to_pylist() for batch in source.batches(["y", "user"], 2)] == [[0, 1], [2, 3], [4]]
    assert rows_of(source)["y"] == list(range(5))


def test_a_click_log_is_a_source() -> None:
    log = click_log(300)
    source = as_source(log)
    assert source.name == log.name
    assert sum(batch.num_rows for batch in source.batches(["user", "click"], 100)) == 300
    assert as_source(source) is source


def test_a_sample_is_spread_over_all_rows_and_repeats(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": range(10_000)}), tmp_path / "x.parquet", row_group_size=500)
    for data in (tmp_path / "x.parquet", {"x": range(10_000)}):
        source = as_source(data)
        found = source.sample(["x"], 400).column(0).to_numpy()
        assert len(found) <= 400
        assert np.histogram(found, 10, (0, 10_000))[0].min() > 20
        assert np.array_equal(found, source.sample(["x"], 400).column(0).to_numpy())


def test_fingerprints_follow_values_not_libraries_chunks_or_names(tmp_path: Path) -> None:
    chunked = pa.concat_tables([pa.table(COLUMNS).slice(0, 2), pa.table(COLUMNS).slice(2)])
    prints = {as_source(data).fingerprint() for data in (COLUMNS, pl.DataFrame(COLUMNS), chunked)}
    assert len(prints) == 1
    assert as_source({**COLUMNS, "user": [3, 1, 2, 3, 2]}).fingerprint() not in prints
    first = in_file(tmp_path)
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(first.read_bytes())
    assert as_source(first).fingerprint() == as_source(copy).fingerprint()


def test_the_fingerprint_depends_on_y() -> None:
    first, second = (as_source(COLUMNS, y).fingerprint() for y in ([0, 1, 0, 1, 0], [0, 1, 0, 1, 1]))
    assert first != second


def text_source(tmp_path: Path, text: str, name: str = "x.csv") -> Source:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return as_source(tmp_path / name)


def test_types_of_a_text_file_come_from_all_its_rows(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i},\n" for i in range(200_000))
    source = text_source(tmp_path, f"a,b,c\n{rows}1.5,x7,2024-05-01 10:00:00\n")
    assert source.schema.types == [pa.float64(), pa.string(), pa.timestamp("us")]
    assert "1 of 200001 cells hold text, the first 'x7' in line 200002" in source.notes["b"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "", "3"], [1, None, 3]),
        (["1", "NA", "?"], [1, None, None]),
        ([" 1", "2 ", "3"], [1, 2, 3]),
        (["01", "2", "3"], ["01", "2", "3"]),
        (["99999999999999999999", "1", "2"], ["99999999999999999999", "1", "2"]),
        (["1e3", "0.5", "-2"], [1000.0, 0.5, -2.0]),
        (["2024-01-02", "", "2024-01-03"], [datetime(2024, 1, 2), None, datetime(2024, 1, 3)]),
        (["2024-13-02", "2024-01-02", "2024-01-03"], ["2024-13-02", "2024-01-02", "2024-01-03"]),
        (["a", "NA", ""], ["a", "NA", ""]),
        (["", "", ""], [None, None, None]),
    ],
)
def test_cells_decide_the_type_of_a_text_column(cells: list[str], expected: list[Any], tmp_path: Path) -> None:
    text = "x,other\n" + "".join(f"{cell},k\n" for cell in cells)
    assert rows_of(text_source(tmp_path, text))["x"] == expected


def test_a_quoted_field_may_hold_delimiters_and_line_ends(tmp_path: Path) -> None:
    source = text_source(tmp_path, 'a,b\n"x, y","line\nend"\nz,w\n')
    assert rows_of(source) == {"a": ["x, y", "z"], "b": ["line\nend", "w"]}


def test_a_text_file_can_give_a_column_as_it_is_written(tmp_path: Path) -> None:
    source = text_source(tmp_path, "zip,n\n12.50,1\n7,2\n")
    assert source.read_as_text("zip")
    assert rows_of(source)["zip"] == ["12.50", "7"]


def test_whole_numbers_can_be_read_as_text_in_every_form(tmp_path: Path) -> None:
    for form, make in FORMS.items():
        path = tmp_path / form
        path.mkdir()
        source = as_source(make(path))
        assert source.read_as_text("user"), form
        assert rows_of(source)["user"] == ["3", "1", "2", "3", "1"], form
        assert not source.read_as_text("price"), form
        assert not source.read_as_text("day"), form
    categories = as_source(pd.DataFrame({"x": pd.Categorical([10, 20])}))
    assert categories.read_as_text("x")
    assert rows_of(categories)["x"] == ["10", "20"]
    assert not as_source({"x": [True, False]}).read_as_text("x")


def test_what_is_no_table_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="`data` must be a path"):
        as_source(object())
