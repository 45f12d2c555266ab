"""The simple baselines of a run, trained once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autorec.data.cache import Cache
from autorec.run import Run
from autorec.searchers.baselines import NO_TIME, baselines
from autorec.steps.clock import Clock


def train_baselines(
    run: Run, cache: Cache, *, objective: str, seed: int, clock: Clock, emit: Callable[[dict[str, Any]], None]
) -> None:
    """Trains the baselines that a run does not have, or had no time for, within their share of the time.

    Args:
        run: Open for writing.
        cache: Rows to learn from and to validate on.
        objective: Metric of their scores.
        seed: Their seed.
        clock: Of the call.
        emit: Receives an event for each.
    """
    for event in baselines(
        cache.train,
        cache.validation,
        cache.layout,
        objective=objective,
        seed=seed,
        deadline=clock.until("baselines"),
        skip={row["name"] for row in run.baselines() if row["error"] != NO_TIME},
        loss_weights=(run.config or {}).get("options", {}).get("loss_weights"),
    ):
        run.append(event)
        emit(event)
