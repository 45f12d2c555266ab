"""The factorization machine against the sum over pairs."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import FactorizationMachine
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
FIELDS = RANDOM.normal(size=(5, 4, 3)).astype("float32")
VECTOR = RANDOM.normal(size=(5, 3)).astype("float32")
WIDE = RANDOM.normal(size=(5, 6)).astype("float32")


def pairs(fields: np.ndarray) -> np.ndarray:
    """Takes (batch, fields, dim); returns the sum of all pairs' products, (batch, dim)."""
    return np.sum([fields[:, i] * fields[:, j] for i, j in combinations(range(fields.shape[1]), 2)], axis=0)


@pytest.mark.parametrize(
    ("arguments", "width", "learns"),
    [({}, 1, False), ({"dim": 4}, 1, True), ({"dim": 2, "reduce": False}, 2, True), ({"reduce": False}, 3, False)],
)
def test_it_holds_what_every_block_holds(arguments: dict[str, Any], width: int, learns: bool) -> None:
    check_block(FactorizationMachine, arguments, [VECTOR, FIELDS], output_shape=(5, width), learns=learns)


def test_it_is_the_sum_of_the_inner_products_of_all_pairs() -> None:
    expected = pairs(FIELDS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(FactorizationMachine()(FIELDS), expected, rtol=1e-4, atol=1e-5)


def test_without_the_sum_it_pools_the_products_of_all_pairs() -> None:
    np.testing.assert_allclose(FactorizationMachine(reduce=False)(FIELDS), pairs(FIELDS), rtol=1e-4, atol=1e-5)


def test_vectors_are_fields() -> None:
    found = FactorizationMachine()([np.array([[1, 2]], "float32"), np.array([[3, 4]], "float32")])
    np.testing.assert_allclose(found, [[11]])


@pytest.mark.parametrize("dim", [None, 0])
def test_other_widths_are_projected_to_the_least(dim: int | None) -> None:
    block = FactorizationMachine(dim)
    found = block([WIDE, FIELDS])
    (kernel,) = block.get_weights()
    fields = np.concatenate([(WIDE @ kernel)[:, None], FIELDS], axis=1)
    np.testing.assert_allclose(found, pairs(fields).sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-5)


def test_one_field_alone_gives_zero() -> None:
    np.testing.assert_array_equal(FactorizationMachine()(VECTOR), np.zeros((5, 1)))


def test_under_mixed_precision_small_products_of_large_fields_are_kept() -> None:
    fields = np.array([[[100.0], [0.01]]], "float32")
    found = FactorizationMachine(dtype="mixed_bfloat16")(fields)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, [[1.0]], rtol=1e-2)


def test_fixed_zero_and_false_are_values_and_leave_the_space() -> None:
    hp = kt.HyperParameters()
    block = FactorizationMachine.tune(hp, dim=0, reduce=False)
    assert (block.dim, block.reduce, hp.space) == (0, False, [])


@pytest.mark.parametrize(
    ("arguments", "name"), [({"dim": -1}, "dim"), ({"dim": 2.5}, "dim"), ({"reduce": 1}, "reduce")]
)
def test_what_is_not_allowed_is_named(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=f"`{name}` must be"):
        FactorizationMachine(**arguments)
