"""Compressed interactions against the paper's sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autorec.blocks import CompressedInteraction
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
VECTOR = RANDOM.normal(size=(5, 3)).astype("float32")
FIELDS = RANDOM.normal(size=(5, 4, 3)).astype("float32")


def made(layers: int, maps: int = 2) -> CompressedInteraction:
    block = CompressedInteraction(layers, maps)
    block.build(FIELDS.shape)
    random = np.random.default_rng(1)
    for weight in block.weights:
        weight.assign(random.normal(size=weight.shape))
    return block


@pytest.mark.parametrize(("arguments", "width"), [({"layers": 3, "maps": 4}, 12), ({"layers": 1, "maps": 5}, 5)])
def test_it_holds_what_every_block_holds(arguments: dict[str, Any], width: int) -> None:
    check_block(CompressedInteraction, arguments, [VECTOR, FIELDS], output_shape=(5, width))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_layers_are_the_papers_sums(layers: int) -> None:
    block = made(layers)
    x, expected = FIELDS, []
    for kernel in block.get_weights():
        weights = kernel.reshape(x.shape[1], 4, 2)
        found = np.zeros((5, 2, 3))
        for h in range(2):
            for i in range(x.shape[1]):
                for j in range(4):
                    found[:, h] += weights[i, j, h] * x[:, i] * FIELDS[:, j]
        x = found
        expected.append(x.sum(-1))
    np.testing.assert_allclose(block(FIELDS), np.concatenate(expected, 1), rtol=1e-4, atol=1e-4)


def test_by_hand() -> None:
    block = CompressedInteraction(layers=2, maps=1)
    fields = np.array([[[1, 2], [3, 4]]], "float32")
    block.build(fields.shape)
    block.set_weights([np.array([[0.0], [1], [0], [0]]), np.array([[1.0], [0]])])
    # X^1 = (1, 2) * (3, 4) = (3, 8), sum 11; X^2 = X^1 * (1, 2) = (3, 16), sum 19
    np.testing.assert_allclose(block(fields), [[11, 19]])


def test_a_layer_holds_products_of_one_field_more_than_the_one_before() -> None:
    block = made(3)
    once, twice = np.array(block(FIELDS)), np.array(block(2 * FIELDS))
    np.testing.assert_allclose(twice, once * [4, 4, 8, 8, 16, 16], rtol=1e-4)


def test_one_field_alone_is_multiplied_with_itself() -> None:
    block = CompressedInteraction(layers=1, maps=1)
    block.build((None, 3))
    block.set_weights([np.array([[2.0]])])
    np.testing.assert_allclose(block(VECTOR)[:, 0], 2 * (VECTOR**2).sum(1), rtol=1e-5)


def test_fields_may_be_projected() -> None:
    block = CompressedInteraction(dim=2)
    assert block([VECTOR, FIELDS]).shape == (5, 64)
    assert [tuple(weight.shape) for weight in block.as_fields.weights] == [(3, 2), (3, 2)]


@pytest.mark.parametrize("argument", ["layers", "maps", "dim"])
def test_sizes_are_positive(argument: str) -> None:
    with pytest.raises(ConfigError, match=f"`{argument}` must be a whole number of 1 or more, got 0"):
        CompressedInteraction(**{argument: 0})
