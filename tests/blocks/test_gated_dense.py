"""A gated layer: by hand, and with its gates open."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.blocks import MLP, GatedDense
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
VECTOR = RANDOM.normal(size=(5, 4)).astype("float32")
FIELDS = RANDOM.normal(size=(5, 2, 3)).astype("float32")


def test_it_holds_what_every_block_holds() -> None:
    check_block(GatedDense, {"units": 7}, [VECTOR, FIELDS], output_shape=(5, 7))


def test_by_hand() -> None:
    block = GatedDense(units=1)
    block.build((None, 2))
    block.set_weights([np.array([[2.0, 1.0], [1.0, -1.0]]), np.array([1.0, 0.5])])
    # relu(2 * 3 + 1 * 2 + 1) = 9, sigmoid(3 - 2 + 0.5) = 0.8176
    np.testing.assert_allclose(block(np.array([[3, 2]], "float32")), [[9 / (1 + np.exp(-1.5))]], rtol=1e-5)


def test_open_gates_reproduce_the_plain_layer() -> None:
    block, plain = GatedDense(units=6, activation="tanh"), MLP(units=6, layers=1, activation="tanh")
    plain(VECTOR)
    block.build((None, 4))
    kernel, bias = plain.get_weights()
    block.set_weights([np.concatenate([kernel, 0 * kernel], 1), np.concatenate([bias, np.full(6, 30.0)])])
    np.testing.assert_allclose(block(VECTOR), plain(VECTOR), rtol=1e-6)


def test_gates_start_open() -> None:
    block = GatedDense(units=3, activation="linear")
    block.build((None, 4))
    block.set_weights([np.zeros((4, 6)), block.get_weights()[1] + np.array([1, 1, 1, 0, 0, 0])])
    np.testing.assert_allclose(block(VECTOR), 0.8808, atol=1e-4)


def test_layer_and_gates_start_as_each_by_itself_would() -> None:
    block = GatedDense(units=40)
    block.build((None, 40))
    assert np.abs(block.kernel.numpy()).max() == pytest.approx(np.sqrt(6 / 80), rel=0.02)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ConfigError, match="`activation` must be the name of a Keras activation"):
        GatedDense(activation="relus")
