"""Boosted trees that learn to order architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autorec.searchers.ranker import Ranker, grades, rank_correlation

_ROUNDS = 1500
_PATIENCE = 150
_TRAINING = 0.8


class LambdaRank(Ranker):
    """LightGBM's LambdaRank on the encoded points.

    The whole history is one query. The grade of a trial is the place of its score, the worst 0, and its gain is twice
    the grade. Trees have depth 3, the learning rate is 0.05, each tree sees 90% of the columns and, drawn anew every
    5 rounds, 80% of the trials. The first 80% of the trials in order of time are trained on; the rest end it by
    NDCG@3, 150 rounds behind the best of at most 1,500. `correlation` is that of the scores on this rest.

    Args:
        seed: Seed of the trees. Default 0.

    Example:
        >>> Evolution(ranker=LambdaRank(), seed=1)

    Source: Burges, "From RankNet to LambdaRank to LambdaMART: An Overview" (2010), with the settings of Song et al.
    (KDD 2020). They leave the least number of trials in a leaf open: 3, where LightGBM's 20 would learn nothing from
    so few.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, values: Sequence[Mapping[str, Any]], scores: Sequence[float], direction: str) -> None:
        """Learns from what was tried, as of `Ranker.fit`."""
        import lightgbm

        points, labels = self.encoding(values), grades(scores, direction)
        count = max(1, min(round(_TRAINING * len(labels)), len(labels) - 1))
        training = lightgbm.Dataset(points[:count], labels[:count], group=[count], params=_DATA)
        rest = training.create_valid(points[count:], labels[count:], group=[len(labels) - count])
        self._booster = lightgbm.train(
            {**_SETTINGS, "label_gain": [2 * grade for grade in range(len(labels))], "seed": self.seed},
            training,
            _ROUNDS,
            valid_sets=[rest],
            callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
        )
        self.correlation = rank_correlation(self._predict(points[count:]), labels[count:])

    def score(self, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Returns the sum of the trees at each point."""
        return self._predict(self.encoding(values))

    def _predict(self, points: np.ndarray) -> np.ndarray:
        return np.asarray(self._booster.predict(points, num_iteration=self._booster.best_iteration, num_threads=1))


_DATA = {"min_data_in_bin": 1, "feature_pre_filter": False, "verbosity": -1}
_SETTINGS: dict[str, Any] = {
    **_DATA,
    "objective": "lambdarank",
    "metric": "ndcg",
    "eval_at": [3],
    "max_depth": 3,
    "num_leaves": 8,
    "learning_rate": 0.05,
    "feature_fraction": 0.9,
    "bagging_fraction": 0.8,
    "bagging_freq": 5,
    "min_data_in_leaf": 3,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}
