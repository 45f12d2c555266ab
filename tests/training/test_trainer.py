"""Training: the course of epochs, what ends it, what the model is left with."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from autorec.data.cache import Part
from autorec.data.layout import NumberColumn
from autorec.errors import ConfigError, TrialFailed
from autorec.training import TrainOptions, predict, train, validation
from autorec.training import trainer as module
from autorec.training.callbacks import TimeLimit
from tests.training import small

FAST = TrainOptions(learning_rate=0.02)


def run(model: keras.Model | None = None, validated: bool = True, **arguments: Any) -> Any:
    settings = {"layout": small.layout(), "options": FAST, "batch_size": 64, "epochs": 3, **arguments}
    parts = settings.pop("parts", [small.part()])
    judge = settings.pop("validation", small.part(200, seed=1)) if validated else None
    return train(small.model() if model is None else model, parts, judge, **settings)


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What validation says, epoch by epoch."""
    told: list[float] = []
    seen = iter(told)
    monkeypatch.setattr(module, "validate", lambda *_: {"val_auc": next(seen), "val_loss": 0.5})
    return told


def test_training_learns() -> None:
    result = run(epochs=8)
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.metrics["val_auc"] > 0.8


def test_a_result_counts_epochs_and_steps() -> None:
    result = run(epochs=2)
    assert (len(result.history), result.steps) == (2, 2 * 7)
    assert {"loss", "learning_rate", "val_auc", "val_log_loss", "val_ece", "val_loss"} <= set(result.history[0])
    assert result.metrics == {k: v for k, v in result.history[result.best_epoch - 1].items() if k.startswith("val_")}


def test_without_validation_all_epochs_are_trained() -> None:
    result = run(validated=False, epochs=4)
    assert (result.best_epoch, len(result.history), result.metrics) == (4, 4, {})


def test_the_best_weights_are_the_models_at_the_end() -> None:
    model, judge = small.model(), small.part(200, seed=1)
    result = run(model, validation=judge, epochs=30, options=TrainOptions(learning_rate=0.1, plateau=False))
    assert result.best_epoch < len(result.history)
    assert validation.validate(model, judge, small.layout()) == result.metrics


def test_the_first_plateau_restores_and_cuts_the_second_ends(scores: list[float]) -> None:
    scores += [0.7, 0.8, 0.75, 0.79, 0.81, 0.8, 0.8, 0.9]
    result = run(epochs=8, options=TrainOptions(learning_rate=0.02, patience=2))
    rates = [round(epoch["learning_rate"], 6) for epoch in result.history]
    assert rates == [0.02] * 4 + [0.002] * 3
    assert result.best_epoch == 5


def test_the_cut_starts_from_the_best_weights(scores: list[float]) -> None:
    scores += [0.8, 0.7, 0.9]
    weights: list[Any] = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: weights.append(model.get_weights()),
        on_epoch_end=lambda *_: weights.append(model.get_weights()),
    )
    model = small.model()
    run(model, callbacks=[keep], options=TrainOptions(learning_rate=0.02, patience=1))
    for at_best, at_cut in zip(weights[1], weights[4]):
        np.testing.assert_array_equal(at_best, at_cut)


def test_the_course_leaves_out_the_epochs_that_a_cut_took_back(scores: list[float]) -> None:
    scores += [0.7, 0.8, 0.75, 0.79, 0.81, 0.8, 0.8]
    found = run(epochs=7, options=TrainOptions(learning_rate=0.1, patience=2))
    assert found.best_epoch == 5
    assert found.course == pytest.approx([0.1, 0.1, 0.01])


def test_given_rates_are_followed_and_say_how_many_epochs() -> None:
    found = run(validated=False, rates=[0.1, 0.1, 0.01], options=TrainOptions(learning_rate=0.5))
    assert [row["learning_rate"] for row in found.history] == pytest.approx([0.1, 0.1, 0.01])
    assert found.course == pytest.approx([0.1, 0.1, 0.01])
    assert not found.cut


def test_without_a_cut_the_first_plateau_ends(scores: list[float]) -> None:
    scores += [0.8, 0.7, 0.9]
    result = run(options=TrainOptions(plateau=False, patience=1))
    assert (len(result.history), result.best_epoch) == (2, 1)


def test_a_schedule_is_not_cut(scores: list[float]) -> None:
    scores += [0.8, 0.7, 0.9]
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    result = run(options=TrainOptions(optimizer=keras.optimizers.Adam(schedule), patience=1))
    assert len(result.history) == 2


def test_an_equal_score_is_no_new_best(scores: list[float]) -> None:
    scores += [0.8, 0.8]
    assert run(epochs=2).best_epoch == 1


def test_an_objective_to_minimise_counts_downwards() -> None:
    result = run(epochs=3, objective="val_log_loss")
    assert result.metrics["val_log_loss"] == min(epoch["val_log_loss"] for epoch in result.history)


def test_an_objective_that_validation_does_not_give_is_named() -> None:
    with pytest.raises(ConfigError, match=r"objective.*val_auc"):
        run(objective="val_rmse")


def test_the_same_seed_gives_the_same_training() -> None:
    results = [run(small.model(dropout=0.3), seed=seed) for seed in (1, 1, 2)]
    assert results[0].history == results[1].history
    assert results[0].history != results[2].history


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"batch_size": True}, {"epochs": 2.0}, {"parts": []}])
def test_sizes_are_checked(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        run(**arguments)


# Callbacks of the user


def test_early_stopping_of_keras_sees_validation_metrics(scores: list[float]) -> None:
    scores += [0.8, 0.7, 0.9]
    stop = keras.callbacks.EarlyStopping("val_auc", mode="max", patience=0)
    assert len(run(callbacks=[stop], options=TrainOptions(patience=5)).history) == 2


def test_batch_callbacks_see_every_batch() -> None:
    seen: list[int] = []
    run(callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))], epochs=2)
    assert seen == [*range(7), *range(7)]


# Time


@pytest.mark.alone
def test_a_deadline_ends_in_the_middle_of_an_epoch_with_a_score() -> None:
    part = small.part(60_000)
    deadline = time.monotonic() + 4.0
    result = run(parts=[part], batch_size=4, epochs=50, deadline=deadline)
    assert abs(time.monotonic() - deadline) < 3.0  # all 50 epochs take minutes; the machine may be busy
    assert "val_auc" in result.metrics
    assert result.steps % 15_000 != 0


def test_a_deadline_that_is_over_still_gives_one_step_and_a_score() -> None:
    result = run(deadline=time.monotonic() - 1.0)
    assert (result.steps, len(result.history), result.cut) == (1, 1, True)
    assert "val_auc" in result.metrics


def test_a_deadline_behind_an_epoch_cuts_unless_the_training_was_at_its_end() -> None:
    over = time.monotonic() - 1.0
    assert run(batch_size=400, epochs=3, deadline=over).cut  # an epoch is one step
    assert not run(batch_size=400, epochs=1, deadline=over).cut


@pytest.mark.parametrize(("patience", "cut"), [(1, False), (2, True)])
def test_a_training_that_a_plateau_ended_was_not_cut(
    scores: list[float], monkeypatch: pytest.MonkeyPatch, patience: int, cut: bool
) -> None:
    scores += [0.8, 0.7]
    monkeypatch.setattr(module.Stepper, "_late", lambda self: len(judged) == 2)
    judged: list[Any] = []
    told = module.validate
    monkeypatch.setattr(module, "validate", lambda *given: judged.append(given) or told(*given))
    found = run(epochs=9, options=TrainOptions(patience=patience, plateau=False))
    assert (len(found.history), found.cut) == (2, cut)


@pytest.mark.alone
def test_a_time_limit_among_the_callbacks_is_a_deadline() -> None:
    limit = TimeLimit(2.0)
    begin = time.monotonic()
    run(callbacks=[limit], validated=False, batch_size=4, epochs=100_000)
    assert time.monotonic() - begin < 4.0


# Numbers that are none


def nan_after(step: int) -> keras.callbacks.Callback:
    """Spoils the kernel once so many steps are done."""

    class Spoil(keras.callbacks.Callback):
        done = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.done += 1
            if self.done == step:
                kernel = self.model.layers[-1].kernel
                kernel.assign(kernel * np.nan)

    return Spoil()


def test_a_loss_that_is_nan_names_step_and_rate() -> None:
    with pytest.raises(TrialFailed, match=r"step 4 \(epoch 1\), learning rate 0.02; the"):
        run(callbacks=[nan_after(3)])


def test_the_step_is_named_exactly_in_a_loop_of_many() -> None:
    part = small.part(640)
    part.labels[:] = np.inf
    with pytest.raises(TrialFailed, match=r"step 1 "):
        run(parts=[part])


def spoilt_at(epoch: int) -> keras.callbacks.Callback:
    """Makes the weights NaN in the last step of an epoch, counted from 0."""

    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.epoch == epoch and batch == 6:
                kernel = self.model.trainable_variables[-1]
                kernel.assign(np.nan * kernel)

        def on_epoch_begin(self, at: int, logs: Any = None) -> None:
            self.epoch = at

    return Spoil()


def test_weights_that_the_last_step_of_an_epoch_made_nan_end_the_training_with_the_best_ones() -> None:
    model, judge = small.model(), small.part(200, seed=1)
    result = run(model, validation=judge, callbacks=[spoilt_at(1)])
    assert "the objective 'val_auc' is nan after epoch 2" in result.failure
    assert validation.validate(model, judge, small.layout())["val_auc"] == pytest.approx(result.metrics["val_auc"])
    with pytest.raises(TrialFailed, match="'val_auc' is nan after epoch 1.*first weights"):
        run(callbacks=[spoilt_at(0)])


def test_a_schedule_within_an_optimizer_that_scales_losses_is_not_cut(scores: list[float]) -> None:
    scores += [0.8, 0.7]
    rate = keras.optimizers.schedules.CosineDecay(1e-3, 1000)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(rate))
    options = TrainOptions(optimizer=optimizer, table_optimizer="dense", patience=1)
    assert len(run(epochs=9, options=options).history) == 2


def test_a_checkpoint_behind_each_epoch_does_not_slow_the_steps() -> None:
    saved = keras.callbacks.ModelCheckpoint("x.keras")
    assert module._steps_a_call([saved, TimeLimit(9.0)], 7) == 7
    assert module._steps_a_call([keras.callbacks.ModelCheckpoint("x.keras", save_freq=3)], 7) == 1


def test_nan_behind_a_best_epoch_ends_the_training_with_its_weights() -> None:
    model, judge = small.model(), small.part(200, seed=1)
    result = run(model, validation=judge, callbacks=[nan_after(9)])
    assert "step 10 (epoch 2)" in result.failure
    assert "keeps the weights of epoch 1" in result.failure
    assert (result.best_epoch, len(result.history), result.cut) == (1, 1, False)
    assert validation.validate(model, judge, small.layout())["val_auc"] == pytest.approx(result.metrics["val_auc"])


def test_after_nan_in_the_first_epoch_the_model_has_its_first_weights() -> None:
    model = small.model()
    before = model.get_weights()
    with pytest.raises(TrialFailed, match="keeps its first weights"):
        run(model, callbacks=[nan_after(3)])
    for mine, first in zip(model.get_weights(), before):
        np.testing.assert_array_equal(mine, first)


def test_without_validation_the_weights_of_the_last_epoch_are_kept() -> None:
    model = small.model()
    with pytest.raises(TrialFailed, match="keeps the weights of epoch 2"):
        run(model, callbacks=[nan_after(16)], validated=False)
    two = small.model()
    run(two, callbacks=[nan_after(99)], validated=False, epochs=2)
    np.testing.assert_array_equal(model.get_weights()[0], two.get_weights()[0])


def test_weights_that_the_last_step_made_nan_fail_without_validation() -> None:
    with pytest.raises(TrialFailed, match="weights are not finite after epoch 1"):
        run(callbacks=[nan_after(7)], validated=False, epochs=1)


def test_a_loss_that_is_nan_names_the_columns_of_its_rows() -> None:
    """The number of one row in 640 becomes infinite; the message finds the batch it was in."""
    part = small.part(640)
    numbers = np.random.default_rng(0).normal(size=(640, 1))
    numbers[100] = np.inf
    column = NumberColumn("price", "price", 0.0, 1.0, 0.0, 1.0, (-3.0, 3.0), 0.0, median=0.0, span=4.0)
    x = {"ids": keras.Input((2,), dtype="int32", name="ids"), "numbers": keras.Input((1,), name="numbers")}
    hidden = keras.layers.Flatten()(small.Lookup()(x["ids"]))
    model = keras.Model(x, {"click": keras.layers.Dense(1)(keras.layers.Concatenate()([hidden, x["numbers"]]))})
    settings = {"layout": replace(small.layout(), numbers=(column,)), "batch_size": 16}
    with pytest.raises(TrialFailed, match=r"suspicious columns are 'price' \(1 infinite"):
        run(model, parts=[Part({**part.arrays, "numbers": numbers}, part.labels)], validated=False, **settings)


def test_an_objective_that_is_nan_fails() -> None:
    judge = small.part(50)
    judge.labels[:] = 1.0
    with pytest.raises(TrialFailed, match="'val_auc' is nan after epoch 1"):
        run(validation=judge)


# Rows


def test_unlabelled_rows_do_not_count() -> None:
    whole = small.part(64)
    more = Part({"ids": np.repeat(whole.arrays["ids"], 2, axis=0)}, np.repeat(whole.labels, 2, axis=0))
    more.labels[1::2] = np.nan
    losses = [
        run(parts=[part], validated=False, epochs=1, batch_size=len(part.labels)).history[0]["loss"]
        for part in (whole, more)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_rows_of_weight_zero_are_not_learned() -> None:
    part = small.part(200, weights=True)
    part.weights[:] = 0.0
    model = small.model()
    before = predict(model, part)["click"]
    run(model, parts=[part], validated=False, epochs=1, options=TrainOptions(table_l2=0.0))
    np.testing.assert_array_equal(predict(model, part)["click"], before)


def test_several_targets_have_metrics_of_their_own_and_means() -> None:
    names = ("click", "like")
    result = run(
        small.model(*names),
        layout=small.layout(*names),
        parts=[small.part(targets=2)],
        validation=small.part(200, seed=1, targets=2, users=True),
    )
    got = result.metrics
    assert got["val_auc"] == pytest.approx((got["val_click_auc"] + got["val_like_auc"]) / 2)
    assert got["val_loss"] == pytest.approx(got["val_click_log_loss"] + got["val_like_log_loss"])
    assert "val_like_gauc" in got


def test_ratings_are_trained_on_val_rmse() -> None:
    result = run(layout=small.layout(kind="real"))
    assert result.metrics["val_rmse"] == min(epoch["val_rmse"] for epoch in result.history)
    assert result.metrics["val_loss"] == pytest.approx(result.metrics["val_mse"] / 0.25)


def test_a_model_of_bare_tensors_trains_as_one_of_dicts() -> None:
    dicts = small.model()
    bare = keras.Model(dicts.input["ids"], dicts.output["click"])
    bare.set_weights(small.model().get_weights())
    history = run(bare, epochs=1).history
    assert history == run(small.model(), epochs=1).history


@pytest.mark.parametrize("options", [TrainOptions(table_optimizer="dense"), TrainOptions(clip=1.0, optimizer="sgd")])
def test_other_recipes_train(options: TrainOptions) -> None:
    history = run(options=options, epochs=2).history
    assert history[1]["loss"] < history[0]["loss"]


def test_what_was_traced_is_let_go_with_the_model() -> None:
    def graphs() -> int:
        keras.utils.clear_session(free_memory=False)
        gc.collect()
        return sum(type(item).__name__ == "FuncGraph" for item in gc.get_objects())

    before = graphs()
    run(epochs=1)
    assert graphs() <= before


def test_a_targets_loss_counts_by_its_weight() -> None:
    layout, part = small.layout("click", "like"), small.part(targets=2)
    options = TrainOptions(loss_weights={"like": 3.0}, learning_rate=1e-9)
    result = train(small.model("click", "like"), [part], part, layout=layout, options=options, epochs=1)
    metrics = result.metrics
    assert metrics["val_loss"] == pytest.approx(metrics["val_click_log_loss"] + 3 * metrics["val_like_log_loss"])
    assert result.history[0]["loss"] == pytest.approx(metrics["val_loss"], rel=1e-3)
