"""Losses by hand, with unlabelled rows and weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from autorec.training.losses import MaskedBinaryCrossentropy, MaskedSquaredError, losses
from tests.training import small

LOGITS = np.array([[2.0], [-1.0], [0.5]], np.float32)
LABELS = np.array([[1.0], [1.0], [np.nan]], np.float32)


def entropy(logit: float, label: float) -> float:
    return float(np.log1p(np.exp(-logit if label else logit)))


def test_cross_entropy_is_the_mean_over_labelled_rows() -> None:
    expected = (entropy(2.0, 1) + entropy(-1.0, 1)) / 2
    assert float(MaskedBinaryCrossentropy()(LABELS, LOGITS)) == pytest.approx(expected, rel=1e-6)


def test_weights_multiply_rows() -> None:
    weights = np.array([0.5, 2.0, 9.0], np.float32)
    expected = (0.5 * entropy(2.0, 1) + 2.0 * entropy(-1.0, 1)) / 2
    assert float(MaskedBinaryCrossentropy()(LABELS, LOGITS, weights)) == pytest.approx(expected, rel=1e-6)


def test_an_unlabelled_row_gives_no_gradient() -> None:
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = MaskedBinaryCrossentropy()(LABELS, logits)
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient != 0).ravel().tolist() == [True, True, False]


def test_a_batch_without_labels_has_no_loss() -> None:
    assert float(MaskedSquaredError()(np.full((3, 1), np.nan, np.float32), LOGITS)) == 0.0


def test_squared_error_is_divided_by_the_variance() -> None:
    assert float(MaskedSquaredError(scale=4.0)(LABELS, LOGITS)) == pytest.approx((1.0 + 4.0) / 2 / 4.0)


def test_extreme_logits_stay_finite() -> None:
    logits = np.array([[1e4], [-1e4]], np.float32)
    assert float(MaskedBinaryCrossentropy()(np.array([[0.0], [1.0]], np.float32), logits)) == pytest.approx(1e4)


def test_each_target_gets_the_loss_of_its_kind() -> None:
    binary, real = losses(small.layout().targets), losses(small.layout("rating", kind="real").targets)
    assert isinstance(binary["click"], MaskedBinaryCrossentropy)
    assert real["rating"].scale == 0.25


@pytest.mark.parametrize("loss", [MaskedBinaryCrossentropy(), MaskedSquaredError(2.0)])
def test_losses_survive_serialization(loss: keras.losses.Loss) -> None:
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(again(LABELS, LOGITS)) == float(loss(LABELS, LOGITS))
