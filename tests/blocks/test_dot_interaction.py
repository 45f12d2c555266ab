"""The inner products of all pairs of fields."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import DotInteraction
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
FIELDS = RANDOM.normal(size=(5, 4, 3)).astype("float32")
WIDE = RANDOM.normal(size=(5, 6)).astype("float32")


@pytest.mark.parametrize(
    ("arguments", "pairs"), [({}, 10), ({"self_interaction": True}, 15), ({"dim": 2, "self_interaction": False}, 10)]
)
def test_it_holds_what_every_block_holds(arguments: dict[str, Any], pairs: int) -> None:
    check_block(DotInteraction, arguments, [WIDE, FIELDS], output_shape=(5, pairs))


@pytest.mark.parametrize("self_interaction", [False, True])
def test_pairs_come_row_by_row_of_the_lower_triangle(self_interaction: bool) -> None:
    pairs = [(i, j) for i in range(4) for j in range(i + self_interaction)]
    expected = np.stack([(FIELDS[:, i] * FIELDS[:, j]).sum(1) for i, j in pairs], axis=1)
    found = DotInteraction(self_interaction)(FIELDS)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_three_fields_by_hand() -> None:
    fields = np.array([[[1, 2], [3, 4], [5, 6]]], "float32")
    np.testing.assert_array_equal(DotInteraction()(fields), [[11, 17, 39]])


def test_the_gradient_of_a_pair_reaches_its_two_fields() -> None:
    import tensorflow as tf

    fields = tf.Variable(np.array([[[1, 2], [3, 4], [5, 6]]], "float32"))
    block = DotInteraction()
    with tf.GradientTape() as tape:
        second = block(fields)[0, 1]  # fields 2 and 0
    np.testing.assert_array_equal(tf.convert_to_tensor(tape.gradient(second, fields))[0], [[5, 6], [0, 0], [1, 2]])


def test_one_field_has_its_product_with_itself_only() -> None:
    np.testing.assert_array_equal(DotInteraction(True)(np.array([[3, 4]], "float32")), [[25]])
    with pytest.raises(ConfigError, match="two fields or more without `self_interaction`"):
        DotInteraction()(keras.Input((4,)))


def test_fixed_false_is_a_value_and_leaves_the_space() -> None:
    hp = kt.HyperParameters()
    hp.values["dot_interaction/self_interaction"] = True
    assert DotInteraction.tune(hp).self_interaction is True
    assert DotInteraction.tune(kt.HyperParameters(), self_interaction=False).self_interaction is False


@pytest.mark.parametrize(("arguments", "name"), [({"dim": 0}, "dim"), ({"self_interaction": 1}, "self_interaction")])
def test_what_is_not_allowed_is_named(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=f"`{name}` must be"):
        DotInteraction(**arguments)
