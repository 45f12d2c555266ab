"""The deep network: widths, normalisation, dropout, what is searched."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import MLP
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
VECTOR = RANDOM.normal(size=(6, 3)).astype("float32")
FIELDS = RANDOM.normal(size=(6, 2, 4)).astype("float32")


@pytest.mark.parametrize(
    ("arguments", "width"),
    [
        ({"units": 8}, 8),
        ({"units": [8, 4], "dropout": 0.5, "activation": "gelu"}, 4),
        ({"units": 8, "layers": 1, "batch_norm": True}, 8),
    ],
)
def test_it_holds_what_every_block_holds(arguments: dict[str, Any], width: int) -> None:
    check_block(MLP, arguments, [VECTOR, FIELDS], output_shape=(6, width))


def test_each_layer_is_affine_then_rectified() -> None:
    block = MLP(units=[5, 4])
    found = block([VECTOR, FIELDS])
    x = np.concatenate([VECTOR, FIELDS.reshape(6, 8)], axis=1)
    for kernel, bias in zip(block.weights[::2], block.weights[1::2]):
        x = np.maximum(x @ kernel.numpy() + bias.numpy(), 0)
    np.testing.assert_allclose(found, x, rtol=1e-5, atol=1e-6)


def test_normalisation_comes_ahead_of_the_activation() -> None:
    block = MLP(units=4, layers=1, batch_norm=True, activation="linear")
    found = np.array(block(VECTOR, training=True))
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    rectified = MLP(units=4, layers=1, batch_norm=True)
    rectified.build(VECTOR.shape)
    rectified.set_weights(block.get_weights())
    np.testing.assert_allclose(rectified(VECTOR, training=True), np.maximum(found, 0), atol=1e-5)


def test_dropout_acts_in_training_only() -> None:
    block = MLP(units=256, layers=1, dropout=0.5, activation="softplus")
    assert np.array(block(VECTOR)).min() > 0
    dropped = (np.array(block(VECTOR, training=True)) == 0).mean()
    assert 0.4 < dropped < 0.6


def test_a_whole_number_of_units_is_the_width_of_all_layers() -> None:
    block = MLP(units=7, layers=3)
    block.build([(None, 3), (None, 2, 4)])
    assert [tuple(weight.shape) for weight in block.weights] == [(11, 7), (7,), (7, 7), (7,), (7, 7), (7,)]


def test_the_default_is_two_layers_of_128() -> None:
    block = MLP()
    assert (block.layers, block.units, block.dropout, block.batch_norm) == (2, 128, 0.0, False)


def test_fixed_zero_and_false_are_values_and_leave_the_space() -> None:
    hp = kt.HyperParameters()
    hp.values.update({"mlp/dropout": 0.5, "mlp/batch_norm": True})
    block = MLP.tune(hp, dropout=0.0, batch_norm=False)
    assert (block.dropout, block.batch_norm) == (0.0, False)
    assert {item.name for item in hp.space} == {"mlp/layers", "mlp/units"}


def test_a_list_of_units_fixes_the_number_of_layers() -> None:
    hp = kt.HyperParameters()
    assert MLP.tune(hp, units=[32, 16, 8]).layers == 3
    assert {item.name for item in hp.space} == {"mlp/batch_norm", "mlp/dropout"}


def test_two_in_one_build_share_no_hyperparameter() -> None:
    hp = kt.HyperParameters()
    MLP.tune(hp)
    MLP.tune(hp)
    names = [item.name for item in hp.space]
    assert len(set(names)) == len(names) == 2 * len(MLP.SPACE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "`units` must be a whole number of 1 or more, got 0"),
        ({"units": [8, "16"]}, "`units` must be a whole number of 1 or more, got '16'"),
        ({"units": []}, "`layers` must be a whole number of 1 or more, got 0"),
        ({"layers": 1.5}, "`layers` must be a whole number of 1 or more, got 1.5"),
        ({"units": [8, 4], "layers": 3}, "`layers` must be 2, one for each of `units`, or left out, got 3"),
        ({"dropout": 1.0}, "`dropout` must be a number of 0 or more and below 1, got 1.0"),
        ({"batch_norm": "no"}, "`batch_norm` must be True or False, got 'no'"),
        ({"activation": "reluu"}, "`activation` must be the name of a Keras activation.*got 'reluu'"),
    ],
)
def test_what_is_not_allowed_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MLP(**arguments)
