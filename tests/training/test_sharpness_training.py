"""Sharpness-aware training through options: of a trainer, over replicas, of a recommender."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

import autorec as ar
from autorec.data.demo import click_log
from autorec.errors import ConfigError
from autorec.training import SharpnessAware, SharpnessAwareModel, TrainOptions, train, xla
from tests.training import small

SHARP = TrainOptions(sharpness=SharpnessAware(rho=0.3, micro_batches=3))


def weights(options: TrainOptions, **more: Any) -> list[Any]:
    model = small.model()
    train(model, [small.part()], None, layout=small.layout(), options=options, batch_size=64, epochs=3, **more)
    return list(model.get_weights())


def test_a_trainer_leaves_the_callers_model_trained() -> None:
    model = small.model()
    seen: list[Any] = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(watch.model))
    more = {"layout": small.layout(), "options": SHARP, "callbacks": [watch], "batch_size": 64, "epochs": 4}
    found = train(model, [small.part()], small.part(seed=1), **more)
    assert type(seen[0]) is SharpnessAwareModel
    assert type(model) is not SharpnessAwareModel
    for mine, theirs in zip(model.get_weights(), seen[0].get_weights()):
        np.testing.assert_array_equal(mine, theirs)
    assert found.history[-1]["loss"] < found.history[0]["loss"]


def test_no_perturbation_trains_as_without_sharpness() -> None:
    for a, b in zip(weights(TrainOptions(sharpness=SharpnessAware(rho=0.0))), weights(TrainOptions())):
        np.testing.assert_array_equal(a, b)


def test_unknown_labels_count_in_no_shard() -> None:
    part = small.part(12)
    part.labels[1:6] = np.nan  # three shards of four rows, of which one, two and four have a label
    found = []
    for sharpness in (SharpnessAware(rho=1e-7, micro_batches=3), None):
        model = small.model()
        options = TrainOptions(optimizer="sgd", table_optimizer="dense", learning_rate=0.5, sharpness=sharpness)
        history = train(model, [part], None, layout=small.layout(), options=options, batch_size=12, epochs=1).history
        found.append([*model.get_weights(), np.array(history[0]["loss"])])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.long
def test_a_long_training_goes_on_with_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = weights(SHARP)
    made: list[bool] = []
    compiles = xla._compiles
    monkeypatch.setattr(xla, "AFTER", 8)
    monkeypatch.setattr(xla, "_compiles", lambda *arguments: made.append(compiles(*arguments)) or made[-1])
    fast = weights(SHARP)
    assert made == [True]
    for a, b in zip(usual, fast):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_shard_that_is_not_finite_does_not_end_a_training() -> None:
    part = small.part(64, weights=True)
    part.weights[3] = np.inf
    with pytest.warns(UserWarning, match="left out"):
        found = train(small.model(), [part], None, layout=small.layout(), options=SHARP, batch_size=64, epochs=2)
    assert np.isfinite([row["loss"] for row in found.history]).all()


def test_settings_are_searched_by_name_and_come_back_from_json() -> None:
    options = TrainOptions(sharpness=(None, SharpnessAware(rho=0.1)))
    assert TrainOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    hp = kt.HyperParameters()
    assert options.tune(hp).sharpness is None
    hp.values["train/sharpness"] = "rho=0.1, micro_batches=8"
    assert options.tune(hp).sharpness == SharpnessAware(rho=0.1)


@pytest.mark.parametrize("value", [0.05, "sam", {"rho": 0.05}, ()])
def test_settings_are_of_their_own_kind(value: Any) -> None:
    with pytest.raises(ConfigError, match="sharpness"):
        TrainOptions(sharpness=value)


@pytest.mark.long
def test_a_recommender_is_searched_and_refitted_sharply(tmp_path: Path) -> None:
    frame = click_log(rows=1500).frame()
    options = ar.TrainOptions(sharpness=(ar.SharpnessAware(rho=0.1, micro_batches=4), None))
    recommender = ar.CTRRecommender("fm", directory=tmp_path / "run", options=options)
    more = {"target": "click", "max_trials": 3, "epochs": 2, "refit": True, "baselines": False, "progress": False}
    recommender.search(frame, **more)
    assert set(recommender.leaderboard()["status"]) == {"completed"}
    assert type(recommender.model()) is not SharpnessAwareModel
    assert recommender.evaluate(frame)["auc"] > 0.5


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp("replicas") / "out.json"
    command = [sys.executable, "-m", "tests.training.sharpness_replicas", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[dict[str, Any]]] = json.loads(out.read_text())
    return found


@pytest.mark.long
@pytest.mark.parametrize("case", ["one", "four", "every", "keras"])
def test_each_replica_perturbs_by_its_own_gradient(replicas: dict[str, list[dict[str, Any]]], case: str) -> None:
    many, one = replicas[case]  # so many micro-batches on two replicas each, twice as many on one device
    np.testing.assert_allclose(many["weights"], one["weights"], atol=1e-5)
    np.testing.assert_allclose(many["losses"], one["losses"], rtol=1e-5)


@pytest.mark.long
def test_batch_normalization_trains_on_replicas(replicas: dict[str, list[dict[str, Any]]]) -> None:
    assert np.isfinite(replicas["normalised"][0]["weights"]).all()
