"""What tasks share: against the papers' formulas, and which losses reach which weights."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import numpy as np
import pytest
import tensorflow as tf

from autorec.blocks import MLP, Experts
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
VECTOR = RANDOM.normal(size=(5, 4)).astype("float32")
FIELDS = RANDOM.normal(size=(5, 2, 3)).astype("float32")
START = np.concatenate([VECTOR, FIELDS.reshape(5, 6)], axis=1)


def weights_of(block: Experts) -> dict[str, np.ndarray]:
    return {weight.name: weight.numpy() for weight in block.weights}


def expert(x: np.ndarray, weights: dict[str, np.ndarray], name: str, number: int) -> np.ndarray:
    """One expert of one layer."""
    bias = weights[f"{name}_bias_0"]
    units = bias.shape[1]
    kernel = weights[f"{name}_kernel_0"][:, number * units : (number + 1) * units]
    return np.maximum(x @ kernel + bias[number], 0)


def mixed(x: np.ndarray, gate: np.ndarray, experts: list[np.ndarray]) -> np.ndarray:
    scores = np.exp(x @ gate)
    scores /= scores.sum(1, keepdims=True)
    return sum(scores[:, [i]] * each for i, each in enumerate(experts))


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "shared_bottom", "layers": 2},
        {"kind": "mmoe", "experts": 3, "dropout": 0.25},
        {"kind": "ple", "experts": 2, "own_experts": 1, "levels": 2, "layers": 2},
    ],
)
def test_each_kind_holds_what_every_block_holds(arguments: dict[str, Any]) -> None:
    arguments = {"tasks": 2, "units": 6, **arguments}
    check_block(Experts, arguments, [VECTOR, FIELDS], output_shape=(5, 6))


def test_a_shared_bottom_gives_each_task_the_same() -> None:
    outputs = Experts(tasks=3, kind="shared_bottom", units=6)(START)
    assert len(outputs) == 3
    np.testing.assert_array_equal(outputs[0], outputs[2])


def test_mmoe_is_the_papers_formula() -> None:
    block = Experts(tasks=2, kind="mmoe", units=3, experts=4)
    outputs, weights = block([VECTOR, FIELDS]), weights_of(block)
    experts = [expert(START, weights, "shared_0", number) for number in range(4)]
    for task, output in enumerate(outputs):
        expected = mixed(START, weights[f"task_{task}_0_gate"], experts)
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


def test_ple_is_the_papers_formula_over_two_levels() -> None:
    block = Experts(tasks=2, kind="ple", units=3, experts=2, own_experts=1, levels=2)
    outputs, weights = block(START), weights_of(block)
    read = {"shared": START, "task_0": START, "task_1": START}
    for level in range(2):
        shared = [expert(read["shared"], weights, f"shared_{level}", number) for number in range(2)]
        own = {name: [expert(read[name], weights, f"{name}_{level}", 0)] for name in ("task_0", "task_1")}
        found = {name: mixed(read[name], weights[f"{name}_{level}_gate"], own[name] + shared) for name in own}
        if level == 0:
            every = [*shared, *own["task_0"], *own["task_1"]]
            found["shared"] = mixed(read["shared"], weights["shared_0_gate"], every)
        read = found
    for task, output in enumerate(outputs):
        np.testing.assert_allclose(output, read[f"task_{task}"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["shared_bottom", "mmoe"])
def test_one_task_with_one_expert_is_a_single_task_network(kind: str) -> None:
    block, single = Experts(tasks=1, kind=kind, units=6, experts=1, layers=2), MLP([6, 6])
    single.build(START.shape)
    block.build(START.shape)
    weights = single.get_weights()
    block.set_weights([weights[0], weights[1][None], weights[2][None], weights[3][None]])
    np.testing.assert_allclose(block(START)[0], single(START), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["mmoe", "ple"])
def test_a_task_s_loss_does_not_reach_what_is_another_task_s_own(kind: str) -> None:
    block = Experts(tasks=2, kind=kind, units=6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(START)[0] ** 2)
    variables = [weight.value for weight in block.weights]
    found = tape.gradient(loss, variables, unconnected_gradients="zero")
    sizes = {weight.name: float(tf.reduce_sum(tf.abs(size))) for weight, size in zip(block.weights, found)}
    others = {name: size for name, size in sizes.items() if name.startswith("task_1")}
    assert others
    assert set(others.values()) == {0.0}
    assert all(size > 0 for name, size in sizes.items() if "kernel" in name and name not in others)


def test_one_expert_alone_has_no_gate() -> None:
    block = Experts(tasks=2, kind="mmoe", experts=1)
    block.build(START.shape)
    assert not [weight for weight in block.weights if "gate" in weight.name]


def test_a_kind_searches_what_it_uses() -> None:
    def searched(kind: str) -> set[str]:
        hp = kt.HyperParameters()
        Experts.tune(hp, tasks=2, kind=kind)
        return {item.name.split("/")[1] for item in hp.space}

    common = {"units", "layers", "dropout"}
    assert searched("shared_bottom") == common
    assert searched("mmoe") == common | {"experts"}
    assert searched("ple") == common | {"experts", "own_experts", "levels"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"kind": "moe"}, "Did you mean 'mmoe'"), ({"tasks": 0}, "`tasks` must be"), ({"levels": 0}, "`levels` must be")],
)
def test_what_is_not_allowed_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Experts(**{"tasks": 2, **arguments})
