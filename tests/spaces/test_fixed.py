"""A point of a space as a space."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner as kt
import pytest

import autorec
from autorec.data.layout import Layout
from autorec.errors import ConfigError
from autorec.spaces import Auto, FixedSpace, build, from_config, to_config

FOUND = {"features/dim": 8, "interaction_0/type": "inner_product", "auto/interactions": 1, "auto/linear": False}


def shapes(model: keras.Model) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in model.weights]


def test_it_builds_what_the_space_builds_with_these_values(layout: Layout) -> None:
    model = build(FixedSpace("auto", FOUND), kt.HyperParameters(), layout)
    assert shapes(model) == shapes(Auto().build_for(layout, FOUND))
    assert shapes(model) != shapes(Auto().build_for(layout))


def test_the_values_it_used_stand_among_the_trials_and_cannot_change(layout: Layout) -> None:
    hp = kt.HyperParameters()
    build(FixedSpace("auto", {**FOUND, "of/another/space": 3}), hp, layout)
    assert {type(declared).__name__ for declared in hp.space} == {"Fixed"}
    assert FOUND.items() <= hp.values.items()
    assert "of/another/space" not in hp.values


def test_a_kind_that_other_data_does_not_allow_gives_way_to_the_default(layouts: dict[str, Layout]) -> None:
    hp = kt.HyperParameters()
    build(FixedSpace("auto", FOUND), hp, layouts["numbers"])
    assert hp.values["interaction_0/type"] == "mlp"
    assert hp.values["auto/interactions"] == 1


def test_it_survives_a_configuration(layout: Layout) -> None:
    space = FixedSpace(Auto(dim=4, types=["mlp", "inner_product"]), FOUND)
    config = json.loads(json.dumps(to_config(space)))
    again = from_config(config)
    assert to_config(again) == config
    models = [build(one, kt.HyperParameters(), layout) for one in (space, again)]
    assert shapes(models[0]) == shapes(models[1])


def test_of_a_function_only_the_values_are_written(build_small: Callable[[Any], keras.Model]) -> None:
    config = to_config(FixedSpace(build_small, {"mlp/layers": 1}))
    assert config["fixed"] == {"mlp/layers": 1}
    with pytest.raises(ConfigError, match="a configuration holds no code"):
        from_config(config)


@pytest.fixture
def build_small() -> Callable[[Any], keras.Model]:
    def small(hp: Any) -> keras.Model:
        inputs, fields = autorec.inputs(hp, dim=4)
        return autorec.ctr_model(inputs, [autorec.blocks.MLP.tune(hp)(fields)])

    return small


def test_a_function_is_fixed_too(layout: Layout, build_small: Callable[[Any], keras.Model]) -> None:
    values = {"mlp/layers": 1, "mlp/units": 16}
    hp = kt.HyperParameters()
    build(FixedSpace(build_small, values), hp, layout)
    assert values.items() <= hp.values.items()


@pytest.mark.parametrize("values", [[1], {"a": [1]}, {3: 1}])
def test_values_are_plain(values: Any) -> None:
    with pytest.raises(ConfigError, match="`values` must be a dict of names and numbers"):
        FixedSpace("lr", values)
