"""A smooth regression on the ranks of few trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autorec.searchers.ranker import Ranker, grades, rank_correlation

# Length scales of the smooth part in root mean square distances, and shares of noise, among which trials choose.
_LENGTHS = (0.5, 1.0, 2.0)
_NOISES = (0.03, 0.1, 0.3, 1.0)
_MOST = 300


class RankRegression(Ranker):
    """Kernel ridge regression of the ranks on the encoded points.

    With `y` the normal scores of the ranks, `K` a kernel and `I` the unit matrix

        score(x) = k(x)^T (K + noise I)^-1 y,    K = 1 + linear(x, x'), or 1 + exp(-|x - x'|^2 / 2 l^2)

    or the mean of both kernels. Kernel, length `l` and noise are those of the least error when each trial is left
    out in turn, which has a closed form; `correlation` is that between these predictions and the truth. Of more than
    300 trials the newest count.

    Example:
        >>> ranker = RankRegression()
        >>> ranker.prepare(hp.space)
        >>> ranker.fit(points, scores, "max")
        >>> ranker.score(more)
    """

    def fit(self, values: Sequence[Mapping[str, Any]], scores: Sequence[float], direction: str) -> None:
        """Learns from what was tried, as of `Ranker.fit`."""
        from threadpoolctl import threadpool_limits

        self._points = self.encoding(values[-_MOST:])
        targets = normal_scores(grades(scores, direction)[-_MOST:])
        self._scale = _mean_square(self._points)
        with threadpool_limits(1, "blas"):  # matrices of a few hundred rows: threads cost more than they save
            self._choose(targets)

    def _choose(self, targets: np.ndarray) -> None:
        """Fits all kernels and noises, and keeps the one of the least error."""
        best = np.inf
        self.correlation = None
        for length in (None, *_LENGTHS):
            for linear in (1.0,) if length is None else (0.0, 0.5):
                kernel = (length, linear)
                roots, basis = np.linalg.eigh(self._kernel(self._points, kernel))
                for noise in _NOISES:
                    inverse = (basis / (np.maximum(roots, 0.0) + noise)) @ basis.T
                    weights = inverse @ targets
                    errors = weights / np.diag(inverse)  # of each trial, if it is left out
                    error = float(np.mean(errors**2))
                    if error < best * (1 - 1e-6):
                        best, self._weights, self._chosen = error, weights, kernel
                        self.correlation = rank_correlation(targets - errors, targets)

    def score(self, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Returns the regression at each point."""
        return self._kernel(self.encoding(values), self._chosen) @ self._weights

    def _kernel(self, points: np.ndarray, kernel: tuple[float | None, float]) -> np.ndarray:
        """Returns (points, trials)."""
        length, linear = kernel
        centre = self._points.mean(axis=0)
        products = (points - centre) @ (self._points - centre).T / self._scale
        if length is None:
            return 1.0 + products
        squares = ((points - centre) ** 2).sum(axis=1)[:, None] + ((self._points - centre) ** 2).sum(axis=1)
        distances = np.maximum(squares / self._scale - 2 * products, 0.0)
        # The mean square distance is twice the scale.
        return 1.0 + linear * products + (1 - linear) * np.exp(-distances / (4 * length**2))


def normal_scores(ranks: np.ndarray) -> np.ndarray:
    """Returns the quantiles of the normal distribution at which ordered values would lie; equal ones share theirs."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return np.asarray(ndtri((rankdata(ranks) - 0.5) / len(ranks)))


def _mean_square(points: np.ndarray) -> float:
    """Returns the mean square distance of the points from their centre, 1 where they are all the same."""
    return float(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()) or 1.0
