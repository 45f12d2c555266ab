"""The mean over a sequence in which newer values count more."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from autorec.blocks import Pooling, RecencyMean
from autorec.blocks.recency_mean import START
from autorec.blocks.testing import check_block
from autorec.data.attributes import FADING

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=(4, 5, 3)).astype("float32")
IDS = np.array([[2, 3, 4, 0, 0], [7, 1, 2, 9, 5], [0, 0, 0, 0, 0], [6, 0, 0, 0, 0]], "int32")
INPUTS = [VALUES, IDS]


def test_it_holds_what_every_block_holds() -> None:
    check_block(RecencyMean, {}, INPUTS, output_shape=(4, 3))


def mean_of(decay: float) -> RecencyMean:
    block = RecencyMean()
    block.build([(4, 5, 3), (4, 5)])
    block.decay.assign(decay)
    return block


@pytest.mark.parametrize("decay", [0.5, -0.25])
def test_values_are_the_formula(decay: float) -> None:
    found = np.array(mean_of(decay)(INPUTS))
    for row, length in ((0, 3), (1, 5), (3, 1)):
        weights = np.exp(-decay * np.arange(length)[::-1])
        np.testing.assert_allclose(found[row], weights @ VALUES[row, :length] / weights.sum(), rtol=1e-5)
    np.testing.assert_array_equal(found[2], 0)


def test_without_a_decay_it_is_the_plain_mean() -> None:
    np.testing.assert_allclose(mean_of(0.0)(INPUTS), Pooling()(INPUTS), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("decay", [1e4, -1e4])
def test_a_decay_far_out_stays_finite(decay: float) -> None:
    block = mean_of(decay)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(INPUTS))
    assert np.isfinite(tape.gradient(loss, block.decay.value))
    if decay > 0:
        np.testing.assert_allclose(np.array(block(INPUTS))[1], VALUES[1, 4], rtol=1e-5)  # the newest alone


def test_a_batch_of_empty_sequences_gives_zero() -> None:
    np.testing.assert_array_equal(RecencyMean()([VALUES[:, :0], IDS[:, :0]]), np.zeros((4, 3)))


def test_the_decay_is_learned_from_what_fades() -> None:
    rng = np.random.default_rng(0)
    values, ids = rng.normal(size=(512, 8, 1)).astype("float32"), np.ones((512, 8), "int32")
    weights = np.exp(-0.4 * np.arange(8)[::-1])
    labels = (values[..., 0] * weights).sum(1) / weights.sum()
    inputs = [keras.Input((8, 1)), keras.Input((8,), dtype="int32")]
    block = RecencyMean()
    model = keras.Model(inputs, block(inputs))
    model.compile(keras.optimizers.Adam(0.02), "mse", run_eagerly=False)
    model.fit([values, ids], labels, epochs=15, batch_size=64, verbose=0)
    assert float(block.decay.numpy()) == pytest.approx(0.4, abs=0.05)


def test_moments_of_a_cache_are_those_of_the_decay_it_starts_from() -> None:
    assert START == FADING
