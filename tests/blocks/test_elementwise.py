"""Blocks that combine vectors entry by entry: elementwise, inner product, concatenation."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.blocks import Concatenate, Elementwise, InnerProduct
from autorec.blocks.elementwise import MODES
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

A = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
B = np.random.default_rng(1).normal(size=(6, 4)).astype("float32")
WIDE = np.random.default_rng(2).normal(size=(6, 3, 2)).astype("float32")


@pytest.mark.parametrize("mode", MODES)
def test_elementwise_holds_what_every_block_holds(mode: str) -> None:
    check_block(Elementwise, {"mode": mode}, [A, WIDE], output_shape=(6, 4))


def test_inner_product_holds_what_every_block_holds() -> None:
    check_block(InnerProduct, {}, [A, WIDE], output_shape=(6, 1))


def test_concatenate_holds_what_every_block_holds() -> None:
    check_block(Concatenate, {}, [A, WIDE], output_shape=(6, 10), learns=False)


@pytest.mark.parametrize(
    ("mode", "value"), [("sum", 2 * A), ("average", A), ("multiply", A**2), ("max", A), ("min", A)]
)
def test_equal_inputs_give_what_the_mode_says(mode: str, value: np.ndarray) -> None:
    np.testing.assert_allclose(Elementwise(mode=mode)([A, A]), value, rtol=1e-5)


def test_a_single_tensor_of_fields_is_so_many_vectors() -> None:
    np.testing.assert_allclose(Elementwise(mode="sum")(WIDE), WIDE.sum(1), rtol=1e-5)


def test_a_wider_input_is_projected_to_the_least_width() -> None:
    block = Elementwise(mode="sum")
    found = block([A, WIDE])
    kernel = block.weights[0].numpy()
    np.testing.assert_allclose(found, A + WIDE.reshape(6, 6) @ kernel, rtol=1e-4, atol=1e-5)


def test_the_inner_product_of_two_vectors_is_their_dot_product() -> None:
    np.testing.assert_allclose(InnerProduct()([A, B]), (A * B).sum(1, keepdims=True), rtol=1e-4, atol=1e-5)


def test_the_inner_product_of_three_multiplies_all() -> None:
    ones = np.array([[1.0, 2.0]], "float32")
    np.testing.assert_allclose(InnerProduct()([ones, ones, ones]), [[9.0]])


def test_concatenation_keeps_the_order() -> None:
    np.testing.assert_array_equal(Concatenate()([WIDE, A]), np.concatenate([WIDE.reshape(6, 6), A], 1))


def test_an_unknown_mode_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'average'"):
        Elementwise(mode="averge")
