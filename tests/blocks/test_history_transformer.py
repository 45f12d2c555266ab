"""The history transformer: what it reads, what it leaves out, and what an empty history is."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest
import tensorflow as tf

from autorec.blocks import HistoryTransformer
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
ITEMS = RANDOM.normal(size=(4, 5, 3)).astype("float32")
IDS = np.array([[2, 3, 4, 0, 0], [7, 1, 2, 9, 5], [0, 0, 0, 0, 0], [6, 0, 0, 0, 0]], "int32")
CANDIDATE = RANDOM.normal(size=(4, 2)).astype("float32")
LIKENESS = RANDOM.random(size=(4, 5, 2)).astype("float32")
INPUTS = [ITEMS, IDS, CANDIDATE]


def made(**arguments: Any) -> HistoryTransformer:
    block = HistoryTransformer(**{"width": 4, "last": 2, **arguments})
    block(INPUTS)
    random = np.random.default_rng(1)
    block.set_weights([random.normal(size=weight.shape, scale=0.7) for weight in block.weights])
    return block


def norm(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1) * scale + shift


def encoded(z: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """One layer of one head for one history without padding, (length, width)."""
    inner, outer, outer_bias, first, first_bias, second, second_bias, *norms = weights
    query, key, value = np.split(norm(z, norms[0], norms[1]) @ inner, 3, axis=1)
    scores = np.exp(query @ key.T / np.sqrt(z.shape[1]))
    x = z + scores / scores.sum(1, keepdims=True) @ value @ outer + outer_bias
    return x + np.maximum(norm(x, norms[2], norms[3]) @ first + first_bias, 0) @ second + second_bias


@pytest.mark.parametrize(
    ("arguments", "width"),
    [({"width": 8, "heads": 2, "dropout": 0.25}, 32), ({"width": 6, "layers": 1, "last": 0}, 6)],
)
def test_it_holds_what_every_block_holds(arguments: dict[str, Any], width: int) -> None:
    check_block(HistoryTransformer, arguments, INPUTS, output_shape=(4, width))


def test_layers_are_the_formula() -> None:
    block = made(layers=2)
    item, candidate, mapped, ages = (weight.numpy() for weight in block.weights[:4])
    items = np.concatenate([ITEMS[0, :3], ITEMS[0, :3] * (CANDIDATE[0] @ mapped)], 1)
    z = items @ item + CANDIDATE[0] @ candidate + ages[[2, 1, 0]]  # three items, the newest last
    for encoder in block.encoders:
        layers = (encoder.inner, encoder.outer, encoder.hidden, encoder.back, *encoder.norms)
        z = encoded(z, [weight.numpy() for layer in layers for weight in layer.weights])
    z = norm(z, *(weight.numpy() for weight in block.norm.weights))
    np.testing.assert_allclose(block(INPUTS)[0], [*z.max(0), *z[2], *z[1]], rtol=1e-4, atol=1e-5)


def test_the_likeness_stands_beside_items_and_their_products() -> None:
    block = HistoryTransformer(4, layers=1, last=1)
    found = block([*INPUTS, LIKENESS])
    assert block.item_kernel.shape == (2 * 3 + 2, 4)
    random = np.random.default_rng(1)
    block.set_weights([random.normal(size=weight.shape) for weight in block.weights])
    found = block([*INPUTS, LIKENESS])
    assert np.abs(found - block([*INPUTS, 0 * LIKENESS]))[[0, 1, 3]].min() > 0
    plain = HistoryTransformer(4, layers=1, last=1)
    plain(INPUTS)
    plain.set_weights([block.item_kernel[:6], *block.get_weights()[1:]])
    np.testing.assert_allclose(plain(INPUTS), block([*INPUTS, 0 * LIKENESS]), rtol=1e-5, atol=1e-6)


def test_it_holds_what_every_block_holds_with_a_likeness() -> None:
    check_block(HistoryTransformer, {"width": 8}, [*INPUTS, LIKENESS], output_shape=(4, 32))


def test_an_empty_history_gives_zero_and_no_gradient() -> None:
    block, items = made(), tf.Variable(ITEMS)
    with tf.GradientTape() as tape:
        found = block([items, IDS, CANDIDATE])
    np.testing.assert_array_equal(found[2], np.zeros(12))
    gradient = np.array(tape.gradient(found, items))
    np.testing.assert_array_equal(gradient[2], 0)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("length", [0, 1])
def test_a_batch_of_empty_histories_alone_gives_zero(length: int) -> None:
    found = made()([ITEMS[:, :length], 0 * IDS[:, :length], CANDIDATE])
    np.testing.assert_array_equal(found, np.zeros((4, 12)))


def test_a_model_starts_about_as_if_there_were_no_history_and_lets_it_in() -> None:
    block = HistoryTransformer(4)
    with tf.GradientTape() as tape:
        found = block([*INPUTS, LIKENESS])
        loss = tf.reduce_sum(found * RANDOM.normal(size=found.shape))
    assert 0 < np.abs(found).max() < 0.03
    assert np.abs(tape.gradient(loss, block.norm.gamma.value)).min() > 0


def test_padding_counts_nowhere() -> None:
    block, other = made(), ITEMS.copy()
    other[IDS == 0] = 50
    np.testing.assert_allclose(block([other, IDS, CANDIDATE]), block(INPUTS), rtol=1e-5, atol=1e-6)
    longer = [np.pad(ITEMS, ((0, 0), (0, 3), (0, 0))), np.pad(IDS, ((0, 0), (0, 3))), CANDIDATE]
    np.testing.assert_allclose(block(longer), block(INPUTS), rtol=1e-5, atol=1e-6)


def test_the_newest_items_come_behind_the_maximum_and_missing_ones_are_zero() -> None:
    found = np.array(made(last=3)(INPUTS))[3]
    np.testing.assert_array_equal(found[:4], found[4:8])  # one item is the maximum and the newest
    np.testing.assert_array_equal(found[8:], 0)


@pytest.mark.parametrize("part", ["candidate", "order", "older"])
def test_candidate_order_and_older_items_reach_the_output(part: str) -> None:
    block, items, candidate = made(last=0), ITEMS.copy(), CANDIDATE.copy()
    if part == "candidate":
        candidate += 1
    elif part == "order":
        items[1] = items[1, ::-1]
    else:
        items[1, 0] += 1
    assert np.abs(block([items, IDS, candidate])[1] - block(INPUTS)[1]).max() > 0.001


def test_items_older_than_the_ages_share_the_last_one() -> None:
    block = made(ages=2)
    assert block.age_rows.shape == (2, 4)
    assert np.isfinite(block(INPUTS)).all()


def test_the_length_may_be_unknown() -> None:
    inputs = [keras.Input((None, 3)), keras.Input((None,), dtype="int32"), keras.Input((2,))]
    block = made()
    model = keras.Model(inputs, block(inputs))
    assert model.output_shape == (None, 12)
    np.testing.assert_allclose(model(INPUTS), block(INPUTS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 8, "heads": 3}, "`heads` must be a divisor of the width, 8, got 3"),
        ({"last": -1}, "`last` must be a whole number of 0 or more, got -1"),
        ({"ages": 0}, "`ages` must be"),
    ],
)
def test_what_is_not_allowed_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HistoryTransformer(**arguments)


@pytest.mark.parametrize(("width", "heads"), [(25, [1]), (24, [1, 2]), (None, [1, 2])])
def test_only_heads_that_divide_a_given_width_are_searched(width: int | None, heads: list[int]) -> None:
    hp = kt.HyperParameters()
    HistoryTransformer.tune(hp, width=width)
    assert next(each for each in hp.space if each.name == "history_transformer/heads").values == heads
