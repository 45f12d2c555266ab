"""The deep network of any depth."""

from __future__ import annotations

import keras_tuner as kt
import pytest

from autorec.blocks import MLP
from autorec.data.layout import Layout
from autorec.errors import ConfigError
from autorec.spaces import DNN, build


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_the_depth_is_the_number_of_hidden_layers(layout: Layout, depth: int) -> None:
    layers = [layer for layer in DNN(depth=depth).build_for(layout).layers if isinstance(layer, MLP)]
    assert [layer.layers for layer in layers] == ([depth] if depth else [])


def test_width_and_dropout_matter_only_where_there_are_layers(layout: Layout) -> None:
    for depth, there in ((0, False), (2, True)):
        hp = kt.HyperParameters()
        hp.values["dnn/depth"] = depth
        build(DNN(), hp, layout)
        assert {"dnn/units", "mlp/dropout"} <= set(hp.values) if there else "dnn/units" not in hp.values


def test_a_depth_beyond_the_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="`depth` must be a whole number from 0 to 8"):
        DNN(depth=9)
