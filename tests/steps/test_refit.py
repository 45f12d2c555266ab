"""The winner trained once more."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest

from autorec.errors import TrialFailed
from autorec.run import Run
from autorec.searchers.trial import MODEL
from autorec.steps.clock import Clock
from autorec.steps.refit import REFIT, refit


class Trainer:
    """A trainer that is done at once, or fails."""

    train, validation = SimpleNamespace(rows=90), SimpleNamespace(rows=10)

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[int] = []

    def refit(self, row: dict[str, Any], deadline: float | None) -> keras.Model:
        self.asked.append(row["number"])
        if self.error is not None:
            raise self.error
        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """A run of two trials that took 9 seconds for 4 epochs each, 2 of them to the best; the second is the better."""
    with Run(tmp_path / "run") as run:
        run.append({"event": "search", "direction": "max"})
        for number, score in enumerate((0.6, 0.7)):
            more = {"status": "completed", "seconds": 9.0, "epochs": 4, "course": [0.1, 0.1]}
            run.append({"event": "started", "number": number, "values": {"a": number}, "seed": 1})
            run.append({"event": "finished", "number": number, "score": score, **more})
        yield run


def test_the_best_trial_is_trained_for_its_best_epochs_and_kept(run: Run) -> None:
    trainer, said = Trainer(), list[str]()
    refit(run, trainer, clock=Clock(), say=said.append)  # type: ignore[arg-type]
    assert said == ["refit: trial 1 on all rows for 2 epochs"]
    assert (run.directory / REFIT / MODEL).exists()
    assert run.events("refit") == [{"event": "refit", "number": 1, "epochs": 2}]


def test_it_is_done_once(run: Run) -> None:
    trainer = Trainer()
    for _ in range(2):
        refit(run, trainer, clock=Clock(), say=lambda text: None)  # type: ignore[arg-type]
    assert trainer.asked == [1]


def test_without_enough_time_it_is_not_begun(run: Run) -> None:
    trainer, said = Trainer(), list[str]()
    refit(run, trainer, clock=Clock(limit=4.9, begin=time.monotonic()), say=said.append)  # type: ignore[arg-type]
    assert said == ["no refit: it would take some 5 s, 5 s are left"]
    assert trainer.asked == []


def test_a_winner_of_fewer_rows_is_known_to_take_longer(run: Run) -> None:
    limits = {"values": {"a": 1}, "seed": 1, "fidelity": {"rows": 9}}
    with Run(run.directory.parent / "cheap") as cheap:
        cheap.append({"event": "search", "direction": "max"})
        cheap.append({"event": "started", "number": 0, **limits})
        cheap.append({**run.events("finished")[1], "number": 0, **limits})
        said = list[str]()
        refit(cheap, Trainer(), clock=Clock(limit=40.0), say=said.append)  # type: ignore[arg-type]
    assert said == ["no refit: it would take some 50 s, 40 s are left"]


def test_one_that_fails_leaves_the_trials_own_model(run: Run) -> None:
    said = list[str]()
    refit(run, Trainer(TrialFailed("too late")), clock=Clock(), say=said.append)  # type: ignore[arg-type]
    assert said[-1] == "no refit, the trial's own model stays: too late"
    assert run.events("refit") == []
    assert not (run.directory / REFIT).exists()
