"""The preset of several targets: towers, what they share, and what each loss moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest
import tensorflow as tf

from autorec.data.layout import Layout
from autorec.errors import ConfigError
from autorec.spaces import MultiTask, build, from_config, to_config

KINDS = ("shared_bottom", "mmoe", "ple")


def moved(model: Any, batch: dict[str, np.ndarray], target: str) -> set[str]:
    """Returns the paths of the variables that the loss of a target moves."""
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model({group: batch[group] for group in model.input})[target] - 1.0))
    gradients = tape.gradient(loss, variables)
    found = set()
    for variable, gradient in zip(variables, gradients):
        if gradient is not None and np.any(tf.convert_to_tensor(gradient).numpy()):
            found.add(variable.path)
    return found


def towers(paths: set[str]) -> set[str]:
    """Returns the names of the towers among some paths, `mlp` and `mlp_1`."""
    return {path.split("/")[0] for path in paths if path.startswith("mlp")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_a_target_moves_its_own_tower_and_no_other(
    kind: str, layouts: dict[str, Layout], batch_of: Callable[..., Any]
) -> None:
    layout = layouts["targets"]
    model, batch = MultiTask(kind=kind, units=8, tower_units=8).build_for(layout), batch_of(layout)
    click, like = (moved(model, batch, target) for target in ("click", "like"))
    assert len(towers(click)) == len(towers(like)) == 1
    assert not towers(click) & towers(like)
    assert any(path.startswith("experts/shared_0_kernel") for path in click & like)


@pytest.mark.parametrize("groups", [[["click", "like"]], [["like"], ["click"]]])
def test_targets_of_one_group_share_a_tower(
    groups: Sequence[Sequence[str]], layouts: dict[str, Layout], batch_of: Callable[..., Any]
) -> None:
    layout = layouts["targets"]
    model = MultiTask(towers=groups, units=8).build_for(layout)
    found = [towers(moved(model, batch_of(layout), target)) for target in ("click", "like")]
    assert (found[0] == found[1]) == (len(groups) == 1)


def test_what_is_shared_and_the_towers_are_searched(layouts: dict[str, Layout]) -> None:
    hp = kt.HyperParameters()
    build(MultiTask(), hp, layouts["targets"])
    assert hp.get("experts/kind") == "mmoe"
    assert {"experts/units", "experts/experts", "tower/layers", "tower/units"} <= set(hp.values)


def test_of_one_target_it_is_a_model_of_one_tower(layout: Layout, batch_of: Callable[..., Any]) -> None:
    model = MultiTask(kind="shared_bottom").build_for(layout)
    assert list(model.output) == ["click"]
    assert len(towers(moved(model, batch_of(layout), "click"))) == 1


def test_its_towers_survive_a_configuration() -> None:
    space = MultiTask(kind="ple", towers=[["click"], ["like"]])
    assert to_config(from_config(to_config(space))) == to_config(space)
    assert to_config(MultiTask())["arguments"] == {}


@pytest.mark.parametrize("groups", [[["click"]], [["click", "like"], ["like"]], [["click", "like"], []]])
def test_a_target_without_a_tower_or_with_two_is_refused(
    groups: Sequence[Sequence[str]], layouts: dict[str, Layout]
) -> None:
    with pytest.raises(ConfigError, match=r"each of the targets \['click', 'like'\] stands once"):
        MultiTask(towers=groups).build_for(layouts["targets"])


def test_towers_that_are_no_lists_are_refused() -> None:
    with pytest.raises(ConfigError, match="`towers` must be lists of targets"):
        MultiTask(towers=["click", "like"])
