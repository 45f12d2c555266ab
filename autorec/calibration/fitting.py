"""Fits calibration curves to logits and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autorec.calibration.curve import IDENTITY, Curve
from autorec.errors import unknown_name

#: Labelled rows that a method needs at least; `auto` needs those of the methods it may take.
LEAST = {"temperature": 100, "platt": 100, "isotonic": 500}
#: Rows of the rarer class that any method needs.
LEAST_CLASS = 10
#: Bins that an isotonic regression sees, and rows above which a line is fitted to so many bins.
BINS, LINE_BINS = 1024, 8192
#: Smallest slope: two rows whose logits differ are told apart behind any curve.
FLATTEST = 0.01
_PRIOR = 0.1  # curvature of what says: leave the logits as they are; keeps a line of separated classes finite
_END = 0.5  # weight of the pseudo-row at each end of an isotonic regression
_STEPS, _ENOUGH = 50, 1e-10


@dataclass(frozen=True)
class Scored:
    """Labelled rows and what a model answers for them.

    Args:
        logits: (rows,) logits.
        labels: (rows,) 0 and 1.
        weights: (rows,) weights of 0 or more, or None.
    """

    logits: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Scored:
        """Returns some of the rows, by number or by a mask."""
        weights = None if self.weights is None else self.weights[rows]
        return Scored(self.logits[rows], self.labels[rows], weights)

    @property
    def mass(self) -> np.ndarray:
        """Weights with the mean 1, (rows,) float64."""
        if self.weights is None:
            return np.ones(len(self.labels))
        weights = np.asarray(self.weights, np.float64)
        return weights * (len(weights) / weights.sum())


def fit(method: str, rows: Scored) -> Curve:
    """Returns the curve that a method fits to some rows.

    =============  ================================================================================================
    `temperature`  `z / T`: one number, least log loss. Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural
                   Networks, ICML 2017
    `platt`        `a z + b`: a slope and a shift, least log loss. Platt, Probabilistic Outputs for Support Vector
                   Machines, 1999; here without his targets, and held by a little to `a = 1, b = 0`
    `isotonic`     the rising curve of least squares by pool adjacent violators. Zadrozny, Elkan, KDD 2002; here linear
                   between the blocks' means, as in centered isotonic regression (Oron, Flournoy, 2017), so that it
                   rises strictly and ties no rows
    =============  ================================================================================================

    Args:
        method: Its name.
        rows: The rows; both classes among them.

    Raises:
        ConfigError: If the method is not known.

    Example:
        >>> fit("platt", Scored(logits, labels))
    """
    if method not in _FITS:
        raise unknown_name("method", method, _FITS)
    return _FITS[method](rows)


def _temperature(rows: Scored) -> Curve:
    slope, _ = _line(rows, shift=False)
    return Curve((0.0,), (0.0,), slope, slope)


def _platt(rows: Scored) -> Curve:
    slope, shift = _line(rows)
    return Curve((0.0,), (shift,), slope, slope)


def _isotonic(rows: Scored) -> Curve:
    from sklearn.isotonic import isotonic_regression

    x, rates, mass = _binned(rows, BINS)
    # Without them a block of one class at an end would have an infinite logit.
    padded = np.r_[1.0, rates, 0.0], np.r_[_END, mass, _END]
    levels = isotonic_regression(padded[0], sample_weight=padded[1])
    block = np.cumsum(np.r_[True, np.diff(levels) > 0.0])[1:-1] - 1  # of each bin, the pseudo-rows left out
    counts = np.bincount(block, mass)
    centers = np.bincount(block, mass * x) / np.where(counts > 0.0, counts, 1.0)
    kept = counts > 0.0  # an end of pseudo-rows alone is no block
    values = np.zeros(len(counts))
    values[block] = levels[1:-1]
    y = np.log(values[kept]) - np.log1p(-values[kept])
    slope, _ = _line(rows)
    curve = Curve(centers[kept].tolist(), _rising(centers[kept], y).tolist(), slope, slope)
    shifted = Scored(curve(rows.logits), rows.labels, rows.weights)
    return curve.shifted(_line(shifted, slope=False)[1])


def _rising(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns `y` raised where it rises more slowly than `FLATTEST`."""
    flat = FLATTEST * x
    return np.maximum.accumulate(y - flat) + flat


def _binned(rows: Scored, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns mean logit, rate of ones and weight of bins of about equal weight, rows of one logit in one bin."""
    order = np.argsort(rows.logits, kind="stable")
    x, labels, mass = np.asarray(rows.logits, np.float64)[order], rows.labels[order], rows.mass[order]
    counted = mass > 0.0
    x, labels, mass = x[counted], labels[counted], mass[counted]
    starts = np.r_[True, x[1:] != x[:-1]]
    first = np.flatnonzero(starts)[np.cumsum(starts) - 1]  # of each row the first one with its logit
    place = (np.cumsum(mass) - mass)[first] / mass.sum()
    which = np.unique((place * bins).astype(np.int64), return_inverse=True)[1].reshape(-1)
    total = np.bincount(which, mass)
    return np.bincount(which, mass * x) / total, np.bincount(which, mass * labels) / total, total


def _line(rows: Scored, *, slope: bool = True, shift: bool = True) -> tuple[float, float]:
    """Returns the `a` and `b` of least log loss of `a z + b`; what is not fitted is 1 or 0. Damped Newton steps."""
    a, b = _newton(rows, slope, shift)
    if a >= FLATTEST:
        return a, b
    # The shift was that of another slope.
    flat = Scored(FLATTEST * np.asarray(rows.logits, np.float64), rows.labels, rows.weights)
    return FLATTEST, _newton(flat, False, shift)[1] if shift else 0.0


def _newton(rows: Scored, slope: bool, shift: bool) -> tuple[float, float]:
    z, labels, mass = np.asarray(rows.logits, np.float64), np.asarray(rows.labels, np.float64), rows.mass
    if len(z) > LINE_BINS:
        z, labels, mass = _binned(rows, LINE_BINS)
    free = np.array([slope, shift])
    at, neutral = np.array([1.0, 0.0]), np.array([1.0, 0.0])

    def loss(point: np.ndarray) -> float:
        answers = point[0] * z + point[1]
        prior = 0.5 * _PRIOR * float(((point - neutral) ** 2).sum())
        return float(mass @ (np.logaddexp(0.0, answers) - labels * answers)) + prior

    now = loss(at)
    for _ in range(_STEPS):
        chance = 0.5 * (1.0 + np.tanh(0.5 * (at[0] * z + at[1])))
        missed, curve = mass * (chance - labels), mass * chance * (1.0 - chance)
        gradient = np.array([missed @ z, missed.sum()]) + _PRIOR * (at - neutral)
        cross = float(curve @ z)
        hessian = np.array([[curve @ z**2, cross], [cross, curve.sum()]]) + _PRIOR * np.eye(2)
        step = np.zeros(2)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        gain, size = float(gradient @ step), 1.0
        if gain <= _ENOUGH * max(now, 1.0):
            break
        while loss(at - size * step) > now - 1e-4 * size * gain and size > 1e-6:
            size /= 2.0
        at = at - size * step
        now = loss(at)
    return float(at[0]), float(at[1])


_FITS: dict[str, Callable[[Scored], Curve]] = {
    "none": lambda rows: IDENTITY,
    "temperature": _temperature,
    "platt": _platt,
    "isotonic": _isotonic,
}
