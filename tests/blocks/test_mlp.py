"""MLP: layers, arguments, its search space."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import MLP
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

X = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
FIELDS = np.random.default_rng(1).normal(size=(8, 3, 2)).astype("float32")


@pytest.mark.parametrize("batch_norm", [False, True])
def test_it_holds_what_every_block_holds(batch_norm: bool) -> None:
    arguments = {"units": 16, "layers": 2, "dropout": 0.0, "batch_norm": batch_norm}
    check_block(MLP, arguments, [X, FIELDS], output_shape=(8, 16))


def test_one_layer_is_the_rectified_affine_map() -> None:
    block = MLP(units=4, layers=1, dropout=0.0)
    found = block(X)
    kernel, bias = (w.numpy() for w in block.weights)
    np.testing.assert_allclose(found, np.maximum(X @ kernel + bias, 0), rtol=1e-5)


def test_a_list_of_units_gives_the_width_of_each_layer() -> None:
    block = MLP(units=[7, 3], dropout=0.0)
    assert block(X).shape == (8, 3)
    assert [tuple(w.shape) for w in block.weights] == [(5, 7), (7,), (7, 3), (3,)]


def test_dropout_works_in_training_only() -> None:
    block = MLP(units=64, layers=1, dropout=0.5)
    np.testing.assert_array_equal(block(X), block(X))
    assert (np.asarray(block(X, training=True)) == 0).mean() > (np.asarray(block(X)) == 0).mean() + 0.1


def test_falsy_arguments_are_values_and_leave_the_space() -> None:
    hp = kt.HyperParameters()
    block = MLP.tune(hp, dropout=0.0, batch_norm=False)
    assert (block.dropout, block.batch_norm) == (0.0, False)
    assert sorted(hp.values) == ["mlp/layers", "mlp/units"]


def test_two_in_a_build_do_not_share_names() -> None:
    hp = kt.HyperParameters()
    MLP.tune(hp, units=4, dropout=0.0, batch_norm=False)
    MLP.tune(hp, units=4, dropout=0.0, batch_norm=False)
    assert sorted(hp.values) == ["mlp/layers", "mlp_1/layers"]


def test_a_list_of_units_leaves_no_number_of_layers_to_search() -> None:
    hp = kt.HyperParameters()
    assert MLP.tune(hp, units=[8, 4], dropout=0.0, batch_norm=False)(X).shape == (8, 4)
    assert not hp.values


@pytest.mark.parametrize(
    "bad", [{"units": 0}, {"units": []}, {"units": [4, 0]}, {"layers": 0}, {"layers": True}, {"dropout": 1.0}]
)
def test_a_wrong_argument_is_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(bad))}`"):
        MLP(**bad)
