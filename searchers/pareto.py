"""Trials that no other one beats in all of several objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autorec.run import origin

#: Objectives that are no metrics: what a model costs, less is better.
COSTS = ("latency", "operations", "parameters", "dense_parameters", "model_size")


def direction(name: str) -> str:
    """Returns `"max"` or `"min"` for a metric, such as `"val_auc"`, or one of `COSTS`.

    Raises:
        ConfigError: If the name is not known; names the nearest metric.
    """
    if name in COSTS:
        return "min"
    from autorec.training.metrics import direction as of_metric

    return of_metric(name)


def front(rows: Sequence[Mapping[str, Any]], objectives: Sequence[str]) -> list[bool]:
    """Returns for each row whether it is on the Pareto front.

    A candidate is on it if no other one is as good in all objectives and better in one; of equal ones all are.
    Trainings of the same values are one candidate, with the mean of each objective; the one that has the `rank`
    stands for it. Candidates are the ranked trials: those of smaller fidelities, failed ones, and baselines are not on
    the front, nor are those without a value for one of the objectives.

    Args:
        rows: Rows of `Run.leaderboard`.
        objectives: Names of metrics or of `COSTS`.

    Raises:
        ConfigError: If an objective is not known.

    Example:
        >>> front(run.leaderboard(), ["val_auc", "latency"])
        [True, False, True]
    """
    signs = np.array([-1.0 if direction(name) == "max" else 1.0 for name in objectives])
    ranked = [place for place, row in enumerate(rows) if row["rank"] is not None]
    points = [[_mean(name, _trainings(rows[place], rows)) for name in objectives] for place in ranked]
    best = undominated(np.array(points, np.float64).reshape(len(ranked), len(objectives)) * signs)
    on_front = {place for place, good in zip(ranked, best) if good}
    return [place in on_front for place in range(len(rows))]


def undominated(points: np.ndarray) -> np.ndarray:
    """Returns which points no other one is as good as in all coordinates and better than in one.

    Args:
        points: (points, objectives), less is better; a point with a value that is not finite counts for nothing.

    Returns:
        (points,) bool.
    """
    known = np.isfinite(points).all(1)
    found = known.copy()
    for place in np.flatnonzero(known):
        as_good = (points[known] <= points[place]).all(1)
        found[place] = not (as_good & (points[known] < points[place]).any(1)).any()
    return found


def _trainings(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns the completed trainings of a row's values at its fidelity; cut ones only if it is."""
    same = (origin(row), row["fidelity"], row["cut"])
    done = (one for one in rows if one["kind"] == "trial" and one["status"] == "completed")
    return [one for one in done if (origin(one), one["fidelity"], one["cut"]) == same]


def _mean(name: str, rows: Sequence[Mapping[str, Any]]) -> float:
    values = [row.get(name) if name in COSTS else row["metrics"].get(name) for row in rows]
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else math.nan
