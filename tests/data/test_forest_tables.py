"""LightGBM's trees as look-up tables go LightGBM's ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np
import pytest

from autorec.data.forest import Forest
from autorec.data.forest_tables import TreeInput, forest_of

NAN = float("nan")
INPUTS = [TreeInput("numbers", 0), TreeInput("ids", 0, 40), TreeInput("numbers", 1), TreeInput("statistics", 0)]
HOSTILE = [NAN, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1e-36, -1e-36, float(np.float32(1e-35)), 1e300, -1e300, 2.0**53 + 2]


def table(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A matrix of a number with gaps, ids, a number of steps with many zeros, a float32 column; and labels."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4))
    x[:, 0] *= 1e6
    x[:, 1] = rng.integers(0, 40, rows)
    x[:, 2] = np.round(x[:, 2])
    x[:, 3] = x[:, 3].astype(np.float32)
    logit = x[:, 0] / 1e6 + x[:, 1] % 3 + x[:, 2] * x[:, 3]
    x[rng.random(rows) < 0.2, 0] = NAN
    return x, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.float64)


def grown(x: np.ndarray, y: np.ndarray, rounds: int = 20, **settings: Any) -> lightgbm.Booster:
    settings = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 1, "seed": 0, **settings}
    data = lightgbm.Dataset(x, y, categorical_feature=[1], params={"verbosity": -1})
    return lightgbm.train(settings, data, rounds)


def tables(model: lightgbm.Booster, inputs: Sequence[TreeInput] = INPUTS) -> Forest:
    trees = model.dump_model()["tree_info"]
    zeros = [0] * len(trees)
    return forest_of(trees, inputs, zeros, zeros, range(len(trees)))


def groups(x: np.ndarray) -> dict[str, np.ndarray]:
    """The matrix as encoded groups."""
    return {"numbers": x[:, [0, 2]], "ids": x[:, 1:2].astype(np.int32), "statistics": x[:, 3:].astype(np.float32)}


def hostile(forest: Forest, rows: int, x: np.ndarray) -> np.ndarray:
    """Rows at, beside and far from the thresholds, and none at all."""
    rng = np.random.default_rng(9)
    out = x[rng.integers(0, len(x), rows)].copy()
    for column in forest.columns:
        if column.thresholds is not None:
            place = {"numbers": [0, 2], "statistics": [3]}[column.group][column.position]
            near = [column.thresholds, np.nextafter(column.thresholds, 9e99), np.nextafter(column.thresholds, -9e99)]
            out[:, place] = rng.choice(np.concatenate([*near, HOSTILE]), rows)
    with np.errstate(over="ignore"):
        out[:, 3] = out[:, 3].astype(np.float32)
    out[:, 1] = rng.integers(0, 40, rows)
    return out


@pytest.mark.parametrize("settings", [{}, {"use_missing": False}, {"objective": "regression", "max_depth": 3}])
def test_leaves_are_those_of_lightgbm_bit_for_bit(settings: dict[str, Any]) -> None:
    x, y = table(3000, 0)
    model = grown(x, y, **settings)
    forest = tables(model)
    for rows in (x, hostile(forest, 4000, x)):
        expected = model.predict(rows, pred_leaf=True)
        np.testing.assert_array_equal(forest.leaves(groups(rows)), expected)


def test_a_missing_number_goes_where_a_column_without_gaps_sends_zero() -> None:
    x, y = table(2000, 1)
    forest = tables(grown(x, y))
    none, zero = x[:200].copy(), x[:200].copy()
    none[:, 2], zero[:, 2] = NAN, 0.0
    np.testing.assert_array_equal(forest.leaves(groups(none)), forest.leaves(groups(zero)))


def test_margins_are_the_raw_scores_and_their_sums_are_exact() -> None:
    x, y = table(2000, 2)
    model = grown(x, y)
    forest = tables(model)
    leaves = forest.leaves(groups(x))
    np.testing.assert_allclose(forest.margins(leaves)[:, 0], model.predict(x, raw_score=True), rtol=1e-6, atol=1e-6)
    values = forest.values[np.arange(20), leaves]
    np.testing.assert_array_equal(values.sum(1), values[:, ::-1].cumsum(1)[:, -1])


def test_values_far_from_zero_keep_what_tells_them_apart() -> None:
    x, y = table(2000, 3)
    model = grown(x, y + 1e6, objective="regression")
    forest = tables(model)
    found = (forest.values.reshape(-1)[forest.leaves(groups(x)) + forest.value_starts]).sum(1)
    np.testing.assert_allclose(found - 1e6, model.predict(x) - 1e6, atol=1e-5)


def test_labels_that_nothing_explains_give_trees_of_one_leaf() -> None:
    x, _ = table(300, 4)
    forest = tables(grown(x, np.arange(300) % 2, rounds=3, min_data_in_leaf=200))
    assert forest.sizes.tolist() == [1]
    leaves = forest.leaves(groups(x))
    assert not leaves.any()
    np.testing.assert_allclose(forest.margins(leaves), 0.0, atol=1e-6)


def test_only_columns_that_are_split_are_read() -> None:
    x, _ = table(1000, 5)
    forest = tables(grown(x, (x[:, 2] > 0).astype(float), rounds=1, num_leaves=2))
    assert [(column.group, column.position) for column in forest.columns] == [("numbers", 1)]
    assert forest.groups == ("numbers",)
