"""What comes of a trial: a checked result, or the cause of its failure."""

from __future__ import annotations

import errno
import gc
import math
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autorec.errors import DataError, TrialFailed
from autorec.searchers.alarm import Overrun, alarm
from autorec.searchers.job import Evaluate, Job

OVERRUN = "TrialFailed: ran over its share of the time and was ended"
_OUT_OF_MEMORY = "out of memory: "


def attempt(evaluate: Evaluate, job: Job, objective: str, place: Path, end: float | None = None) -> dict[str, Any]:
    """Trains a job; returns what its row of the leaderboard gets, whatever happens.

    Args:
        evaluate: Trains a job and returns a dict with `metrics`.
        job: The job.
        objective: Name of the metric that has to be among them, and a number.
        place: Where files are written.
        end: `time.monotonic()` at which the trial is ended by force, or None.

    Raises:
        DataError: If the disk is full: no later trial could be kept either.
    """
    try:
        with alarm(end):
            result = dict(evaluate(job))
        return {"status": "completed", "score": _score(result, objective), **result}
    except (Exception, Overrun) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"the disk is full: {error}", file=place) from error
        outcome = failed(error)
    if outcome["error"].startswith(_OUT_OF_MEMORY):
        gc.collect()  # what the error's frames held
    return outcome


def failed(error: BaseException) -> dict[str, Any]:
    """Returns what the row of a trial gets that raised an error."""
    outcome: dict[str, Any] = {
        "status": "failed",
        "score": None,
        "error": _described(error),
        "traceback": "".join(traceback.format_exception(error)),
    }
    if hasattr(error, "costs"):  # over a budget, before any training
        outcome |= {**error.costs, "refused": True}
    return outcome


def lost(cause: str) -> dict[str, Any]:
    """Returns what the row of a trial gets whose process is gone.

    Args:
        cause: The error that the row shows; there is no traceback of it.
    """
    return {"status": "failed", "score": None, "error": cause, "traceback": ""}


def cause_of(row: Mapping[str, Any]) -> str:
    """Returns the first line of a failed row's error."""
    return str(row["error"]).strip().splitlines()[0]


def _score(result: Mapping[str, Any], objective: str) -> float:
    if objective not in result["metrics"]:
        raise TrialFailed(f"the objective {objective!r} is none of the metrics {sorted(result['metrics'])}")
    score = float(result["metrics"][objective])
    if not math.isfinite(score):
        raise TrialFailed(f"the objective {objective!r} is {score}")
    return score


def _described(error: BaseException) -> str:
    """Returns the cause of a failed trial."""
    if isinstance(error, Overrun):
        return OVERRUN
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return _OUT_OF_MEMORY + text
    return text
