"""Spaces by name, as objects and as functions; what a build must return."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

import autorec
from autorec.blocks import MLP
from autorec.data.layout import Layout
from autorec.errors import ConfigError
from autorec.spaces import SPACES, DeepFM, FunctionSpace, as_space, build, ctr_model, from_config, inputs, to_config


def small(hp: Any) -> keras.Model:
    tensors, fields = inputs(hp, dim=4)
    return ctr_model(tensors, MLP.tune(hp, layers=1, dropout=0.0)(fields))


class Own(kt.HyperModel):
    def build(self, hp: Any) -> keras.Model:
        return small(hp)


def test_every_name_of_the_presets_stands_for_a_space() -> None:
    names = [
        "lr",
        "fm",
        "deepfm",
        "wide_deep",
        "dcn",
        "dcnv2",
        "autoint",
        "dlrm",
        "dnn",
        "mf",
        "gmf",
        "neumf",
        "xdeepfm",
        "finalmlp",
        "residual_dcn",
        "lirank",
        "multi_task",
        "auto",
        "dag",
    ]
    assert list(SPACES) == names
    assert all(isinstance(as_space(name), SPACES[name]) for name in names)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"`space` must be one of .*'deepfm'.*got 'deep_fm'.*Did you mean 'deepfm'"):
        as_space("deep_fm")


def test_a_hypermodel_stays_itself_and_a_function_becomes_one() -> None:
    own = Own()
    assert as_space(own) is own
    assert isinstance(as_space(small), FunctionSpace)


@pytest.mark.parametrize("value", [None, 3, ["deepfm"]])
def test_what_is_no_space_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"`space` must be a preset's name"):
        as_space(value)


def test_a_class_is_refused_with_the_call_that_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean DeepFM\(\)"):
        as_space(DeepFM)


def test_functions_and_hypermodels_of_ones_own_are_built(layout: Layout) -> None:
    for space in (small, Own()):
        hp = kt.HyperParameters()
        model = build(space, hp, layout)
        assert list(model.output) == ["click"]
        assert {"mlp/units", "features/numbers"} <= set(hp.values)
        assert "mlp/layers" not in hp.values


def test_a_config_of_a_preset_makes_an_equal_one(layout: Layout) -> None:
    config = json.loads(json.dumps(to_config(DeepFM(units=32, dropout=0.0, statistics=False))))
    assert config == {"preset": "deepfm", "arguments": {"dropout": 0.0, "statistics": False, "units": 32}}
    assert to_config(from_config(config)) == config


def test_a_config_of_a_name_is_that_of_its_space() -> None:
    assert to_config("dcnv2") == {"preset": "dcnv2", "arguments": {}}


@pytest.mark.parametrize(("space", "name"), [(small, "small"), (Own(), "Own"), (FunctionSpace(small), "small")])
def test_code_is_not_stored_and_has_to_be_given_again(space: Any, name: str) -> None:
    config = json.loads(json.dumps(to_config(space)))
    assert config["code"].endswith(f".{name}")
    with pytest.raises(ConfigError, match=rf"`space` must be given again.*{name}"):
        from_config(config)


def test_a_config_of_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'dcnv2'"):
        from_config({"preset": "dcnv3", "arguments": {}})


def test_two_builds_on_one_hp_count_names_afresh(layout: Layout) -> None:
    hp = kt.HyperParameters()
    build(small, hp, layout)
    names = sorted(hp.values)
    build(small, hp, layout)
    assert sorted(hp.values) == names


def test_two_blocks_of_a_kind_do_not_share_names(layout: Layout) -> None:
    def twice(hp: Any) -> keras.Model:
        tensors, fields = inputs(hp)
        return ctr_model(tensors, [MLP.tune(hp)(fields), MLP.tune(hp)(fields)])

    hp = kt.HyperParameters()
    hp.values.update({"mlp/units": 16, "mlp_1/units": 64})
    model = build(twice, hp, layout)
    assert sorted(layer.units for layer in model.layers if isinstance(layer, MLP)) == [16, 64]


def diamond(hp: Any) -> keras.Model:
    tensors, fields = inputs(hp, dim=4)
    shared = MLP.tune(hp, name="shared", layers=1, units=8, dropout=0.0)
    first = shared(fields)
    left, right = keras.layers.Dense(8, name="left")(first), keras.layers.Dense(8, name="right")(first)
    twin = MLP.tune(hp, name="twin", layers=1, units=4, dropout=0.0)
    return ctr_model(tensors, [twin(left), twin(right)])


def test_diamonds_and_shared_blocks_are_allowed(layout: Layout, batch_of: Callable[..., Any]) -> None:
    model = build(diamond, kt.HyperParameters(), layout)
    blocks = [layer for layer in model.layers if isinstance(layer, MLP)]
    assert len(blocks) == 2
    assert np.isfinite(model(batch_of(layout))["click"]).all()


def test_an_input_that_reaches_no_output_is_kept_and_not_looked_at(
    layout: Layout, batch_of: Callable[..., Any]
) -> None:
    def half(hp: Any) -> keras.Model:
        tensors, _ = inputs(hp, dim=4)
        return ctr_model(tensors, keras.layers.Rescaling(1.0)(tensors["statistics"]))

    model, batch = build(half, kt.HyperParameters(), layout), batch_of(layout)
    before = np.array(model(batch)["click"])
    np.testing.assert_array_equal(model({**batch, "ids": batch["ids"] * 0})["click"], before)


def test_what_is_no_model_is_refused(layout: Layout) -> None:
    with pytest.raises(ConfigError, match=r"`space` must be one that builds a functional Keras model, got None"):
        build(lambda hp: None, kt.HyperParameters(), layout)


def test_inputs_must_be_groups_of_the_layout(layout: Layout) -> None:
    def wrong(hp: Any) -> keras.Model:
        x = keras.Input((3,), name="x")
        return keras.Model({"x": x}, {"click": keras.layers.Dense(1)(x)})

    with pytest.raises(ConfigError, match=r"inputs of the model.*some of \['ids', .*got \{'x': \(None, 3\)\}"):
        build(wrong, kt.HyperParameters(), layout)


@pytest.mark.parametrize(("name", "width"), [("clicks", 1), ("click", 2)])
def test_outputs_must_be_one_column_for_each_target(layout: Layout, name: str, width: int) -> None:
    def wrong(hp: Any) -> keras.Model:
        x = keras.Input((3,), name="ids")
        return keras.Model({"ids": x}, {name: keras.layers.Dense(width)(x)})

    with pytest.raises(ConfigError, match=rf"outputs of the model.*click.*got \{{'{name}': \(None, {width}\)\}}"):
        build(wrong, kt.HyperParameters(), layout)


def test_the_public_names_are_those_of_the_spaces() -> None:
    assert autorec.inputs is inputs
    assert autorec.ctr_model is ctr_model
    assert autorec.spaces.SPACES is SPACES
