"""The calibration layer: the identity at first, monotone always, and that it learns a distortion."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from autorec.blocks import IsotonicCalibration
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError
from autorec.training.metrics import evaluate

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(6, 1), scale=3).astype("float32")
DEVICE = RANDOM.normal(size=(6, 3)).astype("float32")
WIDE = np.linspace(-15, 15, 401, dtype="float32")[:, None]


def made(seed: int = 1, **arguments: Any) -> IsotonicCalibration:
    """A layer with random weights, some of them below 0."""
    block = IsotonicCalibration(**{"buckets": 8, **arguments})
    block(LOGITS, features=[DEVICE])
    random = np.random.default_rng(seed)
    block.set_weights([random.normal(size=weight.shape) for weight in block.weights])
    return block


def positive(values: np.ndarray) -> np.ndarray:
    """The slopes of some weights."""
    return np.log1p(np.exp(4 * values)) / 4


@pytest.mark.parametrize("mapped", [True, False])
def test_it_holds_what_every_block_holds(mapped: bool) -> None:
    features = [DEVICE] if mapped else [RANDOM.normal(size=(6, 8)).astype("float32")]
    arguments = {"buckets": 8, "mapped": mapped}
    tune = {"mapped": mapped} if mapped else arguments
    check_block(IsotonicCalibration, arguments, LOGITS, keywords={"features": features}, output_shape=(6, 1), tune=tune)


def test_it_holds_so_without_features() -> None:
    check_block(IsotonicCalibration, {}, LOGITS, output_shape=(6, 1))


@pytest.mark.parametrize("features", [[], [DEVICE[:1].repeat(401, 0)]])
def test_it_starts_as_the_identity_also_beyond_its_ends(features: list[Any]) -> None:
    np.testing.assert_allclose(IsotonicCalibration()(WIDE, features=features), WIDE, atol=1e-5)


def test_by_hand() -> None:
    block = IsotonicCalibration(buckets=2, low=-1, high=1)
    block.build((None, 1))
    block.set_weights([np.log(np.expm1(4 * np.array([2.0, 0.5]))) / 4, np.array(-3.0)])  # slopes of 2 and 0.5
    # -3 + 2 * 0.5 at -0.5; -3 + 2 + 0.5 * 0.4 at 0.4; beyond the ends the slopes go on: -3 - 2 and -3 + 2 + 0.5 * 3
    found = block(np.array([[-0.5], [0.4], [-2], [3]], "float32"))
    np.testing.assert_allclose(found[:, 0], [-2, -0.8, -5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_monotone_for_any_weights_and_features(seed: int) -> None:
    block = made(seed)
    steps = [np.diff(block(WIDE, features=[np.tile(device, (401, 1))])[:, 0]) for device in DEVICE]
    assert np.min(steps) >= -1e-5
    assert np.max(steps) > 0.01


def test_it_is_the_interpolation_of_its_knots() -> None:
    block = made()
    slopes = positive(block.get_weights()[0])
    knots = np.concatenate([[0], np.cumsum(2 * slopes)]) + block.get_weights()[1]
    inside = WIDE[np.abs(WIDE[:, 0]) <= 8]
    expected = np.interp(inside[:, 0], np.linspace(-8, 8, 9), knots)
    found = block(inside, features=[np.zeros((len(inside), 3), "float32")])
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_features_are_mapped_to_slopes_or_are_added_to_them() -> None:
    block = made()
    slopes, _, kernel = block.get_weights()
    np.testing.assert_allclose(block.slopes_of([DEVICE]), positive(slopes + DEVICE @ kernel), rtol=1e-5)
    other = IsotonicCalibration(buckets=8, mapped=False)
    rows = np.stack([DEVICE @ kernel, np.ones((6, 8))], 1).astype("float32")  # (batch, fields, buckets)
    other(LOGITS, features=[rows])
    np.testing.assert_allclose(other.slopes_of([rows]), positive(other.get_weights()[0] + rows.sum(1)), rtol=1e-5)


def test_rows_of_the_same_features_keep_their_order() -> None:
    block = made()
    block.slopes.assign(np.abs(block.slopes.numpy()))  # smaller ones are above 0 too, but for float32
    labels = RANDOM.random(401) < 0.5
    logits = RANDOM.normal(size=(401, 1), scale=4).astype("float32")
    features = [np.zeros((401, 3), "float32")]
    assert roc_auc_score(labels, block(logits, features=features)) == roc_auc_score(labels, logits)


def test_a_gradient_reaches_logits_slopes_and_features() -> None:
    block = IsotonicCalibration(buckets=8)
    logits, device = tf.constant(LOGITS), tf.constant(DEVICE)
    block(logits, features=[device])
    block.kernel.assign(np.full((3, 8), 0.1))
    with tf.GradientTape() as tape:
        tape.watch([logits, device])
        loss = tf.reduce_sum(block(logits, features=[device]) ** 2)
    for gradient in tape.gradient(loss, [logits, device, *(weight.value for weight in block.trainable_variables)]):
        assert float(tf.reduce_sum(tf.abs(gradient))) > 0


def test_a_slope_near_nothing_is_still_learned() -> None:
    block = IsotonicCalibration(buckets=8)
    block(LOGITS)
    block.slopes.assign(np.full(8, -1.0))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum((block(tf.constant(LOGITS)) - LOGITS) ** 2)
    assert np.all(block.slopes_of().numpy() > 0)
    assert np.any(np.abs(tape.gradient(loss, block.slopes.value)) > 1e-3)


@pytest.mark.long
def test_it_learns_a_known_distortion_to_a_calibration_error_below_a_hundredth() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(60_000, 1), scale=1.5).astype("float32")
    labels = (random.random((60_000, 1)) < 1 / (1 + np.exp(1 - 2 * logits))).astype("float32")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((1,))
    block = IsotonicCalibration()
    model = keras.Model(inputs, block(inputs))
    falling = keras.optimizers.schedules.CosineDecay(0.02, 960)  # at a rate that stays, the last steps' noise stays too
    model.compile(keras.optimizers.Adam(falling), keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(logits[:40_000], labels[:40_000], batch_size=500, epochs=12, verbose=0)
    chance = 1 / (1 + np.exp(-np.array(model(logits[40_000:]))))
    raw = evaluate(labels[40_000:, 0], 1 / (1 + np.exp(-logits[40_000:, 0])), "binary")
    assert evaluate(labels[40_000:, 0], chance[:, 0], "binary")["ece"] < 0.01 < raw["ece"]
    middle = np.linspace(-1.5, 2, 8, dtype="float32")[:, None]
    np.testing.assert_allclose(model(middle), 2 * middle - 1, atol=0.35)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"buckets": 0}, "`buckets` must be a whole number of 1 or more, got 0"),
        ({"low": 1.0, "high": 1.0}, "`high` must be above `low`, 1.0, got 1.0"),
        ({"low": float("nan")}, "`low` must be a finite number"),
    ],
)
def test_what_is_not_allowed_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        IsotonicCalibration(**arguments)


def test_features_that_are_not_mapped_have_a_value_for_each_bucket() -> None:
    with pytest.raises(ConfigError, match="tensors of 4 values, one for each bucket"):
        IsotonicCalibration(buckets=4, mapped=False)(LOGITS, features=[DEVICE])
