"""Times written as text, and words that stand for a missing one."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pyarrow as pa
import pytest

from autorec.data.inference import infer
from autorec.data.text_times import are_dates, are_times, read_times
from autorec.errors import DataError


@pytest.mark.parametrize("word", ["NA", "null", "?", ""])
def test_a_word_for_a_missing_value_is_a_missing_time(word: str) -> None:
    times = read_times(pa.array(["2024-01-31", word, None]))
    assert times.to_pylist() == [datetime(2024, 1, 31), None, None]


def test_a_text_that_is_no_time_is_named_with_row_and_column() -> None:
    with pytest.raises(DataError, match="row 2, column 'seen': a time must be written like .*, got 'noon'"):
        read_times(pa.array(["2024-01-31", "NA", "noon"]), "seen")


def test_times_are_told_from_texts_words_aside() -> None:
    assert are_times(pl.Series(["2024-01-31", "NA"])) is True
    assert are_times(pl.Series(["2024-01-31", "noon"])) is False
    assert are_times(pl.Series(["2024-13-31", "NA"])) is False
    assert are_times(pl.Series(["NA", "?"])) is None


@pytest.mark.parametrize(
    "text",
    [
        "01/15/2024 10:05",
        "15.01.2024",
        "2024/01/05",
        "01-Jan-1995",
        "Jan 5, 2024 10:05 PM",
        "Tue Nov 03 10:00:00 +0000 2024",
    ],
)
def test_dates_that_are_not_iso_are_seen(text: str) -> None:
    assert are_dates(pl.Series([text]))


@pytest.mark.parametrize("text", ["10.0.19", "1/2", "May 5", "3/4 inch", "2024-01-31"])
def test_other_texts_are_no_such_dates(text: str) -> None:
    assert not are_dates(pl.Series([text]))


def test_dates_that_are_not_iso_are_categories_with_a_warning() -> None:
    cells = [f"Jan {1 + i % 28}, 2024 {1 + i % 12}:05 PM" for i in range(300)]
    schema = infer({"day": [*cells, "NA"], "click": [0] + [0, 1] * 150}, target="click")
    assert (schema["day"].kind, schema["day"].separator) == ("categorical", None)
    assert "`day` looks like dates that are not written as ISO 8601, such as 'Jan 1, 2024" in schema.warnings[0]


def test_a_text_that_is_no_time_under_the_role_is_named_with_file_row_and_column() -> None:
    data = {"seen": ["2024-01-31", "noon"] * 9, "click": [0, 1] * 9}
    with pytest.raises(DataError, match="file 'dict', row 1, column 'seen': .* got 'noon'"):
        infer(data, target="click", time="seen")
