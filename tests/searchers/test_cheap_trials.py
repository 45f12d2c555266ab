"""Cheap trials of real models: each limit changes what is trained, and their order tells that of full ones."""

from __future__ import annotations

import tempfile
import time
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

from autorec.data.cache import Cache
from autorec.data.demo import click_log
from autorec.data.encode import encode
from autorec.data.inference import infer
from autorec.data.table import as_source
from autorec.run import Run
from autorec.searchers import shares
from autorec.searchers.fidelity import Fidelity, Schedule
from autorec.searchers.oracles import get_oracle
from autorec.searchers.runner import Job, search
from autorec.searchers.trial import TrialTrainer
from autorec.spaces.space import as_space
from autorec.training.options import TrainOptions


@lru_cache
def cache_of(rows: int, fraction: float = 0.1) -> Cache:
    source = as_source(click_log(rows=rows, seed=0).frame())
    schema, folder = infer(source, target="click", user="user"), Path(tempfile.mkdtemp()) / "cache"
    return encode(source, schema, folder, fraction=fraction, statistics=None)


def trainer_of(run: Run, cache: Cache | None = None, space: str = "fm", **arguments: Any) -> TrialTrainer:
    cache = cache_of(1000) if cache is None else cache
    settings = {"objective": "val_auc", "batch_size": 256, "epochs": 2, **arguments}
    return TrialTrainer(
        run,
        cache.train,
        cache.validation,
        cache.layout,
        as_space(space),
        TrainOptions(),
        **settings,  # type: ignore[arg-type]
    )


def trained(folder: Path, fidelity: dict[str, int], values: dict[str, Any] | None = None, **more: Any) -> Any:
    hp = kt.HyperParameters()
    hp.values = dict(values or {})
    with Run(folder) as run:
        result = trainer_of(run, **more)(Job(0, hp, 1, None, fidelity.get("epochs"), fidelity))
    return result, keras.saving.load_model(folder / "trials" / "0000" / "model.keras", compile=False)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained(tmp_path_factory.mktemp("full"), {})


@pytest.fixture(scope="module")
def cheap(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained(tmp_path_factory.mktemp("cheap"), {"rows": 500, "vocabulary": 10, "dim": 4})


def table_of(model: Any) -> tuple[int, ...]:
    return tuple(max((weight.shape for weight in model.weights if len(weight.shape) == 2), key=lambda shape: shape[0]))


def test_a_limit_of_rows_is_one_of_steps(full: Any, cheap: Any) -> None:
    assert (full[0]["steps"], cheap[0]["steps"]) == (2 * 4, 2 * 2)


def test_a_limit_of_the_vocabulary_is_one_of_the_tables(full: Any, cheap: Any) -> None:
    sizes = [column.size for column in cache_of(1000).layout.ids]
    assert table_of(full[1])[0] == sum(sizes)
    assert table_of(cheap[1])[0] == sum(min(size, 10) for size in sizes)


def test_a_limit_of_the_width_is_one_of_the_fields(full: Any, cheap: Any) -> None:
    assert table_of(full[1])[1] - table_of(cheap[1])[1] == 16 - 4


def test_cheap_trials_are_judged_on_as_many_rows_and_all_on_the_same(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        trainer = trainer_of(run)
        rows, validation = trainer._parts(Fidelity(rows=50))
        assert (rows.rows, validation.rows) == (50, 50)
        assert trainer._parts(Fidelity(rows=50, dim=4))[0] is rows
        np.testing.assert_array_equal(trainer_of(run)._parts(Fidelity(rows=50))[0].labels, rows.labels)


def test_a_real_search_raises_its_best_trial(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        trainer = trainer_of(run, epochs=1, space="lr")
        schedule = Schedule(Fidelity(rows=200, vocabulary=20), finalists=1, seeds=1)
        oracle = get_oracle("random", objective="val_auc")
        search(run, oracle=oracle, space_build=trainer.declare, evaluate=trainer, max_trials=2, schedule=schedule)
        rows = run.trials()
        assert [row["fidelity"] for row in rows] == [{"rows": 200, "vocabulary": 20}] * 2 + [{}]
        assert run.best == rows[2]
        assert rows[2]["steps"] > rows[0]["steps"]
        assert (tmp_path / "trials" / "0002" / "model.keras").exists()


def kendall(first: list[float], second: list[float]) -> float:
    """Returns Kendall's tau: the share of pairs in the same order less that in another."""
    pairs = combinations(zip(first, second), 2)
    return float(np.mean([np.sign(a[0] - b[0]) * np.sign(a[1] - b[1]) for a, b in pairs]))


def test_kendalls_tau_counts_pairs() -> None:
    assert kendall([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    assert kendall([1, 2], [2, 1]) == -1


@pytest.mark.long
def test_the_order_of_twenty_architectures_at_low_fidelity_tells_that_at_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    low = {"rows": 4000, "vocabulary": 500}
    scores: dict[str, list[float]] = {"low": [], "full": []}
    with Run(tmp_path) as run:
        # Many validation rows, and no statistics, which make all architectures much alike: their order is no luck.
        trainer = trainer_of(run, cache_of(20_000, 0.3), space="dag", epochs=3)
        oracle = get_oracle("random", objective="val_auc", seed=1)
        trainer.declare(oracle.hyperparameters)
        for number in range(20):
            values = oracle.create_trial(f"worker-{number}").hyperparameters.values
            for name, fidelity in (("low", low), ("full", {})):
                hp = kt.HyperParameters()
                hp.values = {key: value for key, value in values.items() if key.startswith("dag/")}
                scores[name].append(trainer(Job(number, hp, 1, None, None, fidelity))["metrics"]["val_auc"])
    assert len(set(scores["full"])) > 15  # they are different architectures
    tau = kendall(scores["low"], scores["full"])
    with capsys.disabled():
        print(f"Kendall's tau of 20 architectures, low and full fidelity: {tau:.2f}")
    assert tau > 0.27, "two orders of 20 that have nothing to do with each other reach this once in twenty times"


class Sleeper(keras.callbacks.Callback):
    """Sleeps without end in the second trial."""

    trials = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        Sleeper.trials += 1
        if Sleeper.trials == 2:
            time.sleep(600)


@pytest.mark.long
def test_a_callback_that_sleeps_costs_its_trial_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "_GRACE", 0.5)
    monkeypatch.setattr(shares, "_SHARE", 0.05)
    with Run(tmp_path) as run:
        trainer = trainer_of(run, epochs=1, space="lr", callbacks=[Sleeper()])
        oracle = get_oracle("random", objective="val_auc")
        settings: dict[str, Any] = {"space_build": trainer.declare, "evaluate": trainer, "max_trials": 3}
        search(run, oracle=oracle, deadline=time.monotonic() + 300, **settings)
        rows = run.trials()
    assert [row["status"] for row in rows] == ["completed", "failed", "completed"]
    assert "ran over its share" in rows[1]["error"]
    assert "on_epoch_end" in rows[1]["traceback"]
