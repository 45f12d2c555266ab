"""How different the members of an ensemble are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autorec.searchers.panel import Panel


def disagreement(decisions: np.ndarray, shares: np.ndarray | None = None) -> float:
    """Returns in what share of the rows two members differ, the mean over all pairs.

    `2 / (n (n - 1)) sum_{i < j} mean[p_i != p_j]`

    Args:
        decisions: (members, rows) hard predictions, or (members, rows) bool whether each is right: then it counts the
            rows where exactly one of the two is.
        shares: (rows,) weights of the rows that sum to 1; None counts them alike.

    Example:
        >>> disagreement(np.array([[0, 1, 1, 0], [0, 1, 0, 0]]))
        0.25
    """
    count = len(decisions)
    if count < 2:
        return 0.0
    shares = np.full(decisions.shape[1], 1.0 / decisions.shape[1]) if shares is None else shares
    pairs = [float(shares @ (decisions[i] != decisions[j])) for i in range(count) for j in range(i + 1, count)]
    return float(np.mean(pairs))


def diversity(panel: Panel, members: Sequence[int]) -> dict[str, float]:
    """Returns the mean pairwise `disagreement` of some members, and `one_right`, which counts what labels decide.

    Args:
        panel: What the members answer.
        members: Their numbers.

    Example:
        >>> diversity(panel, [0, 3, 4])
        {'disagreement': 0.11, 'one_right': 0.08}
    """
    chosen = list(members)
    parts = [(each.decisions[chosen], each.right[chosen], each.shares) for each in panel.votes]
    return {
        "disagreement": float(np.mean([disagreement(decided, shares) for decided, _, shares in parts])),
        "one_right": float(np.mean([disagreement(right, shares) for _, right, shares in parts])),
    }
