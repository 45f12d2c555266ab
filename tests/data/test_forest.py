"""Trees as look-up tables: the leaf that the bits leave, sums that are exact, files that load alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autorec.data.forest import Forest, SplitColumn, serves

NAN = float("nan")


@pytest.fixture
def forest() -> Forest:
    """`x <= .5 ? 0 : (id == 2 ? 1 : 2)` with NaN to the right, and `id == 2 ? 0 : 1`."""
    number = SplitColumn("numbers", 0, np.array([0.5]), 0, 3)
    ids = SplitColumn("ids", 1, None, 3, 4)
    return Forest(
        columns=(number, ids),
        allowed=np.array(
            [[0b001, 0b11], [0b110, 0b11], [0b110, 0b11], [0b101, 0b10], [0b101, 0b10], [0b011, 0b01], [0b101, 0b10]],
            np.int32,
        ),
        sizes=np.array([3, 2], np.int32),
        values=np.pad([[1.0, 2.0, 4.0], [-1.0, 8.0, 0.0]], ((0, 0), (0, 28))),
        targets=np.array([0, 0], np.int32),
        shares=np.array([0, 1], np.int32),
        fields=np.array([1], np.int32),
    )


ARRAYS = {
    "numbers": np.array([[0.5], [0.6], [NAN], [NAN], [-9.0]]),
    "ids": np.array([[9, 2], [9, 2], [9, 3], [9, 7], [9, 0]], np.int32),
}
LEAVES = [[0, 0], [1, 0], [2, 1], [2, 1], [0, 1]]


def test_the_leaf_is_the_one_that_all_columns_allow(forest: Forest) -> None:
    found = forest.leaves(ARRAYS)
    assert (found.tolist(), found.dtype) == (LEAVES, np.int32)
    assert forest.groups == ("numbers", "ids")


def test_rows_come_block_by_block(forest: Forest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autorec.data.forest._BLOCK", 2)
    assert forest.leaves(ARRAYS).tolist() == LEAVES
    assert forest.leaves({name: array[:0] for name, array in ARRAYS.items()}).shape == (0, 2)


def test_a_row_of_no_share_has_the_mean_of_all_forests(forest: Forest) -> None:
    found = forest.margins(np.array(LEAVES, np.int32))
    assert (found[:, 0].tolist(), found.dtype) == ([0.0, 0.5, 6.0, 6.0, 4.5], np.float32)


def test_a_row_of_a_share_has_what_the_forest_says_that_has_not_seen_it(forest: Forest) -> None:
    shares = np.array([0, 1, 0, -1, 1])
    assert forest.margins(np.array(LEAVES, np.int32), shares)[:, 0].tolist() == [1.0, -1.0, 4.0, 6.0, 8.0]
    assert forest.local_ids(np.array(LEAVES, np.int32), shares)[:, 0].tolist() == [0, 2, 0, 3, 3]


def test_leaves_of_the_trees_that_are_fields_stand_behind_the_reserved_ids(forest: Forest) -> None:
    found = forest.local_ids(np.array(LEAVES, np.int32))
    assert (found[:, 0].tolist(), found.dtype) == ([2, 2, 3, 3, 3], np.int32)


def test_trees_serve_the_rows_of_the_share_that_they_have_not_seen_and_those_of_none() -> None:
    found = serves(np.array([0, 1, -1]), np.array([0, 0, 1]))
    assert found.tolist() == [[True, True, False], [False, False, True], [True, True, True]]


def test_a_saved_forest_loads_with_every_bit(forest: Forest, tmp_path: Path) -> None:
    forest.save(tmp_path / "forest.npz")
    loaded = Forest.load(tmp_path / "forest.npz")
    for name in ("allowed", "sizes", "values", "targets", "shares", "fields"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(forest, name))
        assert getattr(loaded, name).dtype == getattr(forest, name).dtype
    assert loaded.leaves(ARRAYS).tolist() == LEAVES
    assert [(c.group, c.position, c.first, c.rows) for c in loaded.columns] == [("numbers", 0, 0, 3), ("ids", 1, 3, 4)]


def test_trees_without_a_split_have_one_leaf(tmp_path: Path) -> None:
    one = np.ones(1, np.int32)
    stump = Forest((), np.zeros((0, 1), np.int32), one, np.full((1, 31), 0.5), one - 1, one - 1, one - 1)
    stump.save(tmp_path / "forest.npz")
    for forest in (stump, Forest.load(tmp_path / "forest.npz")):
        leaves = forest.leaves(ARRAYS)
        assert leaves.tolist() == [[0]] * 5
        assert forest.margins(leaves).tolist() == [[0.5]] * 5
