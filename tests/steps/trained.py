"""Runs of small trained models, and what makes ensembles of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autorec.files import new_folder
from autorec.loading import MODEL
from autorec.run import Run
from autorec.steps.ensemble import EnsembleMaker
from tests.training import small

PART, LAYOUT = small.part(300, seed=5), small.layout()


def add(run: Run, number: int, score: float, *, model: bool = True, **more: Any) -> None:
    """Adds a trial with a score, and its model's file."""
    started = {"event": "started", "number": number, "values": {"mlp/layers": number % 3}, "seed": number, **more}
    run.append(started)
    trained = small.model(seed=number)
    finished = {"status": "completed", "score": score, "metrics": {"val_auc": score}}
    run.append({**started, "event": "finished", **finished, "parameters": trained.count_params()})
    if model:
        with new_folder(run.trial_directory(number)) as folder:
            trained.save(folder / MODEL)


def maker(run: Run, said: list[str] | None = None, **more: Any) -> EnsembleMaker:
    """Returns what makes ensembles of a run's trials; what it says is added to a list."""
    return EnsembleMaker(run, PART, LAYOUT, (said if said is not None else []).append, **more)


def four_trials(directory: Path) -> Run:
    """Returns a run of four trials, open for writing; of those with files the last one is the best, one has none."""
    run = Run(directory)
    run.append({"event": "search", "objective": "val_auc", "direction": "max"})
    for number, score in enumerate((0.6, 0.9, 0.7, 0.8)):
        add(run, number, score, model=number != 1)
    return run
