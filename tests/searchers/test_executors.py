"""Executors by name, and arguments that make no sense."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autorec.errors import ConfigError
from autorec.searchers import executors as module
from autorec.searchers.executors import Execution
from autorec.searchers.ray_cluster import RayCluster


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: (0, 1, 2, 3))


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, None),
        ({"workers": 1}, None),
        ({"workers": 2}, "processes"),
        ({"executor": "processes"}, "processes"),
        ({"workers": 64, "executor": "ray"}, "ray"),
        ({"executor": RayCluster(cpus=2)}, "ray"),
    ],
)
def test_where_trials_are_trained_follows_from_the_arguments(arguments: dict[str, Any], kind: str | None) -> None:
    pytest.importorskip("ray")
    assert Execution(**arguments).kind == kind


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"workers": 0}, "`workers` must be a whole number of 1 or more, got 0"),
        ({"workers": True}, "`workers` must be a whole number"),
        ({"workers": 2.0}, "`workers` must be a whole number"),
        ({"workers": 5}, "`workers` must be at most 4, the cores that this process may use, got 5"),
        ({"executor": "rai"}, "`executor` must be one of .* Did you mean 'ray'?"),
        ({"executor": 3}, "`executor` must be one of"),
        ({"ray_address": "10.0.0.1:6379"}, "`ray_address` must be left out without `executor='ray'`"),
        ({"executor": RayCluster(), "ray_address": "10.0.0.1:6379"}, "`ray_address` must be left out"),
        ({"workers": 2, "strategy": "mirrored"}, "`workers` must be left out where `options.strategy` is given"),
        ({"executor": "ray", "strategy": "mirrored"}, "`executor` must be left out"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Execution(**arguments)


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'autorec\[ray\]'"):
        Execution(executor="ray")


@pytest.mark.parametrize("name", ["space", "callbacks"])
def test_what_cannot_be_sent_is_refused_before_anything_is_read(name: str) -> None:
    lock = threading.Lock()
    given = {"space": None, "callbacks": [], name: [lambda: lock]}
    with pytest.raises(ConfigError, match=f"`{name}` must be something that can be sent"):
        Execution(workers=2).check(**given)
    Execution(workers=1).check(**given)


def test_there_are_no_more_workers_than_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpus", lambda: ("0",))
    with pytest.raises(ConfigError, match="`workers` must be at most 1, the GPUs.*CUDA_VISIBLE_DEVICES=-1"):
        Execution(workers=2)._gpus()
    assert Execution(executor="processes")._gpus() == ("0",)


@pytest.mark.parametrize(("workers", "told"), [(2, []), (3, ["3 workers have 1 of the 4 cores each; 1 have no trial"])])
def test_cores_that_no_trial_has_are_told(monkeypatch: pytest.MonkeyPatch, workers: int, told: list[str]) -> None:
    monkeypatch.setattr(module, "gpus", lambda: ())
    heard: list[dict[str, Any]] = []
    assert len(Execution(workers=workers)._shares(heard.append)) == workers
    assert [event["text"] for event in heard] == told


def test_one_process_needs_no_executor() -> None:
    assert Execution().begin(None, None, Path(), len) is None  # type: ignore[arg-type]


def test_processes_of_a_pool_that_does_not_begin_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    class Pool:
        quiet = None

        def __init__(self, *given: Any, **more: Any) -> None: ...

        def begin(self) -> None:
            raise OSError("no more processes")

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(module, "Processes", Pool)
    monkeypatch.setattr(module.PortableTrainer, "of", lambda trainer, cache: None)
    trainer = SimpleNamespace(objective="val_auc", costs=None)
    with pytest.raises(OSError, match="no more processes"):
        Execution(workers=2).begin(None, trainer, Path(), len)  # type: ignore[arg-type]
    assert closed == [True]
