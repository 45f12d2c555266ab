"""Cross network: each kind against its formula."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import CrossNetwork
from autorec.blocks.cross_network import KINDS
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


def weights_of(block: CrossNetwork) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    for weight in block.weights:
        weight.assign(rng.normal(size=weight.shape) * 0.5)
    return [
        {w.name.rsplit("_", 1)[0]: w.numpy() for w in block.weights if w.name.endswith(f"_{layer}")}
        for layer in range(block.layers)
    ]


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def mixture(x0: np.ndarray, x: np.ndarray, w: dict[str, np.ndarray], experts: int, rank: int) -> np.ndarray:
    gate, total = softmax(x @ w["gate"]), np.zeros_like(x)
    for i in range(experts):
        hidden = np.tanh(np.tanh(x @ w["down"][:, i * rank : (i + 1) * rank]) @ w["middle"][i])
        total += gate[:, i : i + 1] * x0 * (hidden @ w["up"][i] + w["bias"])
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_it_holds_what_every_block_holds(kind: str) -> None:
    arguments = {"kind": kind, "layers": 2, "rank": 3, "experts": 2}
    check_block(CrossNetwork, arguments, [X, X.reshape(6, 5, 1)], output_shape=(6, 10))


@pytest.mark.parametrize("kind", KINDS)
def test_it_follows_the_recursion_of_its_paper(kind: str) -> None:
    block = CrossNetwork(kind=kind, layers=3, rank=2, experts=2)
    block(X)
    x = X
    for w in weights_of(block):
        if kind == "vector":
            x = X * (x @ w["kernel"]) + w["bias"] + x
        elif kind == "matrix":
            x = X * (x @ w["kernel"] + w["bias"]) + x
        elif kind == "low_rank":
            x = X * (x @ w["down"] @ w["up"] + w["bias"]) + x
        else:
            x = mixture(X, x, w, 2, 2) + x
    np.testing.assert_allclose(block(X), x, rtol=1e-3, atol=1e-4)


def test_a_hand_computed_vector_cross() -> None:
    block = CrossNetwork(kind="vector", layers=1)
    block(np.ones((1, 2), "float32"))
    block.weights[0].assign([[2.0], [1.0]])
    np.testing.assert_allclose(block(np.array([[1.0, 3.0]], "float32")), [[1 * 5 + 1, 3 * 5 + 3]])


def test_rank_and_experts_are_searched_only_where_the_kind_has_them() -> None:
    def names(**fixed: Any) -> set[str]:
        hp = kt.HyperParameters()
        CrossNetwork.tune(hp, **fixed)
        return {name.split("/")[-1] for name in hp.values}

    assert names(kind="matrix") == {"layers"}
    assert names(kind="low_rank") == {"layers", "rank"}
    assert names(kind="mixture") == {"layers", "rank", "experts"}
    assert names() == {"kind", "layers", "rank"}


@pytest.mark.parametrize("bad", [{"kind": "cube"}, {"layers": 0}, {"rank": 0}, {"experts": 1.5}])
def test_a_wrong_argument_is_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(bad))}`"):
        CrossNetwork(**bad)
