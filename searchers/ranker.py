"""What learns from trials which architectures are worth trying."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autorec.searchers.encoding import Encoding


class Ranker(ABC):
    """Ranks points of a space that were not tried by those that were: the class to derive one's own from.

    `fit` is called before each proposal with all that was tried, and has to depend on its arguments alone: then a
    search that was killed goes on as if it was not.

    Attributes:
        correlation: Spearman's rank correlation of the last fit's scores with the truth, on trials that it was not
            fitted to; None if it is not known.

    Example:
        >>> class Fewest(Ranker):
        ...     def fit(self, values, scores, direction): ...
        ...     def score(self, values):
        ...         return np.array([-point["mlp/units"] for point in values])
        >>> Evolution(ranker=Fewest(), seed=1)
    """

    correlation: float | None = None

    def prepare(self, space: Sequence[Any]) -> None:
        """Is told the hyperparameters known so far (`keras_tuner.HyperParameters.space`) before each fit."""
        self.encoding = Encoding(space)

    @abstractmethod
    def fit(self, values: Sequence[Mapping[str, Any]], scores: Sequence[float], direction: str) -> None:
        """Learns from what was tried.

        Args:
            values: Points in order of time, by the names of their hyperparameters that matter.
            scores: Score of each, NaN where the trial failed.
            direction: `max` or `min`: which scores are better.
        """

    @abstractmethod
    def score(self, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Returns a number for each point, the better the larger; only their order counts."""


def grades(scores: Sequence[float], direction: str) -> np.ndarray:
    """Returns whole numbers from 0, larger for better scores, equal for equal ones; failed trials come last.

    Args:
        scores: Scores, NaN where the trial failed.
        direction: `max` or `min`.

    Example:
        >>> grades([0.5, 0.7, math.nan, 0.5], "max")
        array([1, 2, 0, 1])
    """
    gains = np.asarray(scores, dtype=np.float64) * (1.0 if direction == "max" else -1.0)
    gains = np.where(np.isfinite(gains), gains, -np.inf)
    return np.unique(gains, return_inverse=True)[1].reshape(-1)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Returns Spearman's correlation, or None where one side has no two different values."""
    from scipy.stats import rankdata

    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
