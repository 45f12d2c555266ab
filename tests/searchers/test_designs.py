"""Encoded rows as matrices."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.data.cache import Part
from autorec.data.layout import IdColumn, Layout, ListColumn, NumberColumn
from autorec.data.lists import Lists
from autorec.searchers.designs import categories, one_hot

LAYOUT = Layout(
    ids=(IdColumn("a", "a", 4, "a"), IdColumn("b", "b", 3, "b")),
    numbers=(NumberColumn("n", "n", 0.0, 1.0, 0.5, 2.0, (0.0, 1.0), 0.5),),
    lists=(ListColumn("l", "list_0", "sequence", 5, "l", 3),),
)
PART = Part(
    {
        "ids": np.array([[2, 1], [3, 2]], np.int32),
        "numbers": np.array([[-3.0], [np.nan]]),
        "list_0": Lists(np.array([0, 3, 3]), np.array([2, 2, 4], np.int32)),
    },
    np.zeros((2, 1), np.float32),
)


def test_ids_lists_and_numbers_stand_side_by_side() -> None:
    number = (-np.log(4.0) - 0.5) / 2.0
    assert one_hot(PART, LAYOUT).toarray() == pytest.approx(
        np.array(
            [
                [0, 0, 1, 0, 0, 1, 0, 0, 0, 2, 0, 1, number, 0],
                [0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1],
            ]
        )
    )


def test_categories_are_ids_newest_list_value_and_length_then_numbers() -> None:
    matrix, categorical = categories(PART, LAYOUT)
    assert categorical == [0, 1, 2]
    np.testing.assert_array_equal(matrix, [[2, 1, 4, 3, -3.0], [3, 2, 0, 0, np.nan]])


def test_rare_ids_count_as_out_of_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autorec.searchers.designs._CATEGORIES", 3)
    monkeypatch.setattr("autorec.searchers.designs._ONE_HOT_IDS", 3)
    assert categories(PART, LAYOUT)[0][:, 0].tolist() == [2, 1]
    assert one_hot(PART, LAYOUT).toarray()[1, :6].tolist() == [0, 1, 0, 0, 0, 1]
