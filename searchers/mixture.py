"""The weights of an ensemble's members, refitted on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from autorec.searchers.panel import Panel, Votes

#: Equal weights count as so many rows for each member.
PRIOR = 200
_STEPS, _HALVINGS, _ENOUGH = 30, 20, 1e-8
_INNER = 300  # steps of the quadratic problem within a step


def fit_weights(
    panel: Panel, members: Sequence[int], *, prior: float = PRIOR, start: np.ndarray | None = None
) -> np.ndarray:
    """Returns a weight for each of all members, not negative, with the sum 1, and 0 for those not in `members`.

    `w = (1 - s) argmin_w loss(sum_j w_j z_j) + s / n`, `s = prior n / (prior n + rows)`

    The loss is convex in the weights, so the minimum is the only one, and half-way to equal weights it is no higher
    than at equal weights. Held-out rows are few, and were looked at before, when members were chosen: the fewer, the
    nearer the weights stay to equal ones.

    Args:
        panel: What the members answer.
        members: Numbers of those in the ensemble.
        prior: Rows that equal weights count for, for each member (0 or more); 0 takes the minimum itself.
        start: Weights of all members from which the minimum may be near; None starts from equal ones.

    Example:
        >>> fit_weights(panel, [0, 2, 5])  # (members,), sums to 1
    """
    chosen = list(members)
    count = len(chosen)
    if count == 1:
        return panel.weights(chosen)
    parts = [(each, each.scores[chosen]) for each in panel.votes]
    weights = np.full(count, 1.0 / count)
    if start is not None and start[chosen].sum() > 0.0:
        weights = start[chosen] / start[chosen].sum()
    for _ in range(_STEPS):
        slope, curvature = (sum(terms) for terms in zip(*(_derivatives(each, z, weights) for each, z in parts)))
        step = least_on_simplex(np.asarray(slope), np.asarray(curvature), weights) - weights
        gain = -float(np.asarray(slope) @ step)
        if gain <= _ENOUGH:
            break
        weights = _along(parts, weights, step, gain)
    rows = sum(len(each.labels) for each in panel.votes)
    shrink = prior * count / (prior * count + rows)
    return panel.weights(chosen, (1.0 - shrink) * weights + shrink / count)


def divergence(panel: Panel, weights: np.ndarray) -> np.ndarray:
    """Returns `H` of how far answers move from those at some weights `v`, `(w - v) H (w - v) / 2`, (members, members).

    For squared errors that is the mean square of the move, bounds left aside; for clicks and classes, to second order,
    the Kullback-Leibler divergence from the chances at `v`. Both `w` and `v` sum to 1, so what all members share is
    left out of `H`, which otherwise would outweigh all that they differ in.
    """
    free = [replace(each, low=-np.inf, high=np.inf) for each in panel.votes]
    hessian = np.asarray(sum(_derivatives(each, each.scores, weights)[1] for each in free))
    means = hessian.mean(0)
    return hessian - means - means[:, None] + means.mean()


def one_thread() -> AbstractContextManager[Any]:
    """Returns a scope in which linear algebra stays on one thread: beside other work, several wait for each other."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, "blas")
    return limits


def _along(parts: Sequence[tuple[Votes, np.ndarray]], weights: np.ndarray, step: np.ndarray, gain: float) -> np.ndarray:
    """Goes a step, halved until the loss falls as it should."""

    def loss(at: np.ndarray) -> float:
        return sum(float(each.shares @ each.losses(np.tensordot(at, z, 1))) for each, z in parts)

    before, share = loss(weights), 1.0
    for _ in range(_HALVINGS):
        found = np.maximum(weights + share * step, 0.0)
        if loss(found) <= before - 1e-4 * share * gain:
            return found / found.sum()
        share /= 2.0
    return weights


def _derivatives(votes: Votes, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the gradient and the Hessian of the loss in the weights, (members,) and (members, members)."""
    answers, shares = np.tensordot(weights, scores, 1), votes.shares
    if votes.kind == "binary":
        chance = 0.5 * (1.0 + np.tanh(0.5 * answers))
        slope, curve = shares * (chance - votes.labels), shares * chance * (1.0 - chance)
        return scores @ slope, (scores * curve) @ scores.T
    if votes.kind == "real":
        shares = 2.0 * shares / votes.scale**2
        shares = shares * ((answers > votes.low) & (answers < votes.high))  # what is cut off does not move
        return scores @ (shares * (answers - votes.labels)), (scores * shares) @ scores.T
    high = np.exp(answers - answers.max(1, keepdims=True))
    chances = high / high.sum(1, keepdims=True)  # (rows, classes)
    missed = chances.copy()
    missed[np.arange(len(missed)), votes.label_bins] -= 1.0
    slope = np.einsum("mrc,rc,r->m", scores, missed, shares)
    means = np.einsum("mrc,rc->mr", scores, chances)
    curvature = np.einsum("mrc,nrc,rc,r->mn", scores, scores, chances, shares, optimize=True)
    return slope, curvature - (means * shares) @ means.T


def least_on_simplex(slope: np.ndarray, curvature: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Returns the least point of `slope (w - start) + (w - start) curvature (w - start) / 2` on the simplex."""
    top = float(np.linalg.eigvalsh(curvature)[-1])
    if not top > 0.0:
        if not slope.any():
            return start
        return np.eye(len(start))[int(np.argmin(slope))]
    point, ahead, speed = start, start, 1.0
    for _ in range(_INNER):  # Nesterov's accelerated gradient, projected
        found = on_simplex(ahead - (slope + curvature @ (ahead - start)) / top)
        faster = (1.0 + np.sqrt(1.0 + 4.0 * speed**2)) / 2.0
        ahead = found + (speed - 1.0) / faster * (found - point)
        if float(np.abs(found - point).max()) < 1e-9:
            return found
        point, speed = found, faster
    return point


def on_simplex(values: np.ndarray) -> np.ndarray:
    """Returns the nearest point with values of 0 or more that sum to 1."""
    falling = np.sort(values)[::-1]
    over = (np.cumsum(falling) - 1.0) / np.arange(1, len(values) + 1)
    last = int(np.flatnonzero(falling > over)[-1])
    return np.maximum(values - over[last], 0.0)
