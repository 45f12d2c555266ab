"""Rows of different lengths."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.data.lists import Lists

# rows: [5], [], [6, 7, 8], [9]
LISTS = Lists(np.array([0, 1, 1, 4, 5]), np.array([5, 6, 7, 8, 9], np.int32))


def test_taken_rows_are_padded_behind_to_the_longest_of_them() -> None:
    assert LISTS.take(np.array([2, 0])).tolist() == [[6, 7, 8], [5, 0, 0]]
    assert LISTS.take(np.array([3, 0])).tolist() == [[9], [5]]


def test_a_slice_of_rows_is_taken_alike() -> None:
    np.testing.assert_array_equal(LISTS.take(slice(1, 3)), LISTS.take(np.array([1, 2])))


def test_empty_rows_have_one_column_of_padding() -> None:
    assert LISTS.take(np.array([1, 1])).tolist() == [[0], [0]]


def test_taken_rows_are_int32() -> None:
    assert LISTS.take(np.array([2])).dtype == np.int32


@pytest.mark.parametrize("rows", [[2, 1, 0], [3, 3], [1], []])
def test_chosen_rows_stay_lists(rows: list[int]) -> None:
    chosen = LISTS.rows(np.array(rows, np.int64))
    expected = [[[5], [], [6, 7, 8], [9]][row] for row in rows]
    assert [chosen.values[a:b].tolist() for a, b in zip(chosen.offsets, chosen.offsets[1:])] == expected
