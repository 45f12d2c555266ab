"""Lists written as text."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from autorec.data.inference import infer
from autorec.data.text_lists import Lists, common, lists_of, read_lists


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        (["[1, 2]", "[-3]", "[]"], Lists.WHOLE, [[1, 2], [-3], []]),
        (["['a b', 'c']", '["x","07"]', "[ ]"], Lists.TEXTS, [["a b", "c"], ["x", "07"], []]),
    ],
)
def test_lists_are_known_and_read(cells: list[str], kind: Lists, expected: list[Any]) -> None:
    assert lists_of(pl.Series(cells)) == kind
    element = pa.int64() if kind == Lists.WHOLE else pa.string()
    found = read_lists(pa.array([*cells, "", "NA", None]), pa.list_(element))
    assert found.to_pylist() == [*expected, None, None, None]


@pytest.mark.parametrize("cells", [["[1, 2]", "1"], ["[1]", "['a']"], ["['a, b']"], ["[1 2]"], ["[0.5]"], ["[draft]"]])
def test_texts_in_brackets_that_are_no_plain_lists_stay_text(cells: list[str]) -> None:
    assert lists_of(pl.Series(cells)) is None


def test_an_empty_list_is_of_every_kind() -> None:
    assert lists_of(pl.Series(["[]"])) == Lists.EMPTY
    assert common(Lists.EMPTY, Lists.WHOLE) == common(Lists.WHOLE, Lists.EMPTY) == Lists.WHOLE
    assert common(Lists.TEXTS, Lists.WHOLE) is None


def test_lists_written_as_text_in_a_frame_get_a_warning() -> None:
    cells = [f"[{i % 7}, {i % 5}]" for i in range(100)]
    schema = infer({"tags": cells, "click": [0, 1] * 50}, target="click")
    assert "`tags` holds lists written as text, such as '[0, 0]'" in schema.warnings[0]
