"""An ensemble of a few members that answers as one of many does."""

from __future__ import annotations

import numpy as np

from autorec.searchers.mixture import curvature, fit_weights, least_on_simplex
from autorec.searchers.panel import Panel
from autorec.searchers.pruning import SURE, Pruned, check_size


def condense(panel: Panel, size: int) -> Pruned:
    """Returns the ensemble of `size` members that answers most like that of all, as far as greedy steps find it.

    `D(w) = (w - v) H (w - v) / 2`

    `v` are the weights of the ensemble of all members, by `fit_weights`, and `H` is the Hessian of the loss there. For
    squared errors that is the mean square of what the answers move by, for clicks and classes, to second order, the
    Kullback-Leibler divergence from the chances that all together give. Step by step the member goes without which
    `D`, at its minimum over the weights of those who are left, is least; of equal ones the lowest number.

    Labels play no part but in `v`, and in that members go first whose absence lowers the loss by more than two
    standard errors: down to `size`, the surest one at a time. Beyond that few rows tell too little of single members.
    Those that look best owe it to chance, the more since the same rows chose their epochs.

    Args:
        panel: What the members answer for the same held-out rows.
        size: Number of members (1 or more); those of a smaller panel are all kept.

    Raises:
        ConfigError: If the size is not allowed.

    Example:
        >>> condense(panel, 5).members
        (1, 2, 6, 7, 9)
    """
    check_size(size)
    members = _not_harmful(panel, size)
    target = fit_weights(panel, members)
    if len(members) <= size:
        return Pruned(tuple(members), target, panel.loss(target))
    hessian = curvature(panel, target)
    weights = target
    while len(members) > size:
        tried = [_nearest(hessian, target, weights, [each for each in members if each != left]) for left in members]
        distances = [float((each - target) @ hessian @ (each - target)) for each in tried]
        place = int(np.argmin(distances))
        weights = tried[place]
        members.pop(place)
    return Pruned(tuple(members), weights, panel.loss(weights))


def _not_harmful(panel: Panel, size: int) -> list[int]:
    """Returns the members that are left when those have gone whose absence surely lowers the loss."""
    members = list(range(panel.size))
    weights = fit_weights(panel, members)
    while len(members) > size:
        sure = []
        for left in members:
            rest = [each for each in members if each != left]
            without = panel.weights(rest, weights[rest] / weights[rest].sum())
            falls = panel.loss(weights) - panel.loss(without)
            sure.append(falls - SURE * panel.standard_error(weights, without))
        place = int(np.argmax(sure))
        if sure[place] <= 0.0:
            break
        members.pop(place)
        weights = fit_weights(panel, members, start=weights)
    return members


def _nearest(hessian: np.ndarray, target: np.ndarray, start: np.ndarray, members: list[int]) -> np.ndarray:
    """Returns the weights of some members, 0 for the others, at which the answers are nearest to the target's."""
    begin = np.zeros(len(target))
    total = start[members].sum()
    begin[members] = start[members] / total if total > 0.0 else 1.0 / len(members)
    slope = hessian[members] @ (begin - target)
    found = np.zeros(len(target))
    found[members] = least_on_simplex(slope, hessian[np.ix_(members, members)], begin[members])
    return found
