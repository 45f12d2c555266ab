"""CSV and TSV files."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from autorec.data.checks import check_same_columns, check_targets
from autorec.data.inference import infer
from autorec.data.schema import Feature, Schema
from autorec.data.source import Source
from autorec.data.table import as_source
from autorec.errors import DataError


def written(folder: Path, text: str, name: str = "x.csv") -> Source:
    (folder / name).write_text(text, encoding="utf-8")
    return as_source(folder / name)


def values(source: Source, name: str) -> list[Any]:
    return [value for batch in source.batches([name]) for value in batch.column(0).to_pylist()]


def test_dates_stay_times_beside_a_word_for_a_missing_one(tmp_path: Path) -> None:
    source = written(tmp_path, "t,n\nNA,1\n2024-01-05 05:00:00,2\n?,3\n")
    assert source.schema.field("t").type == pa.timestamp("us")
    assert values(source, "t") == [None, datetime(2024, 1, 5, 5), None]


def test_words_for_missing_values_in_the_first_blocks_do_not_hide_the_dates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autorec.data.text._BLOCK_BYTES", 64)
    source = written(tmp_path, "t,n\n" + "NA,1\n" * 40 + "2024-01-05,2\n" * 40)
    assert values(source, "t") == [None] * 40 + [datetime(2024, 1, 5)] * 40


def test_a_late_text_among_dates_is_named_with_line_and_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autorec.data.text._BLOCK_BYTES", 32_768)
    source = written(tmp_path, "t,n\n" + "2024-01-05,2\n" * 9_000 + "noon,1\n")
    with pytest.raises(DataError, match="x.csv', row 9002, column 't': a time must be written like .* got 'noon'"):
        values(source, "t")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x,y\n1.5,0\n\n\nabc,1\n", 5),
        ('x,y\n"1.5","a\nb"\nabc,"c\nd"\n', 4),
        ("x,y\nabc,1\n", 2),
        ("y\n1.5\n\nabc\n", 4),
        ("x,y\n1.5,0\nabc,1", 3),
        ("x,y\r\n1.5,0\r\nabc,1\r\n", 3),
    ],
)
def test_a_row_is_named_by_its_line_behind_blank_ones_and_line_ends_within_quotes(
    tmp_path: Path, text: str, line: int
) -> None:
    source = written(tmp_path, text)
    rows = sum(batch.num_rows for batch in source.batches(["y"]))
    assert source.line(rows - 1) == line
    assert (tmp_path / "x.csv").read_text(encoding="utf-8").splitlines()[line - 1].startswith("abc")


def test_a_text_among_fractions_is_named_by_its_line(tmp_path: Path) -> None:
    source = written(tmp_path, "x,y\n" + "\n1.5,0\n" * 20 + "abc,1\n")
    with pytest.raises(DataError, match="row 42, column 'x': mixed types: 'abc'"):
        source.select(["x"])


def test_a_column_of_words_for_missing_values_has_no_value_and_fits_every_feature(tmp_path: Path) -> None:
    source = written(tmp_path, "number,id,time,city\nNA,null,?,none\n,NA,NA,none\n")
    assert source.schema.types == [pa.null()] * 4
    features = [
        Feature("number", "numeric", "float"),
        Feature("id", "categorical", "int"),
        Feature("time", "time", "time"),
        Feature("city", "categorical", "string"),
    ]
    check_same_columns(Schema(features, ["click"]), source)
    assert [values(source, name) for name in ("number", "id", "time")] == [[None, None]] * 3
    assert values(source, "city") == ["none", "none"]


def test_true_and_false_alone_are_one_and_zero_in_every_writing(tmp_path: Path) -> None:
    source = written(tmp_path, "a,b\nTrue,1\nfalse,true\nTRUE,0\nNA,false\n,1\n")
    assert source.schema.types == [pa.int64(), pa.string()]
    assert values(source, "a") == [1, 0, 1, None, None]
    assert values(source, "b") == ["1", "true", "0", "false", "1"]


def test_a_late_other_word_among_booleans_makes_all_of_them_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autorec.data.text._BLOCK_BYTES", 8_192)
    source = written(tmp_path, "a,n\n" + "True,2\n" * 9_000 + "maybe,1\n")
    assert values(source, "a") == ["True"] * 9_000 + ["maybe"]


def test_booleans_of_a_text_file_are_a_target_and_a_feature_as_those_of_a_frame_are(tmp_path: Path) -> None:
    rows = [(i % 3 == 0, i % 2 == 0) for i in range(60)]
    source = written(tmp_path, "seen,click\n" + "".join(f"{a},{b}\n" for a, b in rows))
    schema = infer(source, target="click")
    frame = {"seen": [a for a, _ in rows], "click": [b for _, b in rows]}
    assert schema.features == infer(frame, target="click").features
    check_same_columns(schema, as_source(frame))
    check_targets(source, schema, "ctr")


def test_booleans_are_texts_where_the_schema_expects_text(tmp_path: Path) -> None:
    source = written(tmp_path, "a,n\ntrue,1\n")
    check_same_columns(Schema([Feature("a", "categorical", "string")], ["click"]), source)
    assert values(source, "a") == ["true"]


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [("log.tsv.clean.csv", ","), ("X.TSV", "\t"), ("X.CSV.GZ", ","), ("x.tsv.Gz", "\t"), ("x.csv.tsv.gz", "\t")],
)
def test_the_last_suffix_says_the_format_in_any_case(name: str, delimiter: str, tmp_path: Path) -> None:
    text = f"a,b{delimiter}c\n1{delimiter}2\n".encode() if delimiter == "\t" else b"a,b\n1,2\n"
    (tmp_path / name).write_bytes(gzip.compress(text) if name.lower().endswith(".gz") else text)
    source = as_source(tmp_path / name)
    assert source.schema.names == (["a,b", "c"] if delimiter == "\t" else ["a", "b"])
    assert values(source, source.schema.names[1]) == [2]


def test_text_among_fractions_matters_only_to_who_reads_that_column(tmp_path: Path) -> None:
    source = written(tmp_path, "price,note,click\n" + "1.5,2.5,0\n2.5,1.5,1\n" * 20 + "0.5,n.b.,1\n")
    assert values(source, "price")[-1] == 0.5
    place = "x.csv', row 42, column 'note': mixed types: 'n.b.' stands in a column of numbers"
    for read in (lambda: values(source, "note"), lambda: infer(source, target="click")):
        with pytest.raises(DataError, match=place):
            read()
    assert source.read_as_text("note")
    assert values(source, "note")[-1] == "n.b."


def test_lists_as_pandas_writes_them_are_lists(tmp_path: Path) -> None:
    lists = [[k % 7, k % 5, k % 11][: k % 4] for k in range(60)]
    words = [[f"w{k}" for k in values] for values in lists]
    frame = pd.DataFrame({"past": lists, "tags": words, "click": [0, 1] * 30})
    frame.to_csv(tmp_path / "x.csv", index=False)
    source = as_source(tmp_path / "x.csv")
    assert (values(source, "past"), values(source, "tags")) == (lists, words)
    assert infer(source, target="click").features == infer(frame, target="click").features


def test_a_late_text_among_lists_makes_all_of_them_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autorec.data.text._BLOCK_BYTES", 8_192)
    source = written(tmp_path, "a;n\n" + "[1, 2];2\n" * 9_000 + "new;1\n")
    assert values(source, "a") == ["[1, 2]"] * 9_000 + ["new"]


def test_lists_are_texts_where_the_schema_splits_texts(tmp_path: Path) -> None:
    source = written(tmp_path, "a;n\n[1, 2];2\n")
    check_same_columns(Schema([Feature("a", "bag", "string", separator=", ")], ["click"]), source)
    assert values(source, "a") == ["[1, 2]"]


def test_decimals_behind_a_comma_are_numbers_where_semicolons_split_fields(tmp_path: Path) -> None:
    source = written(tmp_path, "a;b;c\n12,5;1,5;x,1\n;2.5;y,2\n-3;3;z,3\nNA;4,5;z,4\n0,25;5;z,5\n")
    assert source.schema.types[0] == pa.float64()
    assert values(source, "a") == [12.5, None, -3.0, None, 0.25]
    assert values(source, "b") == ["1,5", "2.5", "3", "4,5", "5"]
    assert values(source, "c") == ["x,1", "y,2", "z,3", "z,4", "z,5"]


def test_decimals_behind_a_comma_stay_text_where_commas_split_fields(tmp_path: Path) -> None:
    assert values(written(tmp_path, 'a,b\n"12,5",1\n'), "a") == ["12,5"]


def test_a_late_text_among_decimals_makes_all_of_them_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autorec.data.text._BLOCK_BYTES", 8_192)
    source = written(tmp_path, "a;n\n" + "1,25;2\n" * 9_000 + "new;1\n")
    assert values(source, "a") == ["1,25"] * 9_000 + ["new"]


@pytest.mark.parametrize(
    ("cells", "kind", "noted"),
    [
        (["12,5", "1,250"], pa.float64(), True),
        (["0,125", "0,250"], pa.float64(), True),
        (["1,250", "12,500"], pa.string(), False),  # thousands, as well
        (["012,55", "3,17"], pa.string(), False),  # no number begins like this
    ],
)
def test_what_a_comma_means_is_told_where_it_is_taken_for_decimals(
    cells: list[str], kind: pa.DataType, noted: bool, tmp_path: Path
) -> None:
    source = written(tmp_path, "x;n\n" + "".join(f"{cell};1\n" for cell in cells))
    assert source.schema.field("x").type == kind
    assert source.notes.get("x") == ("2 of 2 cells were read as fractions behind a comma" if noted else None)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [(["true", "none"], pa.string()), (["true", ""], pa.int64()), (["-", "False", "True"], pa.int64())],
)
def test_a_word_for_a_missing_value_beside_one_truth_is_what_the_column_tells(
    cells: list[str], kind: pa.DataType, tmp_path: Path
) -> None:
    source = written(tmp_path, "n,x\n" + "".join(f"1,{cell}\n" for cell in cells))
    assert source.schema.field("x").type == kind


def test_an_index_that_pandas_wrote_is_no_feature_and_a_note_says_so(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [0.5, 1.5] * 20, "click": [0, 1, 1, 0] * 10})
    frame.to_csv(tmp_path / "with.csv")
    frame.to_csv(tmp_path / "without.csv", index=False)
    sources = [as_source(tmp_path / name) for name in ("with.csv", "without.csv")]
    schema = infer(sources[0], target="click")
    assert schema.names == ["x"]
    assert schema.warnings == [
        "``: the first column, of whole numbers without a name, was taken as row numbers; it is not read"
    ]
    for source in sources:
        check_same_columns(schema, source)
        assert values(source, "x") == [0.5, 1.5] * 20
    with pytest.raises(DataError, match="was taken as row numbers"):
        sources[0].select([""])


@pytest.mark.parametrize(("text", "names"), [(",n\na,1\nb,2\n", ["", "n"]), ("n,\n1,2\n", ["n", ""])])
def test_another_column_without_a_name_is_read(text: str, names: list[str], tmp_path: Path) -> None:
    assert written(tmp_path, text).schema.names == names
