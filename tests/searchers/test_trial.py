"""A real trial: a model is built, trained, kept, and forgotten."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

from autorec.data.cache import Part
from autorec.data.layout import Layout
from autorec.errors import ConfigError, DataError, TrialFailed
from autorec.run import Run
from autorec.searchers import trial as module
from autorec.searchers.budgets import Budgets, OverBudget
from autorec.searchers.runner import Job
from autorec.searchers.trial import TrialTrainer, copy_callbacks, without_optimizer
from autorec.spaces import DeepFM
from autorec.spaces.limits import limited_dim
from autorec.spaces.space import FunctionSpace
from autorec.training.options import TrainOptions
from autorec.training.sharpness import SharpnessAware
from tests.training import small


@dataclass
class Result:
    metrics: dict[str, float] = field(default_factory=lambda: {"val_auc": 0.7})
    history: list[dict[str, float]] = field(default_factory=lambda: [{"val_auc": 0.6}, {"val_auc": 0.7}])
    best_epoch: int = 2
    seconds: float = 0.1
    steps: int = 4
    course: list[float] = field(default_factory=lambda: [0.1, 0.1])
    cut: bool = False
    failure: str | None = None


class Options:
    precision = None

    def tune(self, hp: Any) -> TrainOptions:
        hp.Float("train/learning_rate", 0.0, 1.0)
        return TrainOptions(sharpness=SharpnessAware())


def build(space: Any, hp: Any, layout: Layout) -> keras.Model:
    inputs = keras.Input((2,), name="ids")
    return keras.Model({"ids": inputs}, {"click": keras.layers.Dense(hp.Int("units", 1, 3), name="dense")(inputs)})


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of every training; nothing is trained."""
    found: list[dict[str, Any]] = []

    def train(model: Any, parts: Any, validation: Any, **arguments: Any) -> Result:
        model.compile("adam", "mse")
        found.append({"model": model, "kernel": model.get_layer("dense").get_weights()[0], **arguments})
        return Result(failure=Result.failure, cut=Result.cut)

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "build", build)
    return found


def trainer_of(run: Run, **arguments: Any) -> TrialTrainer:
    part = Part({}, np.zeros((1, 1), np.float32))
    settings = {"objective": "val_auc", "batch_size": 8, "epochs": 5, **arguments}
    return TrialTrainer(run, part, part, Layout(), None, Options(), **settings)  # type: ignore[arg-type]


def job_of(number: int = 0, **arguments: Any) -> Job:
    settings = {"seed": 3, "deadline": None, "epochs": None, "fidelity": {}, **arguments}
    return Job(number, kt.HyperParameters(), **settings)


def test_a_trial_gives_its_metrics_and_leaves_a_model_file(tmp_path: Path, calls: list[Any]) -> None:
    with Run(tmp_path) as run:
        result = trainer_of(run)(job_of(7))
    assert result["metrics"] == {"val_auc": 0.7}
    assert (result["best_epoch"], result["epochs"], result["parameters"], result["cut"]) == (2, 2, 3, False)
    assert (result["dense_parameters"], result["operations"]) == (3, 2)
    assert not {"model_size", "latency"} & set(result)
    model = keras.models.load_model(tmp_path / "trials" / "0007" / "model.keras")
    np.testing.assert_array_equal(model.get_layer("dense").get_weights()[0], calls[0]["kernel"])
    assert not model.compiled


def test_the_seed_of_a_job_decides_its_first_weights(tmp_path: Path, calls: list[Any]) -> None:
    with Run(tmp_path) as run:
        for seed in (3, 3, 4):
            trainer_of(run)(job_of(seed=seed))
    np.testing.assert_array_equal(calls[0]["kernel"], calls[1]["kernel"])
    assert not np.array_equal(calls[0]["kernel"], calls[2]["kernel"])


@pytest.mark.parametrize(("allowed", "expected"), [(None, 5), (2, 2), (9, 5)])
def test_a_searcher_may_allow_fewer_epochs(
    tmp_path: Path, calls: list[Any], allowed: int | None, expected: int
) -> None:
    with Run(tmp_path) as run:
        trainer_of(run)(job_of(epochs=allowed))
    assert calls[0]["epochs"] == expected


@pytest.mark.parametrize(
    ("fidelity", "sharp"),
    [({}, True), ({"epochs": 5}, True), ({"epochs": 2}, False), ({"rows": 1}, True), ({"dim": 1}, False)],
)
def test_a_cheap_trial_is_trained_plainly(
    tmp_path: Path, calls: list[Any], fidelity: dict[str, int], sharp: bool
) -> None:
    with Run(tmp_path) as run:
        trainer_of(run)(job_of(epochs=fidelity.get("epochs"), fidelity=fidelity))
    assert calls[0]["options"] == TrainOptions(sharpness=SharpnessAware() if sharp else None)


def test_the_longest_trials_of_hyperband_are_trained_as_the_options_say(tmp_path: Path, calls: list[Any]) -> None:
    with Run(tmp_path) as run:
        trainer_of(run)(job_of(epochs=3))  # fewer than the trainer allows, and as many as the searcher ever does
    assert calls[0]["options"].sharpness == SharpnessAware()


@pytest.mark.parametrize(
    ("objective", "rows", "expected"),
    [
        ("val_auc", 999, "val_log_loss"),
        ("val_auc", 1000, "val_auc"),
        ("val_like_gauc", 5, "val_like_log_loss"),
        ("val_ece", 5, "val_ece"),
        ("val_rmse", 5, "val_rmse"),
    ],
)
def test_on_few_validation_rows_log_loss_chooses_the_epoch(
    tmp_path: Path, calls: list[Any], objective: str, rows: int, expected: str
) -> None:
    with Run(tmp_path) as run:
        trainer = trainer_of(run, objective=objective)
        trainer.validation = Part({}, np.arange(rows, dtype=np.float32)[:, None] % 2)
        trainer(job_of())
    assert calls[0]["objective"] == expected


@pytest.mark.parametrize(("ones", "expected"), [(99, "val_log_loss"), (100, "val_auc")])
def test_on_few_rows_of_a_class_log_loss_chooses_the_epoch(
    tmp_path: Path, calls: list[Any], ones: int, expected: str
) -> None:
    with Run(tmp_path) as run:
        trainer = trainer_of(run, objective="val_auc")
        trainer.layout = small.layout()
        trainer.validation = Part({}, (np.arange(5000)[:, None] < ones).astype(np.float32))
        trainer(job_of())
    assert calls[0]["objective"] == expected


@pytest.mark.parametrize("cut", [True, False])
def test_a_trial_whose_training_the_deadline_ended_was_cut(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    monkeypatch.setattr(Result, "cut", cut)
    with Run(tmp_path) as run:
        assert trainer_of(run)(job_of(deadline=time.monotonic() + 60))["cut"] is cut


def test_a_fidelity_of_an_unknown_name_is_refused(tmp_path: Path, calls: list[Any]) -> None:
    with Run(tmp_path) as run, pytest.raises(ConfigError, match="`fidelity` must be one of .* Did you mean 'rows'"):
        trainer_of(run)(job_of(fidelity={"row": 10}))


def test_only_a_space_of_ours_without_callbacks_is_trusted_to_come_back(tmp_path: Path) -> None:
    class Mine(DeepFM):
        pass

    with Run(tmp_path) as run:
        spaces = [DeepFM(), Mine(), FunctionSpace(lambda hp: None)]  # type: ignore[arg-type, return-value]
        found = [replace(trainer_of(run), space=space).trusted for space in spaces]
        with_callback = replace(trainer_of(run, callbacks=[keras.callbacks.EarlyStopping()]), space=DeepFM())
    assert found == [True, False, False]
    assert not with_callback.trusted


def test_few_validation_rows_of_one_class_are_not_what_cheap_trials_are_judged_by(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[Part] = []
    monkeypatch.setattr(module, "epoch_metric", lambda objective, part, _: judged.append(part.rows) or objective)
    labels = np.zeros((2000, 1), np.float32)
    labels[::1000] = 1.0  # two ones: a hundred rows by chance have none
    with Run(tmp_path) as run:
        trainer = trainer_of(run)
        trainer.train, trainer.validation, trainer.layout = Part({}, labels), Part({}, labels), small.layout()
        trainer(job_of(fidelity={"rows": 100}))
        trainer.validation, trainer._limited = Part({}, np.arange(2000, dtype=np.float32)[:, None] % 2), {}
        trainer(job_of(fidelity={"rows": 100}))
    assert judged == [2000, 100]


def test_a_job_of_fewer_rows_has_a_batch_size_for_them(tmp_path: Path, calls: list[Any]) -> None:
    part = Part({}, np.zeros((3000, 1), np.float32))
    with Run(tmp_path) as run:
        trainer = replace(trainer_of(run, batch_size=2048), train=part)
        trainer(job_of(fidelity={"rows": 1000}))
        trainer(job_of())
    assert [call["batch_size"] for call in calls] == [256, 2048]


def test_each_trial_gets_callbacks_of_its_own(tmp_path: Path, calls: list[Any]) -> None:
    mine = keras.callbacks.EarlyStopping(patience=3)
    with Run(tmp_path) as run:
        trainer = trainer_of(run, callbacks=[mine])
        trainer(job_of(0))
        calls[0]["callbacks"][0].patience = 9
        trainer(job_of(1))
    given = [call["callbacks"][0] for call in calls]
    assert given[0] is not given[1]
    assert (given[1].patience, mine.patience) == (3, 3)


def test_a_callback_that_cannot_be_copied_is_named_before_any_training(tmp_path: Path) -> None:
    class Holding(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

    with Run(tmp_path) as run, pytest.raises(ConfigError, match=r"`callbacks`.*Holding holds something"):
        trainer_of(run, callbacks=[Holding()])


def test_what_is_no_callback_is_refused() -> None:
    with pytest.raises(ConfigError, match="callbacks"):
        copy_callbacks([print])


def test_declaring_registers_recipe_and_space(tmp_path: Path, calls: list[Any]) -> None:
    hp = kt.HyperParameters()
    with Run(tmp_path) as run:
        trainer_of(run).declare(hp)
    assert sorted(hp.values) == ["train/learning_rate", "units"]


def test_epochs_are_told_to_progress(tmp_path: Path, calls: list[Any]) -> None:
    heard: list[dict[str, Any]] = []
    with Run(tmp_path) as run:
        trainer_of(run, emit=heard.append)(job_of(2))
    calls[0]["callbacks"][-1].on_epoch_begin(0)
    assert heard == [{"event": "epoch", "number": 2, "epoch": 1, "remaining": None}]


def test_a_model_without_its_optimizer_predicts_the_same() -> None:
    model = build(None, kt.HyperParameters(), Layout())
    model.compile("adam", "mse")
    bare = without_optimizer(model)
    x = {"ids": np.ones((3, 2), np.float32)}
    np.testing.assert_array_equal(bare(x)["click"], model(x)["click"])
    assert not bare.compiled


ALL = SimpleNamespace(train=None, layout=Layout())  # all rows, as a cache has them


def test_a_refit_follows_the_course_of_the_trial_on_all_rows(tmp_path: Path, calls: list[Any]) -> None:
    row = {"values": {"units": 2}, "seed": 3, "course": [0.1, 0.01]}
    calls.clear()
    with Run(tmp_path) as run:
        model = trainer_of(run, all_rows=lambda: ALL).refit(row)
    assert model.get_layer("dense").units == 2
    assert calls[0]["layout"] is ALL.layout
    assert calls[0]["rates"] == [0.1, 0.01]
    assert calls[0]["average"] == pytest.approx(2 / 3)  # of three epochs or more the last one
    assert "epochs" not in calls[0]


def test_of_several_workers_one_that_cannot_encode_all_rows_ends(tmp_path: Path, calls: list[Any]) -> None:
    def full() -> Any:
        raise DataError("the disk is full")

    row = {"values": {}, "seed": 3, "course": [0.1, 0.1]}
    with Run(tmp_path) as run:
        trainer = trainer_of(run, all_rows=full)
        with pytest.raises(DataError, match="the disk is full"):
            trainer.refit(row)
        trainer.workers.__dict__["count"] = 2
        with pytest.raises(OSError, match="the disk is full"):
            trainer._refit(row, None)


def test_a_refit_that_is_cut_short_fails(tmp_path: Path, calls: list[Any]) -> None:
    row = {"values": {}, "seed": 3, "course": [0.1] * 4}
    with Run(tmp_path) as run, pytest.raises(TrialFailed, match="time"):
        trainer_of(run, all_rows=lambda: ALL).refit(row)
    assert calls[0]["average"] == 1.0


def test_a_trial_that_its_loss_ended_early_is_kept_and_told(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Result, "failure", "the loss is not finite at step 9")
    told: list[dict[str, Any]] = []
    with Run(tmp_path) as run:
        result = trainer_of(run, emit=told.append)(job_of(2))
        assert (run.trial_directory(2) / "model.keras").exists()
    assert result["failure"] == "the loss is not finite at step 9"
    assert "trial 2 ended early: the loss is not finite at step 9" in [event.get("text") for event in told]


@pytest.mark.parametrize(("error", "ends"), [(OSError("disk"), True), (ValueError("a space's own"), False)])
def test_a_worker_passes_over_what_fails_everywhere_and_ends_by_what_fails_with_it_alone(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch, error: Exception, ends: bool
) -> None:
    orders = iter([{"values": {}, "seed": 1, "number": 0, "epochs": None, "fidelity": {}}, None])

    def fails(job: Job) -> None:
        raise error

    with Run(tmp_path) as run:
        trainer = trainer_of(run)
        monkeypatch.setattr(trainer, "_train", fails)
        monkeypatch.setattr(type(trainer.workers), "from_chief", lambda *_: next(orders))
        with pytest.raises(OSError, match="disk") if ends else nullcontext():
            trainer.follow()
    assert next(orders, "all were read") == (None if ends else "all were read")


# Budgets


def timed(monkeypatch: pytest.MonkeyPatch, *times: float) -> None:
    left = iter(times)
    monkeypatch.setattr(module, "latency", lambda model, part: next(left))


def test_a_model_over_a_budget_is_not_trained(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, 3.0)
    with Run(tmp_path) as run:
        with pytest.raises(OverBudget, match="model size 12 bytes is over max_model_size 11 bytes") as large:
            trainer_of(run, budgets=Budgets(max_model_size=11, max_latency=1.0))(job_of())
        with pytest.raises(OverBudget, match="latency 3 ms is over max_latency 1 ms") as slow:
            trainer_of(run, budgets=Budgets(max_model_size=12, max_latency=1.0))(job_of())
    assert large.value.costs == {"model_size": 12}
    assert slow.value.costs == {"model_size": 12, "latency": 3.0}
    assert calls == []


def test_a_trial_within_its_budgets_tells_what_its_model_costs(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, 3.0)
    with Run(tmp_path) as run:
        timed_one = trainer_of(run, budgets=Budgets(max_latency=3.0))(job_of())
        other = trainer_of(run, budgets=Budgets(objectives=("val_auc", "operations")))(job_of())
    assert (timed_one["model_size"], timed_one["latency"]) == (12, 3.0)
    assert other["model_size"] == 12
    assert "latency" not in other


def test_the_latency_of_the_same_values_is_measured_once(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, 2.0, 4.0)
    with Run(tmp_path) as run:
        trainer = trainer_of(run, budgets=Budgets(max_latency=3.0))
        job = job_of(0)
        assert trainer(job)["latency"] == 2.0
        run.append({"event": "finished", "number": 0, "values": job.hp.values, "latency": 2.0})
        assert trainer(job_of(1))["latency"] == 2.0
        other = kt.HyperParameters()
        other.values = {"units": 3}
        with pytest.raises(OverBudget):
            trainer(Job(2, other, seed=3, deadline=None, epochs=None, fidelity={}))


def test_a_cheap_trial_is_held_to_the_size_of_its_model_in_full(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wide(space: Any, hp: Any, layout: Layout) -> keras.Model:
        inputs = keras.Input((2,), name="ids")
        return keras.Model({"ids": inputs}, {"click": keras.layers.Dense(limited_dim(8), name="dense")(inputs)})

    monkeypatch.setattr(module, "build", wide)
    with Run(tmp_path) as run:
        result = trainer_of(run, budgets=Budgets(max_model_size=96))(job_of(fidelity={"dim": 2}))
        with pytest.raises(OverBudget, match="96 bytes"):
            trainer_of(run, budgets=Budgets(max_model_size=95))(job_of(fidelity={"dim": 2}))
    assert (result["parameters"], result["model_size"]) == (6, 96)


def test_a_latency_that_cannot_be_measured_fails_the_trial(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(model: Any, part: Part) -> float:
        raise ValueError("no batch of one")

    monkeypatch.setattr(module, "latency", breaks)
    with Run(tmp_path) as run, pytest.raises(TrialFailed, match="cannot be measured: ValueError: no batch of one"):
        trainer_of(run, budgets=Budgets(max_latency=1.0))(job_of())


def test_a_further_objective_that_is_not_measured_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        trainer_of(run, budgets=Budgets(objectives=("val_loss", "latency", "dense_parameters")))
        with pytest.raises(ConfigError, match="`objective` must be one of"):
            trainer_of(run, budgets=Budgets(objectives=("val_loss", "val_gauc")))
