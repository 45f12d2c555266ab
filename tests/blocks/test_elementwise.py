"""Vectors put together position by position."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.blocks import Elementwise
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
LEFT = np.array([[1, -2], [3, 4]], "float32")
RIGHT = np.array([[5, 2], [-1, 0]], "float32")
FIELDS = RANDOM.normal(size=(2, 3, 2)).astype("float32")
MODES = {"sum": np.sum, "average": np.mean, "multiply": np.prod, "max": np.max, "min": np.min}


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_holds_what_every_block_holds(mode: str) -> None:
    check_block(Elementwise, {"mode": mode}, [LEFT, FIELDS], output_shape=(2, 2))


@pytest.mark.parametrize("mode", MODES)
def test_a_list_is_put_together_by_position(mode: str) -> None:
    expected = MODES[mode](np.stack([LEFT, RIGHT, LEFT]), axis=0)
    np.testing.assert_allclose(Elementwise(mode)([LEFT, RIGHT, LEFT]), expected, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_one_tensor_counts_as_its_fields(mode: str) -> None:
    block = Elementwise(mode)
    np.testing.assert_allclose(block(FIELDS), MODES[mode](FIELDS, axis=1), rtol=1e-5)
    assert block.weights == []


@pytest.mark.parametrize(("mode", "factor"), [("sum", 3), ("average", 1), ("max", 1), ("min", 1)])
def test_equal_inputs_give_themselves_or_their_sum(mode: str, factor: int) -> None:
    np.testing.assert_allclose(Elementwise(mode)([LEFT] * 3), factor * LEFT, rtol=1e-6)


def test_one_vector_stays_what_it_is() -> None:
    np.testing.assert_array_equal(Elementwise("multiply")(LEFT), LEFT)


def test_wider_inputs_are_flattened_and_projected_to_the_least() -> None:
    block = Elementwise("sum")
    found = block([FIELDS, LEFT])
    (kernel,) = block.get_weights()
    assert kernel.shape == (6, 2)
    np.testing.assert_allclose(found, FIELDS.reshape(2, 6) @ kernel + LEFT, rtol=1e-5)


def test_an_unknown_mode_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'average'"):
        Elementwise("averaged")
