"""The two ends of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest
import tensorflow as tf

from autorec.data.layout import Layout
from autorec.data.schema import Feature, Schema
from autorec.errors import ConfigError
from autorec.spaces import ctr_model, inputs, ranking_model, rating_model, using_layout
from tests.training import small

NAMES = {"user": "categorical", "item": "categorical", "place": "categorical", "age": "numeric", "price": "numeric"}


def schema_of(**kinds: str) -> Schema:
    return Schema([Feature(name, kind) for name, kind in kinds.items()])


def test_inputs_are_the_groups_and_the_fields_of_all_columns(layout: Layout) -> None:
    with using_layout(layout):
        tensors, fields = inputs(kt.HyperParameters(), dim=8)
    assert set(tensors) == set(layout.groups)
    # 3 ids, 2 lists, 2 numbers and an indicator of missing ones, 1 for the statistics
    assert fields.shape == (None, 9, 8)


def test_the_schema_of_the_rows_may_be_given(layout: Layout) -> None:
    schema = schema_of(**NAMES, tags="bag", seen="sequence")
    with using_layout(layout, schema):
        _, fields = inputs(schema, kt.HyperParameters(), dim=8)
    assert fields.shape == (None, 9, 8)


def test_another_schema_is_refused_with_the_difference(layout: Layout) -> None:
    with using_layout(layout), pytest.raises(ConfigError, match=r"`schema`.*They differ in \['seen', 'shop'\]"):
        inputs(schema_of(**NAMES, tags="bag", shop="categorical"), kt.HyperParameters())


def test_what_is_no_schema_is_refused(layout: Layout) -> None:
    with using_layout(layout), pytest.raises(ConfigError, match=r"`schema` must be a Schema"):
        inputs("user", kt.HyperParameters())


def test_an_unknown_argument_is_answered_with_the_nearest(layout: Layout) -> None:
    with using_layout(layout), pytest.raises(ConfigError, match="Did you mean 'dim'"):
        inputs(kt.HyperParameters(), dims=8)


def test_outside_of_a_build_there_is_nothing_to_read() -> None:
    with pytest.raises(ConfigError, match=r"autorec\.spaces\.build\(space, hp, layout\)"):
        inputs(kt.HyperParameters())
    with pytest.raises(ConfigError, match="`layout` must be set while a model is built"):
        ctr_model({}, [])


def head_of(layout: Layout, end: Callable[..., keras.Model], offsets: int = 0) -> keras.Model:
    x = keras.Input((3,), dtype="int32", name="ids")
    tensor = keras.layers.Rescaling(1.0)(x)
    with using_layout(layout):
        return end({"ids": x}, tensor, [tensor[:, :1]] * offsets)


def zeros(model: keras.Model, **batch: Any) -> dict[str, np.ndarray]:
    head = model.layers[-1]
    head.kernel.assign(np.zeros(head.kernel.shape))
    return {name: np.array(value) for name, value in model(batch).items()}


def test_a_model_of_clicks_starts_from_the_rate_of_each_target(layouts: dict[str, Layout]) -> None:
    found = zeros(head_of(layouts["targets"], ctr_model), ids=np.ones((2, 3), "int32"))
    np.testing.assert_allclose(found["click"], np.full((2, 1), np.log(0.3 / 0.7)), rtol=1e-6)
    np.testing.assert_allclose(found["like"], np.full((2, 1), np.log(0.1 / 0.9)), rtol=1e-6)


def test_a_model_of_ratings_starts_from_the_mean_and_counts_offsets_in_deviations(layouts: dict[str, Layout]) -> None:
    found = zeros(head_of(layouts["ratings"], rating_model, offsets=2), ids=np.full((1, 3), 4, "int32"))
    np.testing.assert_allclose(found["stars"], [[3.5 + 1.1 * (4 + 4)]], rtol=1e-6)


def test_the_kind_of_the_targets_must_fit_the_model(layouts: dict[str, Layout]) -> None:
    with pytest.raises(ConfigError, match=r"of the kind 'real' for `rating_model`, got \{'click': 'binary'\}"):
        head_of(layouts["ids"], rating_model)
    with pytest.raises(ConfigError, match=r"of the kind 'binary' for `ctr_model`, got \{'stars': 'real'\}"):
        head_of(layouts["ratings"], ctr_model)


def test_targets_of_both_kinds_are_refused(layouts: dict[str, Layout]) -> None:
    both = replace(layouts["ids"], targets=(*layouts["ids"].targets, *layouts["ratings"].targets))
    with pytest.raises(ConfigError, match="click.*stars"):
        head_of(both, ranking_model)


@pytest.mark.parametrize(("name", "target"), [("ids", "click"), ("ratings", "stars")])
def test_a_ranking_model_is_what_the_targets_ask_for(layouts: dict[str, Layout], name: str, target: str) -> None:
    assert set(head_of(layouts[name], ranking_model).output) == {target}


def test_each_target_may_read_tensors_of_its_own() -> None:
    layout = small.layout("click", "like")
    with using_layout(layout):
        left, right = keras.Input((3,), name="left"), keras.Input((2, 2), name="right")
        shared = keras.Input((1,), name="shared")
        outputs = {"click": [left, shared], "like": right}
        model = ctr_model({"left": left, "right": right, "shared": shared}, outputs)
    rows = {"left": np.ones((4, 3)), "right": np.ones((4, 2, 2)), "shared": np.ones((4, 1))}
    before = model(rows)
    after = model({**rows, "left": np.zeros((4, 3))})
    assert np.array_equal(before["like"], after["like"])
    assert not np.array_equal(before["click"], after["click"])
    with using_layout(layout), pytest.raises(ConfigError, match=r"tensors for each of the targets \['click', 'like'\]"):
        ctr_model({"left": left}, {"click": left})


def test_the_loss_of_a_target_moves_nothing_that_only_others_read() -> None:
    with using_layout(small.layout("click", "like")):
        inputs = keras.Input((3,), name="x")
        towers = {target: keras.layers.Dense(4, name=f"tower_{target}")(inputs) for target in ("click", "like")}
        model = ctr_model({"x": inputs}, towers)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model({"x": np.ones((2, 3), "float32")})["click"])
    moved = {
        variable.path
        for variable, gradient in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables))
        if gradient is not None and np.any(gradient)
    }
    assert {"tower_click/kernel", "tower_click/bias"} < moved
    assert not {"tower_like/kernel", "tower_like/bias"} & moved
    assert len(moved) == 4  # of four of each target's and the head's bias, of which one value is moved
