"""The gated deep network: with open gates it is the plain one."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import MLP, GatedMLP
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
VECTOR = RANDOM.normal(size=(5, 4)).astype("float32")
FIELDS = RANDOM.normal(size=(5, 2, 3)).astype("float32")


@pytest.mark.parametrize(
    ("arguments", "width"), [({"units": 6, "layers": 3}, 6), ({"units": [8, 3], "dropout": 0.5}, 3)]
)
def test_it_holds_what_every_block_holds(arguments: dict[str, Any], width: int) -> None:
    check_block(GatedMLP, arguments, [VECTOR, FIELDS], output_shape=(5, width))


def test_open_gates_reproduce_the_plain_network() -> None:
    plain, gated = MLP([6, 5]), GatedMLP([6, 5])
    plain.build((None, 4))
    gated.build((None, 4))
    weights = plain.get_weights()
    for part, kernel, bias in zip(gated.stack, weights[::2], weights[1::2]):
        opened = np.concatenate([bias, np.full_like(bias, 30.0)])
        part.set_weights([np.concatenate([kernel, np.zeros_like(kernel)], 1), opened])
    np.testing.assert_allclose(gated(VECTOR), plain(VECTOR), rtol=1e-5, atol=1e-6)


def test_dropout_is_of_training_alone() -> None:
    block = GatedMLP(64, layers=1, activation="linear", dropout=0.5)
    assert (np.array(block(VECTOR, training=True)) == 0).mean() > 0.3
    assert not (np.array(block(VECTOR)) == 0).any()


def test_it_searches_wide_layers() -> None:
    hp = kt.HyperParameters()
    block = GatedMLP.tune(hp, layers=4)
    assert (block.layers, block.units) == (4, 256)
    assert {item.name for item in hp.space} == {"gated_mlp/units", "gated_mlp/dropout"}


def test_a_list_of_widths_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="`layers` must be 2"):
        GatedMLP([8, 4], layers=3)
