"""A trainer is sent without its rows, and opened where the rows are."""

from __future__ import annotations

import threading
from dataclasses import fields
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
from autorec.searchers.budgets import Budgets
from autorec.searchers.job import Job
from autorec.searchers.portable import PortableTrainer
from autorec.searchers.transport import pack, unpack
from autorec.searchers.trial import TrialTrainer
from autorec.spaces import LR
from autorec.training.options import TrainOptions


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    source = as_source(click_log(rows=400, seed=0).frame())
    return encode(source, infer(source, target="click"), tmp_path_factory.mktemp("rows") / "cache", statistics=None)


def trainer_of(run: Run, cache: Cache, **more: Any) -> TrialTrainer:
    settings: dict[str, Any] = {"objective": "val_auc", "batch_size": 128, "epochs": 1, "seed": 5, **more}
    return TrialTrainer(run, cache.train, cache.validation, cache.layout, LR(), TrainOptions(), **settings)


def test_all_fields_but_those_made_there_arrive(tmp_path: Path, cache: Cache) -> None:
    given = {"budgets": Budgets(max_model_size=10**6), "newest": "time", "callbacks": [keras.callbacks.Callback()]}
    lock = threading.Lock()  # as a progress bar has one
    given |= {"all_rows": lambda: lock, "emit": lambda event: lock}
    with Run(tmp_path / "run") as run:
        trainer = trainer_of(run, cache, **given)
        packed = pack(PortableTrainer.of(trainer, cache.directory), PortableTrainer.GIVEN)
    found = unpack(packed).open(tmp_path, len)
    same = {field.name for field in fields(trainer) if not field.name.startswith("_")}
    same -= {"run", "train", "validation", "layout", "emit", "workers", "quiet", "all_rows", "space", "callbacks"}
    assert {name: getattr(found, name) for name in same} == {name: getattr(trainer, name) for name in same}
    assert len(packed) < 10_000 < cache.train.arrays["ids"].nbytes
    assert isinstance(found.train.arrays["ids"], np.memmap)


def test_it_trains_the_same_model_and_leaves_it_in_its_own_folder(tmp_path: Path, cache: Cache) -> None:
    job = Job(3, kt.HyperParameters(), 1, None, None, {})
    with Run(tmp_path / "run") as run:
        trainer = trainer_of(run, cache)
        expected = trainer(job)
        portable = PortableTrainer.of(trainer, cache.directory)
    found = portable.open(tmp_path / "own", len)(Job(3, kt.HyperParameters(), 1, None, None, {}))
    assert found == expected
    models = [tmp_path / "own" / "0003" / "model.keras", tmp_path / "run" / "trials" / "0003" / "model.keras"]
    weights = [keras.saving.load_model(path, compile=False).get_weights() for path in models]
    assert all(np.array_equal(one, other) for one, other in zip(*weights))


def test_a_latency_is_measured_in_quiet_before_and_not_again(tmp_path: Path, cache: Cache) -> None:
    from contextlib import contextmanager

    course: list[str] = []

    @contextmanager
    def quiet() -> Any:
        course.append("quiet")
        yield
        course.append("go on")

    with Run(tmp_path / "run") as run:
        trainer = trainer_of(run, cache, budgets=Budgets(max_latency=1000.0))
        trainer.quiet = quiet
        costs = trainer.costs(Job(0, kt.HyperParameters(), 1, None, None, {}))
        assert costs is not None
        assert trainer(Job(0, kt.HyperParameters(), 1, None, None, {}, costs))["latency"] == costs["latency"]
        assert trainer_of(run, cache).costs(Job(0, kt.HyperParameters(), 1, None, None, {})) is None
    assert course == ["quiet", "go on"]
    assert set(costs) == {"latency", "model_size"}
