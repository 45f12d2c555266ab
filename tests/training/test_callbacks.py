"""Callbacks for any Keras model."""

from __future__ import annotations

import copy
import io
import sys
import time
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from autorec.errors import ConfigError
from autorec.training.callbacks import ExactAUC, Progress, TimeLimit

X = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
Y = (X[:, 0] + np.random.default_rng(1).normal(size=200) > 0).astype("float32")


def plain(outputs: tuple[str, ...] = ()) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    heads = {name: keras.layers.Dense(1, name=name)(inputs) for name in outputs}
    model = keras.Model(inputs, heads or keras.layers.Dense(1, activation="sigmoid")(inputs))
    model.compile("sgd", "mse", jit_compile=False)
    return model


def test_exact_auc_is_that_of_scikit_learn() -> None:
    model = plain()
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[ExactAUC(X, Y)]).history
    assert history["val_auc"][-1] == pytest.approx(roc_auc_score(Y, model.predict(X, verbose=0)[:, 0]))


def test_exact_auc_weighs_rows() -> None:
    model, weight = plain(), np.linspace(0, 1, 200)
    history = model.fit(X, Y, verbose=0, callbacks=[ExactAUC(X, Y, weight, name="auc")]).history
    expected = roc_auc_score(Y, model.predict(X, verbose=0)[:, 0], sample_weight=weight)
    assert history["auc"] == [pytest.approx(expected)]


def test_exact_auc_names_each_of_several_outputs() -> None:
    labels = {"click": Y, "like": 1 - Y}
    history = plain(("click", "like")).fit(X, labels, verbose=0, callbacks=[ExactAUC(X, labels)]).history
    assert {"val_click_auc", "val_like_auc"} <= set(history)


def test_exact_auc_names_an_output_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="dislike"):
        plain(("click",)).fit(X, {"click": Y}, verbose=0, callbacks=[ExactAUC(X, {"dislike": Y})])


def test_a_later_callback_sees_the_exact_auc() -> None:
    stop = keras.callbacks.EarlyStopping("val_auc", mode="max", patience=1, min_delta=1.0)
    history = plain().fit(X, Y, epochs=9, verbose=0, callbacks=[ExactAUC(X, Y), stop]).history
    assert len(history["val_auc"]) == 2


@pytest.mark.alone
def test_a_time_limit_ends_a_training() -> None:
    begin = time.monotonic()
    plain().fit(X, Y, epochs=10**6, batch_size=8, verbose=0, callbacks=[TimeLimit(0.5)])
    assert time.monotonic() - begin < 5.0


def test_a_time_limit_may_be_a_deadline() -> None:
    history = plain().fit(X, Y, epochs=5, verbose=0, callbacks=[TimeLimit(deadline=time.monotonic())]).history
    assert len(history["loss"]) == 1


@pytest.mark.parametrize("arguments", [{}, {"seconds": 0}, {"seconds": 1.0, "deadline": 2.0}])
def test_a_time_limit_is_checked(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="seconds"):
        TimeLimit(**arguments)


def test_progress_writes_a_line_an_epoch() -> None:
    stream = io.StringIO()
    plain().fit(X, Y, epochs=2, verbose=0, callbacks=[ExactAUC(X, Y), Progress(stream)])
    lines = stream.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "val_auc 0." in lines[0]


def test_progress_on_an_open_file_can_be_copied_for_a_trial() -> None:
    assert copy.deepcopy(Progress(sys.__stderr__)).stream is sys.__stderr__
