"""The four kinds of crosses against their recursions."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import CrossNetwork
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
FIELDS = RANDOM.normal(size=(5, 2, 3)).astype("float32")
VECTOR = RANDOM.normal(size=(5, 4)).astype("float32")
START = np.concatenate([VECTOR, FIELDS.reshape(5, 6)], axis=1)
KINDS = ["vector", "matrix", "low_rank", "mixture"]


def made(kind: str, **arguments: Any) -> tuple[CrossNetwork, list[dict[str, np.ndarray]]]:
    """A network of three layers with random weights, and the weights of each layer by name."""
    block = CrossNetwork(kind, layers=3, rank=2, experts=3, **arguments)
    block.build(START.shape)
    random = np.random.default_rng(1)
    for weight in block.weights:
        weight.assign(random.normal(size=weight.shape, scale=0.3))
    named = {weight.name: weight.numpy() for weight in block.weights}
    layers = [{name[:-2]: value for name, value in named.items() if name.endswith(f"_{n}")} for n in range(3)]
    return block, layers


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_holds_what_every_block_holds(kind: str) -> None:
    arguments = {"kind": kind, "layers": 2, "rank": 3, "experts": 2}
    check_block(CrossNetwork, arguments, [VECTOR, FIELDS], output_shape=(5, 10))


def test_vector_is_the_recursion_of_the_first_paper() -> None:
    block, layers = made("vector")
    x = START
    for layer in layers:
        x = START * (x @ layer["kernel"]) + layer["bias"] + x
    np.testing.assert_allclose(block([VECTOR, FIELDS]), x, rtol=1e-4, atol=1e-5)


def test_matrix_is_the_recursion_of_the_second_paper() -> None:
    block, layers = made("matrix")
    x = START
    for layer in layers:
        x = START * (x @ layer["kernel"] + layer["bias"]) + x
    np.testing.assert_allclose(block(START), x, rtol=1e-4, atol=1e-5)


def test_low_rank_is_the_same_with_a_product_of_thin_matrices() -> None:
    block, layers = made("low_rank")
    x = START
    for layer in layers:
        assert layer["down"].shape == (10, 2)
        x = START * (x @ (layer["down"] @ layer["up"]) + layer["bias"]) + x
    np.testing.assert_allclose(block(START), x, rtol=1e-4, atol=1e-5)


def test_mixture_is_the_gated_sum_of_experts() -> None:
    block, layers = made("mixture")
    x = START
    for layer in layers:
        gates = np.exp(x @ layer["gate"])
        gates /= gates.sum(1, keepdims=True)
        after = x
        for k in range(3):
            part = slice(2 * k, 2 * k + 2)
            inner = np.tanh(np.tanh(x @ layer["down"][:, part]) @ layer["middle"][k])
            after = after + gates[:, k : k + 1] * START * (inner @ layer["up"][part] + layer["bias"])
        x = after
    np.testing.assert_allclose(block(START), x, rtol=1e-4, atol=1e-5)


def test_one_expert_alone_has_no_gate() -> None:
    block = CrossNetwork("mixture", layers=1, rank=2, experts=1)
    found = block(START)
    down, middle, up, _ = block.get_weights()
    expected = START * (np.tanh(np.tanh(START @ down) @ middle[0]) @ up) + START
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_two_layers_by_hand() -> None:
    block = CrossNetwork("vector", layers=2)
    block.build((None, 2))
    for weight, value in zip(block.weights, ([[1], [0]], [[0], [1]], [0, 1], [5, 0])):
        weight.assign(value)
    # x_1 = (1, 2) * 1 + (0, 1) + (1, 2) = (2, 5); x_2 = (1, 2) * 5 + (5, 0) + (2, 5) = (12, 15)
    np.testing.assert_allclose(block(np.array([[1, 2]], "float32")), [[12, 15]])


def test_stacked_experts_start_as_each_by_itself_would() -> None:
    keras.utils.set_random_seed(0)
    block = CrossNetwork("mixture", layers=1, rank=8, experts=4)
    block.build((None, 40))
    limits = {weight.name: np.abs(weight.numpy()).max() for weight in block.weights}
    assert limits["down_0"] == pytest.approx(np.sqrt(6 / 48), rel=0.02)
    assert limits["up_0"] == pytest.approx(np.sqrt(6 / 48), rel=0.02)
    assert limits["middle_0"] == pytest.approx(np.sqrt(6 / 16), rel=0.05)


@pytest.mark.parametrize(
    ("kind", "names"),
    [("vector", {"layers"}), ("matrix", {"layers"}), ("low_rank", {"layers", "rank"})],
)
def test_a_fixed_kind_searches_what_it_uses(kind: str, names: set[str]) -> None:
    hp = kt.HyperParameters()
    CrossNetwork.tune(hp, kind=kind)
    assert {item.name for item in hp.space} == {f"cross_network/{name}" for name in names}


def test_a_searched_kind_has_values_for_what_it_uses_only() -> None:
    hp = kt.HyperParameters()
    hp.values["cross_network/kind"] = "matrix"
    block = CrossNetwork.tune(hp)
    assert set(hp.values) == {"cross_network/kind", "cross_network/layers"}
    assert (block.kind, block.rank, block.experts) == ("matrix", 32, 4)
    hp.values.update({"cross_network/kind": "mixture", "cross_network/rank": 8, "cross_network/experts": 2})
    block = CrossNetwork.tune(hp, "cross_network")
    assert (block.kind, block.rank, block.experts) == ("mixture", 8, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "low rank"}, "Did you mean 'low_rank'"),
        ({"layers": 0}, "`layers` must be a whole number of 1 or more, got 0"),
        ({"rank": 0}, "`rank` must be"),
        ({"experts": True}, "`experts` must be"),
    ],
)
def test_what_is_not_allowed_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CrossNetwork(**arguments)
