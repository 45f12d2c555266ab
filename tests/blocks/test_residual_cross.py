"""Residual crosses against plain ones, their temperature, and what a degenerate attention comes to."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from autorec.blocks import CrossNetwork, ResidualCross, residual_cross
from autorec.blocks.residual_cross import FLOOR
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
VECTOR = RANDOM.normal(size=(5, 4)).astype("float32")
FIELDS = RANDOM.normal(size=(5, 2, 3)).astype("float32")
START = np.concatenate([VECTOR, FIELDS.reshape(5, 6)], axis=1)


def made(layers: int = 2, rank: int = 3, width: int = 10, **arguments: Any) -> ResidualCross:
    """A block with random weights that let attention be uneven."""
    block = ResidualCross(layers, rank, **arguments)
    block.build((None, width))
    random = np.random.default_rng(1)
    for weight in block.weights:
        if "temperature" not in weight.name:
            weight.assign(random.normal(size=weight.shape, scale=0.4))
    return block


def plain(block: ResidualCross, kind: str = "low_rank") -> CrossNetwork:
    """Crosses with the values' and the outer factors of a block, as thin matrices or multiplied."""
    rank = block.crosses[0]["up"].shape[0]
    other = CrossNetwork(kind, layers=block.layers, rank=rank)
    other.build((None, block.crosses[0]["up"].shape[1]))
    for kernels, bias, weights in zip(other.kernels, other.biases, block.crosses):
        down, up = weights["down"].numpy()[:, :rank], weights["up"].numpy()
        for name, value in {"down": down, "up": up, "kernel": down @ up}.items():
            if name in kernels:
                kernels[name].assign(value)
        bias.assign(weights["bias"])
    return other


def softmax(scores: np.ndarray) -> np.ndarray:
    found = np.exp(scores - scores.max(-1, keepdims=True))
    return found / found.sum(-1, keepdims=True)


@pytest.mark.parametrize(("parallel", "width"), [(True, 20), (False, 10)])
@pytest.mark.parametrize("skip", [True, False])
def test_it_holds_what_every_block_holds(parallel: bool, width: int, skip: bool) -> None:
    arguments = {"layers": 2, "rank": 3, "skip": skip, "parallel": parallel}
    check_block(ResidualCross, arguments, [VECTOR, FIELDS], output_shape=(5, width))


@pytest.mark.parametrize("skip", [True, False])
def test_layers_are_the_formula(skip: bool) -> None:
    block = made(skip=skip, parallel=False, temperature=0.5)
    x = START
    for weights in block.crosses:
        value, query, key = np.split(x @ weights["down"].numpy(), 3, axis=1)
        tau = FLOOR + np.log1p(np.exp(weights["raw"].numpy()))
        u = np.einsum("bij,bj->bi", softmax(query[:, :, None] * key[:, None, :] / tau), value)
        x = START * ((u + value if skip else u) @ weights["up"].numpy() + weights["bias"].numpy()) + x
    np.testing.assert_allclose(block([VECTOR, FIELDS]), x, rtol=1e-4, atol=1e-5)


def test_by_hand() -> None:
    block = ResidualCross(layers=1, rank=1, parallel=False)
    block.build((None, 2))
    for weight, value in zip(block.weights, ([[1, 5, 7], [0, 5, 7]], [[1, 2]], [3, 4])):
        weight.assign(value)
    # v = 1, and attention to one column alone gives it back: u = 2; (1, 2) * ((2, 4) + (3, 4)) + (1, 2) = (6, 18)
    np.testing.assert_allclose(block(np.array([[1, 2]], "float32")), [[6, 18]], rtol=1e-6)


def test_of_full_rank_without_attention_it_is_dcnv2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual_cross, "mix", lambda query, key, value: value)
    block = made(rank=10, skip=False, parallel=False)
    np.testing.assert_allclose(block(START), plain(block, "matrix")(START), rtol=1e-4, atol=1e-5)


def test_attention_that_is_the_identity_without_skip_is_a_low_rank_cross(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual_cross, "mix", lambda query, key, value: value)
    block = made(skip=False, parallel=False)
    np.testing.assert_allclose(block(START), plain(block)(START), rtol=1e-6, atol=1e-6)


def test_attention_of_zero_with_skip_is_a_low_rank_cross(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual_cross, "mix", lambda query, key, value: 0 * value)
    block = made(skip=True, parallel=False)
    np.testing.assert_allclose(block(START), plain(block)(START), rtol=1e-6, atol=1e-6)


def test_outer_factors_and_biases_of_zero_are_the_identity() -> None:
    block = made(parallel=False)
    for weights in block.crosses:
        weights["up"].assign(ops.zeros_like(weights["up"]))
        weights["bias"].assign(ops.zeros_like(weights["bias"]))
    np.testing.assert_array_equal(block(START), START)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_crosses_without_attention_are_a_polynomial_of_one_degree_more(
    layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residual_cross, "mix", lambda query, key, value: 0 * value)
    block = made(layers=layers, rank=2, width=2, parallel=False)
    for weight in block.weights:
        weight.assign(np.ones(weight.shape))  # whole numbers: sums of products are exact
    points = np.arange(layers + 3)[:, None] * np.array([[1, 2]]) + np.array([[1, -1]])
    values = np.array(block(points.astype("float32")), "float64")
    np.testing.assert_array_equal(np.diff(values, n=layers + 2, axis=0), 0)
    assert np.abs(np.diff(values, n=layers + 1, axis=0)).max() > 0


def test_plain_crosses_stand_beside_it() -> None:
    block = made(parallel=True)
    assert block.plain is not None
    np.testing.assert_allclose(block(START)[:, 10:], block.plain(START), rtol=1e-6)
    alone = made(parallel=False)
    alone.set_weights(block.get_weights()[: len(alone.weights)])
    np.testing.assert_allclose(block(START)[:, :10], alone(START), rtol=1e-6)


def with_temperature(raw: float) -> ResidualCross:
    block = made(layers=1, parallel=False)
    block.crosses[0]["raw"].assign(raw)
    return block


def test_attention_sums_to_one() -> None:
    for attention in made(layers=2).attention(START):
        assert attention.shape == (5, 3, 3)
        np.testing.assert_allclose(np.sum(attention, axis=-1), 1, rtol=1e-5)


def test_a_high_temperature_attends_to_all_alike() -> None:
    block = with_temperature(1e8)
    np.testing.assert_allclose(block.attention(START)[0], 1 / 3, rtol=1e-4)
    value = START @ block.crosses[0]["down"].numpy()[:, :3]
    u = value.mean(1, keepdims=True) + value
    expected = START * (u @ block.crosses[0]["up"].numpy() + block.crosses[0]["bias"].numpy()) + START
    np.testing.assert_allclose(block(START), expected, rtol=1e-3, atol=1e-4)


def test_a_temperature_that_underflows_is_the_floor_and_attends_to_one_column() -> None:
    block = with_temperature(-1e4)
    assert float(block.temperatures()[0]) == pytest.approx(FLOOR)
    attention = np.array(block.attention(START)[0])
    assert np.isfinite(block(START)).all()
    np.testing.assert_allclose(np.sort(attention, axis=-1)[..., -1], 1, atol=0.05)


def test_no_exponent_is_above_0_with_the_few_digits_of_a_product_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = residual_cross.ops.matmul
    monkeypatch.setattr(residual_cross.ops, "matmul", lambda x, y: exact(_coarse(x), _coarse(y)))
    query, key = (tf.constant(np.random.default_rng(i).normal(size=(64, 8)), tf.float32) * 1e4 for i in (0, 1))
    assert np.max(residual_cross.unnormalised(query, key)) == 1.0


def _coarse(x: Any) -> Any:
    """Returns 32-bit numbers as the units of a GPU that multiply matrices read them: with 10 bits of mantissa."""
    return tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, tf.int32), -(1 << 13)), tf.float32)


@pytest.mark.parametrize("size", [1e3, 1e10])
def test_large_scores_stay_finite_with_their_gradients(size: float) -> None:
    query = tf.constant([[size, -size, 0.0]])
    key, value = tf.Variable([[1.0, -2.0, 3.0]]), tf.Variable([[1.0, 2.0, 4.0]])
    with tf.GradientTape() as tape:
        found = residual_cross.mix(query, key, value)
    np.testing.assert_allclose(found, [[4, 2, 7 / 3]], rtol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(found, [key, value]))


def test_the_temperature_starts_at_a_multiple_of_the_root_of_the_rank_and_is_learned() -> None:
    block = ResidualCross(layers=1, rank=4, temperature=0.5)
    inputs = tf.constant(START)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(inputs) ** 2)
    assert float(block.temperatures()[0]) == pytest.approx(1.0, rel=1e-5)
    assert float(ops.abs(tape.gradient(loss, block.crosses[0]["raw"].value))) > 0


@pytest.mark.parametrize(("rank", "width", "expected"), [(None, 40, 10), (None, 3, 1), (None, 4000, 256), (64, 10, 10)])
def test_the_rank_is_a_quarter_of_the_width_and_never_above_it(rank: int | None, width: int, expected: int) -> None:
    block = ResidualCross(1, rank, parallel=False)
    block.build((None, width))
    assert block.crosses[0]["up"].shape == (expected, width)


def test_what_is_searched_can_be_fixed() -> None:
    hp = kt.HyperParameters()
    block = ResidualCross.tune(hp, skip=False, rank=16)
    assert (block.skip, block.rank, block.temperature) == (False, 16, 1.0)
    assert {item.name for item in hp.space} == {
        f"residual_cross/{name}" for name in ("layers", "temperature", "parallel")
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 0}, "`layers` must be a whole number of 1 or more, got 0"),
        ({"rank": 257}, "`rank` must be at most 256: attention takes batch x rank x rank values, got 257"),
        ({"temperature": 0.0}, "`temperature` must be a finite number above 0, got 0.0"),
        ({"skip": 1}, "`skip` must be True or False"),
    ],
)
def test_what_is_not_allowed_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ResidualCross(**arguments)
