"""The weighted mean."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from autorec.blocks import WeightedMean
from autorec.errors import ConfigError

ONE, OTHER = np.array([[1.0], [2.0]], "float32"), np.array([[5.0], [-2.0]], "float32")


def test_it_is_the_weighted_mean() -> None:
    np.testing.assert_allclose(WeightedMean([0.25, 0.75])([ONE, OTHER]), [[4.0], [-1.0]])


def test_one_tensor_stays_what_it_is() -> None:
    np.testing.assert_array_equal(WeightedMean([1.0])([ONE]), ONE)


def test_it_is_float32_under_any_policy() -> None:
    layer = WeightedMean([0.5, 0.5], dtype="mixed_bfloat16")
    assert layer([ONE, OTHER]).dtype == "float32"


def test_it_has_nothing_to_learn_and_saves_its_weights_exactly(tmp_path: Any) -> None:
    inputs = [keras.Input((1,)), keras.Input((1,))]
    model = keras.Model(inputs, WeightedMean([1 / 3, 2 / 3])(inputs))
    model.save(tmp_path / "mean.keras")
    loaded = keras.saving.load_model(tmp_path / "mean.keras")
    assert model.weights == []
    np.testing.assert_array_equal(loaded([ONE, OTHER]), model([ONE, OTHER]))


def test_its_shape_is_that_of_one_tensor() -> None:
    assert WeightedMean([0.5, 0.5]).compute_output_shape([(None, 1), (None, 1)]) == (None, 1)
    assert WeightedMean([0.5, 0.5]).operations([(None, 1), (None, 1)]) == 2


@pytest.mark.parametrize("shares", [[], [0.5, 0.6], [-0.5, 1.5], ["a"], 1.0, [float("nan"), 1.0]])
def test_weights_that_are_no_shares_are_refused(shares: Any) -> None:
    with pytest.raises(ConfigError, match="numbers of 0 or more that sum to 1"):
        WeightedMean(shares)


def test_tensors_are_as_many_as_weights() -> None:
    with pytest.raises(ConfigError, match="a tensor for each of 2 weights"):
        WeightedMean([0.5, 0.5])([ONE])
