"""Greedy forward selection of an ensemble's members, with replacement."""

from __future__ import annotations

import numpy as np

from autorec.searchers.panel import Panel
from autorec.searchers.pruning import Pruned, check_size

ROUNDS = 50


def forward_selection(panel: Panel, *, size: int | None = None, rounds: int = ROUNDS) -> Pruned:
    """Returns the ensemble that grows by the member that lowers its loss most, each as often as it does.

    It begins with the best single member. Each round adds the member with which the mean of all that were added, the
    same one several times among them, has the least loss; of equal ones the lowest number. The ensemble is that of the
    round with the least loss, and a member's weight its share of the additions.

    Args:
        panel: What the members answer for the same held-out rows.
        size: Most different members (1 or more), or None.
        rounds: Most additions (1 or more).

    Raises:
        ConfigError: If the size is not allowed.

    Source: Caruana et al., "Ensemble Selection from Libraries of Models" (ICML 2004).
    """
    check_size(size)
    counts = np.zeros(panel.size)
    totals = [np.zeros(each.scores.shape[1:]) for each in panel.votes]
    best: tuple[float, np.ndarray] = (np.inf, counts)
    for number in range(1, rounds + 1):
        full = size is not None and np.count_nonzero(counts) >= size
        losses = np.full(panel.size, np.inf)
        for member in np.flatnonzero(counts) if full else range(panel.size):
            losses[member] = sum(
                float(each.shares @ each.losses((total + each.scores[member]) / number))
                for each, total in zip(panel.votes, totals)
            )
        chosen = int(np.argmin(losses))
        counts[chosen] += 1.0
        for each, total in zip(panel.votes, totals):
            total += each.scores[chosen]
        if losses[chosen] < best[0]:
            best = (float(losses[chosen]), counts.copy())
    weights = best[1] / best[1].sum()
    return Pruned(tuple(int(member) for member in np.flatnonzero(weights)), weights, panel.loss(weights))
