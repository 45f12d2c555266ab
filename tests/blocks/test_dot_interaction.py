"""Dot interaction: every pair once."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.blocks import DotInteraction
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

FIELDS = np.random.default_rng(0).normal(size=(6, 4, 3)).astype("float32")


@pytest.mark.parametrize(("itself", "width"), [(False, 10), (True, 15)])
def test_it_holds_what_every_block_holds(itself: bool, width: int) -> None:
    vector = np.random.default_rng(1).normal(size=(6, 5)).astype("float32")
    arguments = {"self_interaction": itself, "dim": 3}
    check_block(DotInteraction, arguments, [FIELDS, vector], output_shape=(6, width))


def test_it_has_the_inner_product_of_every_pair_in_the_order_of_the_lower_triangle() -> None:
    pairs = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
    expected = np.stack([(FIELDS[:, i] * FIELDS[:, j]).sum(-1) for i, j in pairs], 1)
    np.testing.assert_allclose(DotInteraction()(FIELDS), expected, rtol=1e-4, atol=1e-5)


def test_with_self_interaction_squares_are_there_too() -> None:
    found = DotInteraction(self_interaction=True)(np.array([[[1, 2], [3, 4]]], "float32"))
    np.testing.assert_allclose(found, [[5, 11, 25]])


def test_one_field_alone_has_no_pair() -> None:
    with pytest.raises(ConfigError, match="two or more fields"):
        DotInteraction()(FIELDS[:, :1])


def test_a_wrong_width_is_named() -> None:
    with pytest.raises(ConfigError, match="`dim`"):
        DotInteraction(dim=-1)
