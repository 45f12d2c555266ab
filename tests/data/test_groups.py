"""Rows by equal keys: one sort, and what stands before each row."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.data.groups import Groups


def test_rows_of_equal_keys_stand_together_in_their_order() -> None:
    groups = Groups.of(np.array([5, 2, 5, 2, 9], np.int32))
    assert groups.order.tolist() == [1, 3, 0, 2, 4]
    assert groups.places.tolist() == [2, 5, 9]
    assert groups.lengths.tolist() == [2, 2, 1]


@pytest.mark.parametrize("high", [3, 2**40, 2**62])
def test_the_order_is_that_of_a_stable_sort(high: int) -> None:
    keys = np.random.default_rng(0).choice(np.array([-1, 0, high // 2, high]), 500)
    groups = Groups.of(keys)
    np.testing.assert_array_equal(groups.order, np.argsort(keys, kind="stable"))
    np.testing.assert_array_equal(groups.positions, keys)


def test_sums_before_a_row_are_of_its_group_alone() -> None:
    groups = Groups.of(np.array([7, 3, 7, 7]))
    values = np.array([1.0, 10.0, 100.0, 1000.0])[groups.order]
    assert groups.back(groups.before(values)).tolist() == [0, 0, 1, 101]
    assert groups.back(groups.index).tolist() == [0, 0, 1, 2]
    assert groups.sums(values).tolist() == [10, 1101]


def test_keys_that_a_table_lacks_are_one_group_without_a_place() -> None:
    groups = Groups.of(np.array([8, 4, 1, 8, 6])).within(np.array([4, 8]))
    assert groups.positions.tolist() == [1, 0, -1, 1, -1]
    assert groups.order.tolist() == [2, 4, 1, 0, 3]
    assert groups.outside == 2


def test_with_a_table_of_all_keys_no_row_is_outside() -> None:
    groups = Groups.of(np.array([8, 4])).within(np.array([4, 6, 8]))
    assert groups.positions.tolist() == [2, 0]
    assert groups.outside == 0


def test_in_an_empty_table_no_row_has_a_place() -> None:
    groups = Groups.of(np.array([8, 4])).within(np.zeros(0, np.int64))
    assert groups.positions.tolist() == [-1, -1]
    assert groups.outside == 2


def test_no_rows_are_no_groups() -> None:
    groups = Groups.of(np.zeros(0, np.int32))
    assert len(groups.order) == len(groups.places) == groups.outside == 0
