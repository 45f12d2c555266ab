"""Factorization machine: all pairs of fields."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autorec.blocks import FactorizationMachine
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

FIELDS = np.random.default_rng(0).normal(size=(6, 4, 3)).astype("float32")
VECTOR = np.random.default_rng(1).normal(size=(6, 5)).astype("float32")


@pytest.mark.parametrize(("reduce", "width"), [(True, 1), (False, 3)])
def test_it_holds_what_every_block_holds(reduce: bool, width: int) -> None:
    check_block(FactorizationMachine, {"reduce": reduce, "dim": 3}, [FIELDS, VECTOR], output_shape=(6, width))


def test_it_is_the_sum_of_all_inner_products() -> None:
    expected = sum((FIELDS[:, i] * FIELDS[:, j]).sum(-1) for i, j in itertools.combinations(range(4), 2))
    np.testing.assert_allclose(np.asarray(FactorizationMachine()(FIELDS))[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_without_reduce_it_is_the_sum_of_all_products() -> None:
    expected = sum(FIELDS[:, i] * FIELDS[:, j] for i, j in itertools.combinations(range(4), 2))
    np.testing.assert_allclose(FactorizationMachine(reduce=False)(FIELDS), expected, rtol=1e-4, atol=1e-5)


def test_a_hand_computed_value() -> None:
    fields = np.array([[[1, 2], [3, 4], [5, 6]]], "float32")
    assert float(FactorizationMachine()(fields)[0, 0]) == pytest.approx((3 + 8) + (5 + 12) + (15 + 24))


def test_one_field_gives_nothing() -> None:
    np.testing.assert_allclose(FactorizationMachine()(FIELDS[:, :1]), np.zeros((6, 1)), atol=1e-6)


def test_a_wrong_width_is_named() -> None:
    with pytest.raises(ConfigError, match="`dim`"):
        FactorizationMachine(dim=0)
