"""From LightGBM's trees to look-up tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autorec.data.forest import MOST_LEAVES, Forest, SplitColumn

_ZERO = float(np.float32(1e-35))  # LightGBM takes a number of at most this size for 0
_BITS = 44  # of a leaf's value: sums of 256 such stay below 2^53 units, and so are exact


@dataclass(frozen=True)
class TreeInput:
    """A column of the matrix that trees are grown on.

    Args:
        group: Group of the encoded rows.
        position: Place in the group.
        size: Number of ids; None for a number.
    """

    group: str
    position: int
    size: int | None = None


@dataclass(frozen=True)
class _Split:
    """A split of a tree: its node in LightGBM's dump, and the leaves on either side as sets of bits."""

    node: dict[str, Any]
    left: int
    right: int

    @property
    def column(self) -> int:
        return int(self.node["split_feature"])

    @property
    def threshold(self) -> float:
        found = float(self.node["threshold"])
        # 0 is not below this one, and what LightGBM takes for 0 is neither.
        return float(np.nextafter(found, -np.inf)) if found == -_ZERO else found

    def goes_left(self, thresholds: np.ndarray | None, rows: int) -> np.ndarray:
        """Returns for each row of the column's table whether it goes left."""
        if thresholds is None:
            return np.isin(np.arange(rows), [int(word) for word in str(self.node["threshold"]).split("||")])
        counts = np.arange(rows) <= np.searchsorted(thresholds, self.threshold)
        # Where training rows had no NaN, LightGBM takes one for 0.
        missing = self.node["missing_type"] == "NaN"
        counts[-1] = bool(self.node["default_left"]) if missing else self.threshold >= 0.0
        return counts


def forest_of(
    trees: Sequence[dict[str, Any]],
    inputs: Sequence[TreeInput],
    targets: Sequence[int],
    shares: Sequence[int],
    fields: Sequence[int],
) -> Forest:
    """Returns trees of LightGBM as look-up tables.

    Leaves have LightGBM's numbers; the rows' ways are those of its `predict`, also at a threshold and for NaN. Values
    of leaves are rounded so that their sums are exact.

    Args:
        trees: Each an element of `tree_info` in what `Booster.dump_model` returns, grown without `zero_as_missing`;
            of up to 31 leaves.
        inputs: The matrix's columns.
        targets: The target of each tree.
        shares: The share of the training rows that each tree has not seen.
        fields: Numbers of the trees whose leaves are fields.
    """
    splits = [list(_splits(tree["tree_structure"])) for tree in trees]
    columns = _split_columns([split for of_tree in splits for split in of_tree], inputs)
    sizes = np.array([tree["num_leaves"] for tree in trees], np.int32)
    total = sum(column.rows for column in columns.values())
    allowed = np.tile(((np.int64(1) << sizes) - 1).astype(np.int32), (total, 1))
    for number, of_tree in enumerate(splits):
        for split in of_tree:
            column = columns[split.column]
            rows = slice(column.first, column.first + column.rows)
            kept = np.where(split.goes_left(column.thresholds, column.rows), ~split.right, ~split.left)
            allowed[rows, number] &= kept.astype(np.int32)
    return Forest(
        columns=tuple(columns.values()),
        allowed=allowed,
        sizes=sizes,
        values=_values(trees),
        targets=np.asarray(targets, np.int32),
        shares=np.asarray(shares, np.int32),
        fields=np.asarray(fields, np.int32),
    )


def _splits(node: dict[str, Any]) -> Iterator[_Split]:
    """Yields the splits of a branch."""
    if "left_child" in node:
        yield _Split(node, *(_bits(node[side]) for side in ("left_child", "right_child")))
        for side in ("left_child", "right_child"):
            yield from _splits(node[side])


def _bits(node: dict[str, Any]) -> int:
    """Returns the set of a branch's leaves."""
    if "left_child" in node:
        return _bits(node["left_child"]) | _bits(node["right_child"])
    return 1 << int(node["leaf_index"])


def _split_columns(splits: Sequence[_Split], inputs: Sequence[TreeInput]) -> dict[int, SplitColumn]:
    """Returns the columns that are split, by their number in the matrix."""
    found: dict[int, SplitColumn] = {}
    first = 0
    for number in sorted({split.column for split in splits}):
        given = inputs[number]
        thresholds = None
        if given.size is None:
            thresholds = np.unique([split.threshold for split in splits if split.column == number])
        rows = len(thresholds) + 2 if thresholds is not None else int(given.size or 0)
        found[number] = SplitColumn(given.group, given.position, thresholds, first, rows)
        first += rows
    return found


def _values(trees: Sequence[dict[str, Any]]) -> np.ndarray:
    """Returns the rounded values of all leaves."""
    values = np.zeros((len(trees), MOST_LEAVES))
    for number, tree in enumerate(trees):
        for index, value in _leaf_values(tree["tree_structure"]):
            values[number, index] = value
    largest = float(np.abs(values).max(initial=0.0))
    unit = 2.0 ** (np.ceil(np.log2(largest)) - _BITS) if largest > 0 else 1.0
    return np.round(values / unit) * unit


def _leaf_values(node: dict[str, Any]) -> Iterator[tuple[int, float]]:
    if "left_child" in node:
        for side in ("left_child", "right_child"):
            yield from _leaf_values(node[side])
    else:
        yield int(node.get("leaf_index", 0)), float(node["leaf_value"])
