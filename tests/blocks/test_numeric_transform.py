"""Numbers of any scale, against NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from autorec.blocks import NumericTransform
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

COLUMNS = [
    {"log_mean": 1.0, "log_std": 0.5, "knots": (0.0, 1.0, 3.0, 10.0, 1000.0), "missing": 0.25},
    {"log_mean": -2.0, "log_std": 3.0, "knots": (-50.0, -1.0, 4.0), "missing": 0.0},
    {"log_mean": 2.0, "log_std": 1.0, "knots": (7.0,), "missing": 0.5},
]
NAN, INF = np.nan, np.inf


def rows(count: int = 500) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3)) * [300.0, 30.0, 5.0]
    x[rng.random(x.shape) < 0.1] = NAN
    return x


def transformed(method: str, x: Any, columns: Any = COLUMNS) -> np.ndarray:
    return ops.convert_to_numpy(NumericTransform(method, columns)(np.asarray(x, "float64")))


def log_by_numpy(x: np.ndarray) -> np.ndarray:
    means, stds = ([column[key] for column in COLUMNS] for key in ("log_mean", "log_std"))
    z = np.clip((np.sign(x) * np.log1p(np.abs(x)) - means) / stds, -10, 10)
    return np.where(np.isnan(x), 0, z).astype("float32")


def quantile_by_numpy(x: np.ndarray) -> np.ndarray:
    ranks = [np.interp(x[:, i], c["knots"], np.linspace(0, 1, len(c["knots"]))) for i, c in enumerate(COLUMNS)]
    z = np.sqrt(3) * (2 * np.stack(ranks, axis=1) - 1) * [1, 1, 0]
    return np.where(np.isnan(x), 0, z).astype("float32")


@pytest.mark.parametrize("method", ["log", "quantile"])
def test_it_holds_what_every_block_holds(method: str) -> None:
    arguments = {"method": method, "columns": COLUMNS}
    check_block(NumericTransform, arguments, rows(20), output_shape=(20, 5), learns=False)


def test_log_standardises_the_signed_logarithm() -> None:
    found = transformed("log", [[np.e - 1, 1 - np.exp(4.0), 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(found[:, :3], [[0, -2 / 3, -2], [-2, 2 / 3, -2]], atol=1e-6)


def test_quantile_is_linear_between_knots_and_clipped_beyond_them() -> None:
    found = transformed("quantile", [[2.0, -1.0, 7.0], [0.0, 4.0, 3.0], [-5.0, 99.0, 8.0], [505.0, -25.5, 7.0]])
    ranks = np.array([[0.375, 0.5, 0.5], [0, 1, 0.5], [0, 1, 0.5], [0.875, 0.25, 0.5]])
    np.testing.assert_allclose(found[:, :3], np.sqrt(3) * (2 * ranks - 1), atol=1e-6)


def test_log_has_the_bits_of_numpy_in_float64() -> None:
    x = rows()
    np.testing.assert_array_max_ulp(transformed("log", x)[:, :3], log_by_numpy(x), maxulp=1)


def test_quantile_agrees_with_numpy() -> None:
    x = rows()
    np.testing.assert_allclose(transformed("quantile", x)[:, :3], quantile_by_numpy(x), atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 63, 64, 65])
def test_any_number_of_knots_is_searched_whole(count: int) -> None:
    knots = np.cumsum(np.random.default_rng(count).random(count) + 0.1)
    x = np.concatenate([knots, (knots[1:] + knots[:-1]) / 2, [-INF, INF]])
    column = {"log_mean": 0.0, "log_std": 1.0, "knots": knots.tolist(), "missing": 0}
    wanted = np.sqrt(3) * (2 * np.interp(x, knots, np.linspace(0, 1, count)) - 1) * (count > 1)
    np.testing.assert_allclose(transformed("quantile", x[:, None], [column])[:, 0], wanted, atol=1e-6)


def test_columns_with_missing_values_in_training_have_indicators_behind_the_numbers() -> None:
    found = transformed("log", [[NAN, NAN, 1.0], [1.0, 1.0, NAN]])
    np.testing.assert_array_equal(found[:, 3:], [[1, 0], [0, 1]])
    np.testing.assert_array_equal(found[0, :2], [0, 0])


def test_without_missing_values_in_training_there_are_no_indicators() -> None:
    assert transformed("quantile", [[1.0]], COLUMNS[1:2]).shape == (1, 1)


@pytest.mark.parametrize(("method", "limit"), [("log", 10.0), ("quantile", np.sqrt(3))])
def test_infinity_and_outliers_are_clipped(method: str, limit: float) -> None:
    found = transformed(method, [[INF, -INF, NAN], [1e300, -1e300, NAN]])
    np.testing.assert_allclose(found[:, :2], [[limit, -limit]] * 2, rtol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_float64_numbers_are_read_whole_and_cast_last(policy: str) -> None:
    column = {"log_mean": 0.0, "log_std": 1.0, "knots": [1.7e9, 1.7e9 + 1], "missing": 0.0}
    inputs = keras.Input((1,), dtype="float64")
    model = keras.Model(inputs, NumericTransform("quantile", [column], dtype=policy)(inputs))
    found = ops.convert_to_numpy(model(np.array([[1.7e9 + 0.25]])))
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, [[-np.sqrt(3) / 2]], rtol=1e-6)


@pytest.mark.parametrize("method", ["log", "quantile"])
def test_a_saved_model_gives_the_same_bits(method: str, tmp_path: Any) -> None:
    inputs = keras.Input((3,), dtype="float64", name="numbers")
    model = keras.Model(inputs, NumericTransform(method, COLUMNS)(inputs))
    model.export(tmp_path / "saved", verbose=False)
    found = tf.saved_model.load(tmp_path / "saved").serve(tf.constant(rows()))
    np.testing.assert_array_equal(found, transformed(method, rows()))


@pytest.mark.parametrize("method", ["log", "quantile"])
def test_edges_are_the_knots_transformed(method: str) -> None:
    edges = NumericTransform(method, COLUMNS).edges()
    assert [len(row) for row in edges] == [5, 3, 1, 2, 2]
    middle = transformed(method, [[3.0, -1.0, 7.0]])[0]
    np.testing.assert_allclose([edges[0][2], edges[1][1]], middle[:2], rtol=1e-6)
    assert edges[3] == [0.0, 1.0]


def test_knots_that_float32_does_not_tell_apart_are_one_edge() -> None:
    column = {"log_mean": 21.0, "log_std": 1.0, "knots": [1.7e9, 1.7e9 + 1, 1.7e9 + 1e6], "missing": 0.0}
    assert len(NumericTransform("log", [column]).edges()[0]) == 2


@pytest.mark.parametrize("change", [{"log_std": 0.0}, {"knots": []}, {"knots": [1.0, 1.0]}, {"knots": [2.0, NAN]}])
def test_a_column_that_cannot_be_used_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="`columns` must be dicts with"):
        NumericTransform("log", [{**COLUMNS[0], **change}])


def test_a_column_without_a_key_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Lacking: \['log_mean', 'log_std', 'missing'\]"):
        NumericTransform("log", [{"knots": [1.0]}])


def test_an_unknown_method_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'quantile'"):
        NumericTransform("quantiles", COLUMNS)


def test_an_input_of_another_width_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\(batch, 3\)"):
        NumericTransform("log", COLUMNS)(np.zeros((2, 2)))
