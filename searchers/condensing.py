"""An ensemble of a few members that answers as one of many does."""

from __future__ import annotations

import numpy as np

from autorec.searchers.mixture import divergence, fit_weights, least_on_simplex
from autorec.searchers.panel import Panel
from autorec.searchers.pruning import SURE, Pruned, check_size

#: Members of an ensemble of which nobody said how many there should be: at most.
MOST_MEMBERS = 8


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
    while len(members) > (MOST_MEMBERS if size is None else size):
        tried = [_nearest(matrix, target, weights, [each for each in members if each != left]) for left in members]
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


def _nearest(matrix: np.ndarray, target: np.ndarray, start: np.ndarray, members: list[int]) -> np.ndarray:
    """Returns the weights of some members, 0 for the others, at which the answers are nearest to the target's."""
    total = start[members].sum()
    begin = np.zeros(len(target))
    begin[members] = start[members] / total if total > 0.0 else 1.0 / len(members)
    found = np.zeros(len(target))
    slope = matrix[members] @ (begin - target)
    found[members] = least_on_simplex(slope, matrix[np.ix_(members, members)], begin[members])
    return found


def _last_least(values: list[float]) -> int:
    return len(values) - 1 - int(np.argmin(values[::-1]))
