"""The ranker that fits the length of the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autorec.searchers.lambdarank import LambdaRank
from autorec.searchers.rank_regression import RankRegression
from autorec.searchers.ranker import Ranker, grades, rank_correlation

_TREES_FROM = 30
_FOLDS = 5
_EVERY = 5


class AutoRanker(Ranker):
    """Regression while the history is short, then regression or trees, whichever predicts better.

    Under 30 trials it is a `RankRegression`; from then on `LambdaRank` takes part: the trials are split into 5 folds,
    each is predicted by both from the others, and the one whose scores are nearer to the truth in rank is fitted to
    all. `correlation` is the chosen one's on the folds (with each trial left out in turn while it is the regression
    alone). The folds are gone through anew every 5 trials.

    Args:
        seed: Seed of the trees. Default 0.
    """

    def __init__(self, seed: int = 0) -> None:
        self.regression, self.trees = RankRegression(), LambdaRank(seed)
        self.chosen: Ranker = self.regression
        self._compared: tuple[Any, ...] | None = None

    def prepare(self, space: Sequence[Any]) -> None:
        """Is told the hyperparameters known so far."""
        for ranker in (self.regression, self.trees):
            ranker.prepare(space)

    def fit(self, values: Sequence[Mapping[str, Any]], scores: Sequence[float], direction: str) -> None:
        """Learns from what was tried, as of `Ranker.fit`."""
        self.chosen, found = self.regression, None
        if len(values) >= _TREES_FROM:
            count = len(values) - len(values) % _EVERY
            found, rough = self._compare(values[:count], scores[:count], direction)
            if rough is not None and (found is None or rough > found):
                self.chosen, found = self.trees, rough
        # Behind the folds, which leave both fitted to a part of the trials.
        self.chosen.fit(values, scores, direction)
        self.correlation = found if len(values) >= _TREES_FROM else self.chosen.correlation

    def score(self, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Returns the scores of the chosen one."""
        return self.chosen.score(values)

    def _compare(
        self, values: Sequence[Mapping[str, Any]], scores: Sequence[float], direction: str
    ) -> tuple[float | None, float | None]:
        arguments = (list(values), list(scores), direction, self.regression.encoding.columns)
        if self._compared is None or self._compared[0] != arguments:
            found = [held_out(ranker, values, scores, direction) for ranker in (self.regression, self.trees)]
            self._compared = (arguments, *found)
        return self._compared[1], self._compared[2]


def held_out(
    ranker: Ranker, values: Sequence[Mapping[str, Any]], scores: Sequence[float], direction: str
) -> float | None:
    """Returns the rank correlation of a ranker on 5 folds, each predicted from the others.

    Args:
        ranker: It is fitted anew.
        values: Points in order of time.
        scores: Their scores.
        direction: `max` or `min`.
    """
    folds = np.arange(len(values)) % _FOLDS
    truth = grades(scores, direction)
    predicted = np.zeros(len(values))
    for fold in range(_FOLDS):
        rest, mine = np.flatnonzero(folds != fold).tolist(), np.flatnonzero(folds == fold).tolist()
        ranker.fit([values[place] for place in rest], [scores[place] for place in rest], direction)
        predicted[mine] = ranker.score([values[place] for place in mine])
    return rank_correlation(predicted, truth)
