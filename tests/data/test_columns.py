"""From Arrow columns to plain arrays."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from autorec.data import columns
from autorec.data.schema import Feature
from autorec.errors import DataError

MOMENT = 1_706_700_615_000_000  # 2024-01-31 11:30:15 UTC, a Wednesday
MISSING = columns.MISSING_INT


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1, None, -3]),
        pa.array([1.0, None, -3.0], pa.float32()),
        pa.array(["1", "", "-3"]),
        pa.array(["1.0", None, "-3e0"]).dictionary_encode(),
    ],
)
def test_numbers_of_every_type_become_float64(array: pa.Array) -> None:
    found = columns.numbers(array)
    np.testing.assert_array_equal(found, [1.0, np.nan, -3.0])
    assert found.dtype == np.float64


def test_true_and_false_are_one_and_zero() -> None:
    assert columns.numbers(pa.array([True, False])).tolist() == [1.0, 0.0]


def test_a_text_that_is_no_number_is_named() -> None:
    with pytest.raises(DataError, match="expected a number, got 'x'") as caught:
        columns.numbers(pa.array(["1", "", "x"]), "price")
    assert (caught.value.row, caught.value.column) == (2, "price")


@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9)])
def test_whole_numbers_are_times_in_their_unit(unit: str, per_second: int) -> None:
    array = pa.array([MOMENT * per_second // 10**6, None])
    assert columns.microseconds(array, unit).tolist() == [MOMENT, MISSING]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_every_unit_are_microseconds(unit: str) -> None:
    array = pa.array([MOMENT * 1000, None], pa.timestamp("ns")).cast(pa.timestamp(unit))
    assert columns.microseconds(array, None).tolist() == [MOMENT, MISSING]


def test_seconds_with_a_fraction_keep_it() -> None:
    assert columns.microseconds(pa.array([1.5, math.nan, None]), "s").tolist() == [1_500_000, MISSING, MISSING]


def test_times_before_1970_are_negative() -> None:
    assert columns.microseconds(pa.array([datetime(1969, 12, 31, 23, 59, 59)]), None).tolist() == [-1_000_000]


@pytest.mark.parametrize("text", ["2024-01-31 11:30:15", "2024-01-31T11:30:15Z", "2024-01-31 13:30:15+02:00"])
def test_times_written_as_text_are_read(text: str) -> None:
    assert columns.microseconds(pa.array([text, "", None]), None).tolist() == [MOMENT, MISSING, MISSING]


def test_a_timestamp_with_a_zone_counts_from_1970_in_utc() -> None:
    moment = datetime(2024, 1, 31, 13, 30, 15, tzinfo=timezone(timedelta(hours=2)))
    assert columns.microseconds(pa.array([moment], pa.timestamp("ms", "+02:00")), None).tolist() == [MOMENT]


def test_a_text_that_is_no_time_is_named() -> None:
    with pytest.raises(DataError, match="got 'noon'") as caught:
        columns.microseconds(pa.array(["2024-01-31", "noon"]), None)
    assert caught.value.row == 1


def test_fractions_order_rows_and_missing_ones_come_first() -> None:
    found = columns.order_values(pa.array([1.7e9 + 0.5, None, math.nan, math.inf, 1.7e9]))
    assert found.tolist() == [1.7e9 + 0.5, -math.inf, -math.inf, -math.inf, 1.7e9]
    assert columns.order_values(pa.array([5, None])).tolist() == [5, MISSING]


def texts(array: pa.Array, dtype: str) -> list[Any]:
    return columns.keys(array, Feature("c", "categorical", dtype)).to_pylist()


def test_text_keys_stay_as_they_are() -> None:
    assert texts(pa.array(["01", None, "x"]), "string") == ["01", None, "x"]


def test_whole_numbers_stored_as_floats_are_keys() -> None:
    assert texts(pa.array([2.0, math.nan, None, -0.0]), "float") == [2, None, None, 0]


def test_numbers_written_as_text_are_keys_of_their_value() -> None:
    assert texts(pa.array(["007", "", "7"]), "int") == [7, None, 7]


def test_floats_where_ids_were_whole_numbers_are_refused_from_where_they_were_rounded() -> None:
    with pytest.raises(DataError, match="-9007199254740992, were rounded by their floats: give") as caught:
        texts(pa.array([2.0**53 - 1, None, -(2.0**53)]), "int")
    assert (caught.value.row, caught.value.column) == (2, "c")
    assert texts(pa.array([2**53 + 1]), "int") == [2**53 + 1]


def test_of_ids_that_were_floats_those_that_were_rounded_are_none() -> None:
    found = texts(pa.array([2.0**53 - 1, None, 2.0**53, -1e300]), "float")
    assert found == [2**53 - 1, None, columns.MISSING_INT + 1, columns.MISSING_INT + 1]


def test_a_fraction_is_no_key() -> None:
    with pytest.raises(DataError, match=r"whole numbers, got .*2\.5") as caught:
        texts(pa.array([1.0, 2.5]), "float")
    assert (caught.value.row, caught.value.column) == (1, "c")


def test_a_text_that_is_no_whole_number_is_named() -> None:
    with pytest.raises(DataError, match="expected a whole number, got 'b'") as caught:
        texts(pa.array(["1", "b"]), "int")
    assert (caught.value.row, caught.value.column) == (1, "c")


def lists(array: pa.Array, **more: Any) -> list[list[Any]]:
    offsets, values = columns.flat_list(array, Feature("h", "sequence", **more))
    return [values.to_pylist()[a:b] for a, b in zip(offsets, offsets[1:])]


def test_lists_keep_their_newest_values() -> None:
    assert lists(pa.array([[1, 2, 3], [4], [], None]), dtype="int", max_length=2) == [[2, 3], [4], [], []]


def test_missing_values_within_lists_are_dropped_before_the_cut() -> None:
    assert lists(pa.array([["a", "", None, "b", ""]]), max_length=2) == [["a", "b"]]
    assert lists(pa.array([[1, None, 2]]), dtype="int", max_length=2) == [[1, 2]]


def test_text_cells_are_split_at_the_separator() -> None:
    assert lists(pa.array(["a|b", "|c||", "", None]), separator="|") == [["a", "b"], ["c"], [], []]


def test_a_separator_with_spaces_takes_them_away() -> None:
    cells = pa.array(["a b | c", " | d", "e|f", "g | "])
    assert lists(cells, separator=" | ") == [["a b", "c"], ["d"], ["e|f"], ["g"]]


def test_the_parts_of_a_text_are_texts() -> None:
    assert lists(pa.array(["07 7"]).dictionary_encode(), separator=" ") == [["07", "7"]]


def test_text_cells_without_a_separator_are_refused() -> None:
    with pytest.raises(DataError, match="a sequence must hold lists, got string; a `separator` in the schema"):
        lists(pa.array(["a b"]))


def test_numbers_are_not_split() -> None:
    with pytest.raises(DataError, match="must hold texts to split at ' ', got int64"):
        lists(pa.array([1, 2]), separator=" ")


def test_a_column_without_any_value_holds_empty_lists() -> None:
    for kind in (pa.null(), pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.float64()):
        assert lists(pa.nulls(2, kind)) == lists(pa.nulls(2, kind), separator="|") == [[], []]


def test_values_of_lists_without_any_value_have_the_type_that_the_schema_says() -> None:
    for dtype, kind in (("int", pa.int64()), ("string", pa.string())):
        _, values = columns.flat_list(pa.nulls(2, pa.string()), Feature("h", "bag", dtype))
        assert values.type == kind


def test_a_sliced_list_column_gives_its_own_rows() -> None:
    assert lists(pa.array([["a"], ["b", "c"], ["d"]])[1:]) == [["b", "c"], ["d"]]


def test_hour_and_weekday_ids_stand_behind_the_reserved_ones() -> None:
    found = columns.time_ids(np.array([MOMENT, 0, -1, MISSING]))
    assert found.tolist() == [[11 + 2, 2 + 2], [0 + 2, 3 + 2], [23 + 2, 2 + 2], [0, 0]]


def test_age_is_in_days_before_the_latest_time() -> None:
    found = columns.time_numbers(np.array([MOMENT - columns.DAY, MOMENT + columns.DAY // 2, MISSING]), MOMENT)
    np.testing.assert_array_equal(found[:, 0], [1.0, -0.5, np.nan])


def test_day_and_week_are_points_on_circles() -> None:
    thursday_6_am, monday = columns.DAY // 4, 4 * columns.DAY  # 1970-01-01 was a Thursday
    found = columns.time_numbers(np.array([thursday_6_am, monday]), 0)
    np.testing.assert_allclose(found[0, 1:3], [1, 0], atol=1e-12)
    angle = 2 * np.pi * 3.25 / 7
    np.testing.assert_allclose(found[0, 3:], [np.sin(angle), np.cos(angle)], atol=1e-12)
    np.testing.assert_allclose(found[1, 1:], [0, 1, 0, 1], atol=1e-12)
