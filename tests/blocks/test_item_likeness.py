"""The likeness of past items: what counts as alike, and how much."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from autorec.blocks import ItemLikeness
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

VALUES = np.array([[0, 0], [0, 0], [7, 2], [7, 1], [8, 3], [0, 2]])
SHARES = (np.array([0, 0, 0, 0, 0, 0, 0, 0.5, 0.25]), np.array([0, 0, 0.1, 0.4]))
PAST = np.array([[2, 3, 4, 0], [5, 1, 2, 3], [0, 0, 0, 0]], "int32")
ITEM = np.array([[3, 7, 1], [1, 8, 2], [2, 7, 2]], "int32")
INPUTS = [PAST, ITEM]


def layer(**more: Any) -> ItemLikeness:
    return ItemLikeness(6, [9, 4], (VALUES, SHARES), **more)


def test_values_are_those_computed_by_hand() -> None:
    found = np.array(layer()(INPUTS))
    # The second attribute of the first item is unknown: like none, even where it is equal.
    np.testing.assert_allclose(found[0], [[0, 0.5, 0], [1, 0.5, 0], [0, 0, 0], [0, 0, 0]])
    # An unknown item is no item's equal, and a value that no row has told is missing.
    np.testing.assert_allclose(found[1], [[0, 0, 0.9], [0, 0, 0], [0, 0, 0.9], [0, 0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(found[2], 0)


def test_what_a_row_does_not_tell_its_item_does() -> None:
    untold = np.array([[3, 0, 0], [2, 0, 0]], "int32")
    found = np.array(layer()([PAST[[0, 0]], untold]))
    np.testing.assert_array_equal(found[0], layer()([PAST[:1], np.array([[3, 7, 1]])])[0])
    np.testing.assert_array_equal(found[1], layer()([PAST[:1], np.array([[2, 7, 2]])])[0])


def test_padding_and_unknown_items_are_like_nothing_whatever_their_values() -> None:
    block = ItemLikeness(6, [9, 4], (np.full((6, 2), 3), SHARES))
    found = np.array(block([np.array([[0, 1, 2]]), np.array([[4, 3, 3]])]))
    np.testing.assert_array_equal(found[0, :2], 0)
    assert found[0, 2, 1:].min() > 0


def test_without_attributes_it_tells_whether_an_item_is_the_same() -> None:
    found = ItemLikeness(6)([PAST, ITEM[:, :1]])
    np.testing.assert_array_equal(found[..., 0], [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_ids_beyond_the_tables_are_like_none() -> None:
    found = np.array(layer()([np.array([[2, 90, 3]]), np.array([[91, 70, 60]])]))
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize("attributes", [[], [9, 4]])
def test_it_holds_what_every_block_holds(attributes: list[int]) -> None:
    width = 1 + len(attributes)
    arguments = {"size": 6, "attributes": attributes}
    check_block(ItemLikeness, arguments, [PAST, ITEM[:, :width]], output_shape=(3, 4, width), learns=False)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_it_is_not_trained_and_exact_under_any_policy(policy: str) -> None:
    block = layer(dtype=policy)
    found = block(INPUTS)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    np.testing.assert_array_equal(found, layer()(INPUTS))
    assert not block.trainable_weights


def test_a_loaded_layer_has_what_it_was_made_with(tmp_path: Any) -> None:
    inputs = [keras.Input((None,), dtype="int32"), keras.Input((3,), dtype="int32")]
    keras.Model(inputs, layer()(inputs)).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(INPUTS), layer()(INPUTS))


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ConfigError, match=r"`initial` must be values and shares of the shapes \[\(6, 1\), \(9,\)\]"):
        ItemLikeness(6, [9], (VALUES, SHARES))
    with pytest.raises(ConfigError, match="`size` must be"):
        ItemLikeness(1)
