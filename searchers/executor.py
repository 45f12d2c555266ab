"""Who trains the trials of a search: the seam between the runner and processes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from autorec.searchers.job import Evaluate, Job
from autorec.searchers.outcome import attempt


@dataclass(frozen=True)
class Ended:
    """A trial that ended.

    Args:
        number: Its number.
        outcome: What its row gets: `status`, `score` and what `attempt` gave.
        seconds: How long it took, without what a process needs to begin.
        hyperparameters: Configuration of its `keras_tuner.HyperParameters` behind the build, where that happened in
            another process; None if the job's own object has it.
    """

    number: int
    outcome: dict[str, Any]
    seconds: float
    hyperparameters: dict[str, Any] | None = None


class Executor(Protocol):
    """Trains trials, some at a time.

    Only the process of the runner talks to it, and it alone writes the journal and knows the searcher.

    Args:
        slots: Number of trials that may be started before one has to end.
    """

    slots: int

    def start(self, job: Job, end: float | None) -> None:
        """Begins a trial.

        Args:
            job: The trial.
            end: `time.monotonic()` at which it is ended by force, or None.
        """

    def wait(self) -> Ended:
        """Returns a trial that ended, the first one to do so; waits for it.

        Raises:
            SearchAborted: If no trial can be trained.
            DataError: If the disk is full.
        """

    def close(self) -> None:
        """Ends all trials that are running, without a result."""


class Sequential:
    """Trains one trial at a time, in this process.

    Args:
        evaluate: Trains a job.
        objective: Name of the metric that ranks.
        place: Where files are written.
    """

    slots = 1

    def __init__(self, evaluate: Evaluate, objective: str, place: Path) -> None:
        self._evaluate, self._objective, self._place = evaluate, objective, place
        self._next: tuple[Job, float | None] | None = None

    def start(self, job: Job, end: float | None) -> None:
        """Takes a trial, which `wait` trains."""
        self._next = (job, end)

    def wait(self) -> Ended:
        """Trains the trial that was started."""
        if self._next is None:
            raise RuntimeError("no trial was started")
        (job, end), self._next = self._next, None
        begin = time.monotonic()
        outcome = attempt(self._evaluate, job, self._objective, self._place, end)
        return Ended(job.number, outcome, time.monotonic() - begin)

    def close(self) -> None:
        """Does nothing: what runs here ends with its caller."""
