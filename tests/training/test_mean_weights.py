"""The mean of a training's last weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from autorec.errors import ConfigError, TrialFailed
from autorec.training import SharpnessAware, TrainOptions, good_weights, tables, train
from autorec.training.mean_weights import MeanWeights
from tests.training import small

ROWS, BATCH = 400, 64  # 7 steps an epoch


def trained(model: Any, average: float, epochs: int = 3, **arguments: Any) -> Any:
    settings = {"layout": small.layout(), "options": TrainOptions(learning_rate=0.02), "batch_size": BATCH, **arguments}
    return train(model, [small.part(ROWS)], rates=[0.02] * epochs, average=average, **settings)


class Steps(keras.callbacks.Callback):
    """Keeps the weights behind each step."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.weights.append(self.model.get_weights())


def counting() -> keras.Model:
    """Returns a model with a weight that is a whole number."""

    class Counting(keras.layers.Dense):
        def build(self, input_shape: Any) -> None:
            self.count = self.add_weight(shape=(), dtype="int32", trainable=False, initializer="ones")
            super().build(input_shape)

    model = small.model()
    return keras.Model(model.input, {"click": Counting(1)(model.layers[-1].output)})


def places(steps: int, last: int) -> list[int]:
    mean = MeanWeights(small.model(), steps, last)
    found, done = [], 0
    while (more := mean.before(done)) is not None:
        done += more
        found.append(done)
    return found


@pytest.mark.parametrize(
    ("steps", "last", "expected"),
    [
        (10, 3, [8, 9, 10]),
        (10, 30, list(range(1, 11))),
        (100, 32, list(range(70, 101, 2))),
        (100, 0, [100]),
        (1000, 24, [978, 979, 981, 982, 984, 985, 987, 988, 990, 991, 993, 994, 996, 997, 999, 1000]),
    ],
)
def test_the_steps_are_evenly_spaced_and_end_with_the_last(steps: int, last: int, expected: list[int]) -> None:
    assert places(steps, last) == expected


def test_a_model_gets_the_mean_of_its_weights_at_those_steps() -> None:
    model = counting()
    count = model.layers[-1].count
    mean = MeanWeights(model, 4, 2)
    for step in range(1, 5):
        for weight in model.trainable_variables:
            weight.assign(np.full(weight.shape, float(step)))
        count.assign(step)
        mean.see(step)
    mean.give()
    for weight in model.trainable_variables:
        np.testing.assert_array_equal(weight.numpy(), np.full(weight.shape, 3.5))
    assert count.numpy() == 4  # a whole number has no mean


def test_of_a_training_that_ends_before_the_first_of_them_nothing_changes() -> None:
    model = small.model()
    mean, before = MeanWeights(model, 10, 2), model.get_weights()
    mean.see(3)
    mean.give()
    for here, there in zip(model.get_weights(), before):
        np.testing.assert_array_equal(here, there)


def test_a_large_table_keeps_its_last_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(good_weights, "SMALL", 0)
    model = small.model()
    mean, table = MeanWeights(model, 2, 2), tables(model)[0]
    for step in (1, 2):
        for weight in model.trainable_variables:
            weight.assign(np.full(weight.shape, float(step)))
        mean.see(step)
    mean.give()
    np.testing.assert_array_equal(table.numpy(), np.full(table.shape, 2.0))
    np.testing.assert_array_equal(model.layers[-1].kernel.numpy(), np.full(model.layers[-1].kernel.shape, 1.5))


@pytest.mark.parametrize("sharpness", [None, SharpnessAware()])
@pytest.mark.parametrize(("average", "last"), [(1.0, 7), (2.0, 14), (0.5, 4)])
def test_a_training_ends_with_the_mean_of_its_last_epochs(average: float, last: int, sharpness: Any) -> None:
    model, steps = small.model(), Steps()
    trained(model, average, callbacks=[steps], options=TrainOptions(learning_rate=0.02, sharpness=sharpness))
    assert len(steps.weights) == 21
    for place, weight in enumerate(model.get_weights()):
        expected = np.mean([weights[place] for weights in steps.weights[-last:]], axis=0, dtype=np.float64)
        np.testing.assert_allclose(weight, expected, rtol=1e-6, atol=1e-7)


def test_how_many_steps_a_call_makes_does_not_matter() -> None:
    by_calls, by_steps = small.model(), small.model()
    trained(by_calls, 1.5)
    trained(by_steps, 1.5, callbacks=[Steps()])
    for here, there in zip(by_calls.get_weights(), by_steps.get_weights()):
        np.testing.assert_array_equal(here, there)


def test_a_loss_that_is_not_finite_leaves_the_weights_of_the_last_good_epoch() -> None:
    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if len(steps.weights) == 17:  # within the epochs of the mean
                self.model.layers[-1].kernel.assign(np.full(self.model.layers[-1].kernel.shape, np.nan))

    model, steps = small.model(), Steps()
    with pytest.raises(TrialFailed, match="step 18"):
        trained(model, 2.0, callbacks=[steps, Spoil()])
    for here, there in zip(model.get_weights(), steps.weights[13]):
        np.testing.assert_array_equal(here, there)


def test_callbacks_see_the_mean_weights_at_the_end() -> None:
    seen: list[Any] = []
    model = small.model()
    see = keras.callbacks.LambdaCallback(on_train_end=lambda *_: seen.extend(model.get_weights()))
    trained(model, 1.0, callbacks=[see])
    for here, there in zip(seen, model.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("average", [-1.0, float("nan"), float("inf"), True, "1"])
def test_a_number_of_epochs_that_is_none_is_refused(average: Any) -> None:
    with pytest.raises(ConfigError, match="`average` must be a number of epochs, 0 or more"):
        trained(small.model(), average)


def test_validation_rows_choose_weights_themselves() -> None:
    with pytest.raises(ConfigError, match="`average` must be 0 where validation rows choose the weights"):
        trained(small.model(), 1.0, validation=small.part(100, seed=1))
