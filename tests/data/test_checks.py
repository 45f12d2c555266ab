"""Checks of columns and targets before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from autorec.data.checks import check_same_columns, check_targets
from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import ConfigError, DataError

FITTING = [
    (Feature("x", "numeric", "float"), [1, 2]),
    (Feature("x", "numeric", "int"), [1.0, None]),
    (Feature("x", "categorical", "int"), [1, None]),
    (Feature("x", "categorical", "int"), [1.0, np.nan]),
    (Feature("x", "categorical", "string"), ["a", None]),
    (Feature("x", "categorical", "string"), [None, None]),
    (Feature("x", "categorical", "string"), [1, 2]),
    (Feature("x", "time", "time"), np.array(["2024-01-01", "2024-01-02"], "datetime64[s]")),
    (Feature("x", "time", "time"), ["2024-01-01", "2024-01-02"]),
    (Feature("x", "time", "int", unit="s"), [1, 2]),
    (Feature("x", "bag", "int"), [[1, 2], []]),
    (Feature("x", "bag", "string", separator="|"), ["a|b", ""]),
    (Feature("x", "bag", "int"), [[], []]),
    (Feature("x", "sequence", "string"), [[None], None]),
]
FEATURES = [
    Feature("x", "categorical", "string"),
    Feature("x", "time", "time"),
    Feature("x", "bag", "int"),
    Feature("x", "bag", "string", separator="|"),
]
UNLIKE = [
    (Feature("x", "numeric", "float"), ["a", "b"], "expects numbers, got text"),
    (Feature("x", "categorical", "int"), ["a", "b"], "expects whole numbers, got text"),
    (Feature("x", "categorical", "string"), [True, False], "expects text, got whole numbers; make it text, or set"),
    (Feature("x", "categorical", "string"), [1.5, 2.0], "expects text, got numbers"),
    (Feature("x", "time", "time"), [1, 2], "expects times, got whole numbers"),
    (Feature("x", "bag", "int"), [["a"], []], "expects lists of whole numbers, got lists of text"),
    (Feature("x", "sequence", "string"), ["a b", "c"], "expects lists of text, got text"),
    (Feature("x", "bag", "string", separator="|"), [["a"], []], "expects text split at '|', got lists of text"),
]


@pytest.mark.parametrize(("feature", "values"), FITTING)
def test_columns_that_can_be_read_as_the_schema_says_pass(feature: Feature, values: Any) -> None:
    check_same_columns(Schema([feature]), as_source({"x": values}))


@pytest.mark.parametrize(("feature", "values", "message"), UNLIKE)
def test_a_column_of_another_type_is_named_with_both_types(feature: Feature, values: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_same_columns(Schema([feature]), as_source({"x": values}))
    assert f"file 'dict', column 'x': the schema {message}" in str(caught.value)


@pytest.mark.parametrize("kind", [pa.float64(), pa.string(), pa.int64(), pa.timestamp("us"), pa.list_(pa.int64())])
@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: f"{feature.kind} {feature.dtype}")
def test_a_column_without_any_value_is_of_every_type(feature: Feature, kind: pa.DataType, tmp_path: Path) -> None:
    table = pa.table({"x": pa.nulls(2, kind), "y": [1, 0]})
    pq.write_table(table, tmp_path / "x.parquet")
    for data in (table, tmp_path / "x.parquet", ds.dataset(tmp_path / "x.parquet"), pl.DataFrame(table).lazy()):
        source = as_source(data)
        check_same_columns(Schema([feature]), source)
        assert next(source.batches(["x"])).column(0).to_pylist() == [None, None]


def test_only_nan_is_no_value() -> None:
    for values in (pd.Series([np.nan, np.nan]), pl.Series([np.nan, None]), ["", ""], pa.array([np.nan, np.nan])):
        for feature in FEATURES:
            labelled = as_source({"x": values}, [0, 1], "y")
            check_same_columns(Schema([feature]), labelled)
            assert all(cell in (None, "") for cell in next(labelled.batches(["x", "y"])).column(0).to_pylist())


def test_a_late_value_makes_a_column_one_of_its_type() -> None:
    values = np.full(100_000, np.nan)
    values[-1] = 1.5
    with pytest.raises(DataError, match="expects text, got numbers"):
        check_same_columns(Schema([Feature("x", "categorical", "string")]), as_source({"x": values}))


@pytest.mark.parametrize("values", [[7, 9], np.array([7, 9], np.uint64), np.array([7, 9], np.int32)])
def test_ids_that_are_text_because_some_are_large_may_come_as_small_whole_numbers(values: Any) -> None:
    trained = as_source({"x": np.array([7, 2**64 - 1], np.uint64)})
    assert trained.schema.field("x").type == pa.string()
    source = as_source({"x": values})
    check_same_columns(Schema([Feature("x", "categorical", "string")]), source)
    assert next(source.batches(["x"])).column(0).to_pylist() == ["7", "9"]


def test_an_absent_column_is_named_with_the_nearest_one() -> None:
    schema = Schema([Feature("price", "numeric", "float")])
    with pytest.raises(DataError, match="'price': the column is absent.*expects numbers.*Did you mean 'prices'"):
        check_same_columns(schema, as_source({"prices": [1.0]}))


def test_a_text_file_whose_codes_look_like_numbers_is_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("code\n12\n34\n")
    source = as_source(tmp_path / "x.csv")
    check_same_columns(Schema([Feature("code", "categorical", "string")]), source)
    assert next(source.batches(["code"])).column(0).to_pylist() == ["12", "34"]


def test_a_text_among_numbers_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("price\n" + "12\n" * 30 + "free\n")
    with pytest.raises(DataError, match=r"column .price.: the schema expects numbers, got text; .* .free. in line 32"):
        check_same_columns(Schema([Feature("price", "numeric")]), as_source(tmp_path / "x.csv"))


def check(task: str = "ctr", weight: str | None = None, training: bool = True, **columns: Any) -> None:
    features = [Feature("x", "numeric", "float")] if "x" in columns else []
    schema = Schema(features, ["y"], weight=weight)
    check_targets(as_source(columns), schema, task, training=training)


@pytest.mark.parametrize("labels", [[0, 1, 1], [0.0, 1.0, np.nan], [True, False, None]])
def test_clicks_of_any_type_pass_also_with_unlabelled_rows(labels: list[Any]) -> None:
    check(y=labels)


def test_ratings_may_be_whole_or_not() -> None:
    check("rating", y=[1, 3, 5])
    check("rating", y=[0.5, None, 4.0])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2], "must have the two classes 0 and 1, got 3 values: 0, 1, 2"),
        ([-1, 1, 1], "got 2 values: -1, 1. Turn -1 into 0 and 1 into 1"),
        (list(range(50)), "got 50 values: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, [.]{3}"),
        ([0.2, 0.7, 0.2], "got 2 values: 0.2, 0.7"),
        (["yes", "no", "yes"], "must hold numbers.*got text such as 'yes', 'no'"),
        ([1, 1, None], "the target is constant: every labelled row has 1"),
        ([None, None, None], "the target is missing in every row"),
        ([np.nan, np.nan, np.nan], "the target is missing in every row"),
    ],
)
def test_click_targets_that_cannot_be_learned_are_refused(labels: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=f"file 'dict', column 'y'.*{message}"):
        check(y=labels)


def test_classes_are_counted_over_all_rows() -> None:
    labels = np.zeros(200_000)
    labels[[1, -1]] = 2, 5
    with pytest.raises(DataError, match="got 3 values: 0, 2, 5"):
        check(y=labels)


def test_a_constant_rating_is_refused_in_training_rows_only() -> None:
    with pytest.raises(DataError, match="the target is constant: every labelled row has 3.5"):
        check("rating", y=[3.5, 3.5])
    check("rating", y=[3.5, 3.5], training=False)


@pytest.mark.parametrize(
    ("labels", "hint"),
    [
        ([1e8, 1e8 + 9, 1e8 + 20], r"between 100000000 and 100000020; subtract 100000010 from"),
        ([0.0, 1e20, 2e20], "divide the values by their spread"),
        ([0.0, 1e-20, 2e-20], "divide the values by their spread"),
    ],
)
def test_ratings_that_32_bits_cannot_tell_apart_are_refused_in_training_rows(labels: list[float], hint: str) -> None:
    with pytest.raises(DataError, match=f"column 'y'.*32-bit numbers cannot tell the values.*{hint}"):
        check("rating", y=labels)
    check("rating", y=labels, training=False)


def test_a_long_target_may_have_any_size_for_its_labels_are_0_and_1() -> None:
    seconds = [1e17, 1e17 + 512, 2e17, 3e17]
    source = as_source({"y": seconds, "c": ["a", "b", "a", "b"]})
    check_targets(source, Schema(targets=["y"], long={"y": "c"}), "ctr")


def test_ratings_of_any_usual_size_pass() -> None:
    for scale, offset in ((1e-12, 0.0), (1e9, 0.0), (1.0, 1e6), (3600.0, 1.7e9 - 1e9)):
        check("rating", y=[offset - scale, offset, offset + 5e4 * scale])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": [0, 1, np.inf]}, "row 2, column 'y': a target must be finite, got inf"),
        ({"y": [0, 1, 1], "x": [1.0, -np.inf, 2.0]}, "row 1, column 'x': a numeric feature must be finite.*got -inf"),
        ({"y": [0, 1, 1], "w": [1.0, 2.0, -1.0]}, "row 2, column 'w': a weight must be.*0 or more, got -1"),
        ({"y": [0, 1, 1], "w": [1.0, np.nan, 1.0]}, "row 1, column 'w': a weight must be a finite number.*got nan"),
        ({"y": [0, 1, 1], "w": [0, 0, 0]}, "column 'w': all weights are 0"),
    ],
)
def test_values_that_cannot_be_used_are_named_with_their_row(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check(weight="w" if "w" in columns else None, **columns)


def test_a_bad_value_of_a_text_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("y,x\n0,1.5\n1,inf\n")
    schema = Schema([Feature("x", "numeric", "float")], ["y"])
    with pytest.raises(DataError, match=r"x.csv', row 3, column 'x': a numeric feature must be finite"):
        check_targets(as_source(tmp_path / "x.csv"), schema, "ctr")


def test_a_missing_feature_value_passes() -> None:
    check(y=[0, 1, 1], x=[1.0, None, np.nan])


def test_an_unknown_task_is_an_error() -> None:
    with pytest.raises(ConfigError, match="one of \\['ctr', 'rating'\\]"):
        check("clicks", y=[0, 1])
