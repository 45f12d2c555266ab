"""The refit: the winner trained once more, on all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autorec.errors import TrialFailed
from autorec.files import new_folder
from autorec.run import Run
from autorec.searchers.trial import MODEL, TrialTrainer
from autorec.steps.clock import Clock

REFIT = "refit"


def refit(run: Run, trainer: TrialTrainer, *, clock: Clock, say: Callable[[str], None]) -> None:
    """Trains the best trial of a run on training and validation rows, if there is time; its own model stays else.

    Args:
        run: Open for writing; the model goes into its folder `refit`.
        trainer: Trained the trials.
        clock: Of the call.
        say: Receives in words what is done.
    """
    best = run.best
    if best is None or any(event["number"] == best["number"] for event in run.events("refit")):
        return
    needed, left = _seconds(best, trainer), clock.left
    if left is not None and left < needed:
        say(f"no refit: it would take some {needed:.0f} s, {left:.0f} s are left")
        return
    epochs = len(best["course"])
    say(f"refit: trial {best['number']} on all rows for {epochs} epochs")
    try:
        model = trainer.refit(best, clock.deadline)
    except TrialFailed as error:
        say(f"no refit, the trial's own model stays: {error}")
        return
    with new_folder(run.directory / REFIT) as folder:
        model.save(folder / MODEL)
    run.append({"event": "refit", "number": best["number"], "epochs": epochs})


def _seconds(best: Mapping[str, Any], trainer: TrialTrainer) -> float:
    """Returns how long a refit will take, by the trial's own time."""
    read = min(best["fidelity"].get("rows") or trainer.train.rows, trainer.train.rows)
    share = read / (trainer.train.rows + trainer.validation.rows)
    return float(best["seconds"] * len(best["course"]) / (best["epochs"] * share))
