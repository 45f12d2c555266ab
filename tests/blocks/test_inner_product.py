"""The inner product of two vectors, and of more."""

from __future__ import annotations

import numpy as np

from autorec.blocks import InnerProduct
from autorec.blocks.testing import check_block

RANDOM = np.random.default_rng(0)
LEFT, RIGHT, THIRD = RANDOM.normal(size=(3, 5, 4)).astype("float32")
WIDE = RANDOM.normal(size=(5, 2, 3)).astype("float32")


def test_it_holds_what_every_block_holds() -> None:
    check_block(InnerProduct, {}, [LEFT, WIDE], output_shape=(5, 1))


def test_of_two_it_is_the_dot_product() -> None:
    np.testing.assert_allclose(InnerProduct()([LEFT, RIGHT]), (LEFT * RIGHT).sum(1, keepdims=True), rtol=1e-4)


def test_of_three_all_are_multiplied() -> None:
    expected = (LEFT * RIGHT * THIRD).sum(1, keepdims=True)
    np.testing.assert_allclose(InnerProduct()([LEFT, RIGHT, THIRD]), expected, rtol=1e-4)


def test_one_tensor_counts_as_its_fields() -> None:
    expected = (WIDE[:, 0] * WIDE[:, 1]).sum(1, keepdims=True)
    np.testing.assert_allclose(InnerProduct()(WIDE), expected, rtol=1e-4)


def test_of_one_vector_the_sum_is_left() -> None:
    np.testing.assert_allclose(InnerProduct()(LEFT), LEFT.sum(1, keepdims=True), rtol=1e-4)


def test_the_wider_input_is_projected() -> None:
    block = InnerProduct()
    found = block([LEFT, WIDE])
    (kernel,) = block.get_weights()
    expected = (LEFT * (WIDE.reshape(5, 6) @ kernel)).sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_under_mixed_precision_the_product_is_float32() -> None:
    found = InnerProduct(dtype="mixed_bfloat16")([LEFT, RIGHT])
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, (LEFT * RIGHT).sum(1, keepdims=True), rtol=1e-4)
