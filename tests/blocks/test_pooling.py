"""Lists to one vector, padding left out."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from autorec.blocks import Pooling
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

VALUES = np.array([[[1, -2], [3, -6], [50, 50]], [[7, 7], [8, 8], [9, 9]]], "float32")
IDS = np.array([[5, 1, 0], [0, 0, 0]], "int32")


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_each_mode_holds_what_every_block_holds(mode: str) -> None:
    check_block(Pooling, {"mode": mode}, [VALUES, IDS], output_shape=(2, 2), learns=False)


@pytest.mark.parametrize(("mode", "wanted"), [("mean", [2, -4]), ("sum", [4, -8]), ("max", [3, -2])])
def test_only_values_with_an_id_count(mode: str, wanted: list[float]) -> None:
    np.testing.assert_array_equal(Pooling(mode)([VALUES, IDS])[0], wanted)


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
@pytest.mark.parametrize("length", [0, 3])
def test_an_empty_list_gives_zero(mode: str, length: int) -> None:
    found = Pooling(mode)([VALUES[1:, :length], IDS[1:, :length]])
    np.testing.assert_array_equal(found, [[0, 0]])


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_padding_and_empty_lists_get_no_gradient(mode: str) -> None:
    values = tf.Variable(VALUES)
    with tf.GradientTape() as tape:
        loss = ops.sum(Pooling(mode)([values, IDS]))
    gradient = ops.convert_to_numpy(tape.gradient(loss, values))
    np.testing.assert_array_equal(gradient[IDS == 0], 0)
    assert np.abs(gradient[IDS > 0]).sum() > 0


def test_the_length_may_be_unknown() -> None:
    inputs = [keras.Input((None, 2)), keras.Input((None,), dtype="int32")]
    model = keras.Model(inputs, Pooling("mean")(inputs))
    assert model.output_shape == (None, 2)
    np.testing.assert_array_equal(model([VALUES, IDS]), [[2, -4], [0, 0]])


def test_an_unknown_mode_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'max'"):
        Pooling("maxx")
