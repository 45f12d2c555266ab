"""An ensemble of a few members that answers as one of many does."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from autorec.searchers.mixture import divergence, fit_weights
from autorec.searchers.panel import Panel
from autorec.searchers.pruning import SURE, Pruned, check_size

#: Members of an ensemble of which nobody said how many there should be: at most.
MOST_MEMBERS = 8
_SUM = 1e3  # weight of the row that says that weights sum to 1, beside a curvature of 1


def condense(panel: Panel, size: int | None = None) -> Pruned:
    """Returns the ensemble of `size` members that answers most like that of all, as far as greedy steps find it.

    Members go first whose absence lowers the loss by more than two standard errors, the surest one at a time. Then,
    down to `size`, that one goes without which

    `D(w) = (w - v) H (w - v) / 2`

    is least over the weights `w` of those who are left; of equal ones the last. `v` are the weights of all that did
    no harm, by `fit_weights`, and `D` is how far the answers move from theirs (see `divergence`).

    Few rows tell too little of single members. Those that look best owe it to chance, the more since the same rows
    chose their epochs. So labels play no other part here, and the weights are the least of `D`.

    Args:
        panel: What the members answer for the same held-out rows, the best member first.
        size: Most members (1 or more); None for eight.

    Raises:
        ConfigError: If the size is not allowed.

    Example:
        >>> condense(panel, 5).members
        (1, 2, 6, 7, 9)
    """
    check_size(size)
    members = _not_harmful(panel)
    target = weights = fit_weights(panel, members)
    matrix = divergence(panel, target)
    roots = _roots(matrix)
    while len(members) > (MOST_MEMBERS if size is None else size):
        tried = [_nearest(roots, target, weights, [each for each in members if each != left]) for left in members]
        distances = [float((each - target) @ matrix @ (each - target)) for each in tried]
        place = _last_least(distances)
        weights = tried[place]
        members.pop(place)
    return Pruned(tuple(members), weights, panel.loss(weights))


def _not_harmful(panel: Panel) -> list[int]:
    """Returns the members that are left when those have gone whose absence surely lowers the loss."""
    members = list(range(panel.size))
    while len(members) > 1:
        weights = fit_weights(panel, members)
        loss = panel.loss(weights)
        doubts = []  # below 0: its absence surely helps
        for left in members:
            rest = [each for each in members if each != left]
            without = panel.weights(rest, weights[rest] / weights[rest].sum())
            doubts.append(panel.loss(without) - loss + SURE * panel.standard_error(weights, without))
        place = _last_least(doubts)
        if doubts[place] >= 0.0:
            break
        members.pop(place)
    return members


def _roots(matrix: np.ndarray) -> np.ndarray:
    """Returns `A` with `A^T A` equal to a matrix whose values are 0 or more, largest 1; all 0 where that is."""
    values, vectors = np.linalg.eigh(matrix)
    top = max(float(values[-1]), 0.0)
    return np.asarray(np.sqrt(np.clip(values / top if top > 0.0 else values * 0.0, 0.0, None))[:, None] * vectors.T)


def _nearest(roots: np.ndarray, target: np.ndarray, start: np.ndarray, members: list[int]) -> np.ndarray:
    """Returns the weights of some members, 0 for the others, at which the answers are nearest to the target's.

    That is least squares of weights that are not negative; that their sum is 1 is one more row, which weighs much.
    """
    system = np.vstack([roots[:, members], np.full(len(members), _SUM)])
    solved, _ = nnls(system, np.append(roots @ target, _SUM), maxiter=100 * len(members))
    if not roots.any() or not solved.sum() > 0.0:  # all answer alike
        total = start[members].sum()
        solved = start[members] / total if total > 0.0 else np.full(len(members), 1.0 / len(members))
    found = np.zeros(len(target))
    found[members] = solved / solved.sum()
    return found


def _last_least(values: list[float]) -> int:
    return len(values) - 1 - int(np.argmin(values[::-1]))
