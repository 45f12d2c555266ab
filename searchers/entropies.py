"""Entropies of hard predictions, and the score by which SAEP's PIE compares two members of an ensemble.

All are of empirical tables, in natural logarithms; predictions are whole numbers from 0, so that classes and bins of
scores serve alike. An empty cell counts 0, and a denominator of 0 becomes `TINY`.
"""

from __future__ import annotations

import math

import numpy as np

TINY = 1e-18


def joint_table(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns how often two predictions meet, (values of a, values of b), as shares that sum to 1.

    Args:
        a, b: (rows,) whole numbers of 0 or more.
    """
    width = int(b.max()) + 1
    counts = np.bincount(a * width + b, minlength=(int(a.max()) + 1) * width)
    return counts.reshape(-1, width) / len(a)


def entropy(shares: np.ndarray) -> float:
    """Returns `H = - sum p log p` of a table of shares, of any shape.

    Example:
        >>> entropy(np.array([0.5, 0.5]))  # log 2
        0.6931471805599453
    """
    present = shares[shares > 0.0]
    return max(-float(np.sum(present * np.log(present))), 0.0)


def entropies(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Returns `H(a)`, `H(b)` and `H(a, b)`."""
    table = joint_table(a, b)
    return entropy(table.sum(1)), entropy(table.sum(0)), entropy(table)


def information(of_a: float, of_b: float, of_both: float) -> float:
    """Returns `I(a; b) = H(a) + H(b) - H(a, b)`, 0 where either is constant."""
    return max(of_a + of_b - of_both, 0.0) if min(of_a, of_b) > 0.0 else 0.0


def normalised_information(a: np.ndarray, b: np.ndarray) -> float:
    """Returns `MI(a, b) = I(a; b) / sqrt(H(a) H(b))`, in [0, 1]: 0 for a constant, 1 for the same up to names.

    Args:
        a, b: (rows,) whole numbers of 0 or more.
    """
    of_a, of_b, of_both = entropies(a, b)
    return min(information(of_a, of_b, of_both) / max(math.sqrt(of_a * of_b), TINY), 1.0)


def variation(a: np.ndarray, b: np.ndarray) -> float:
    """Returns `VI(a, b) = 1 - I(a; b) / H(a, b)`, in [0, 1]: 0 for the same up to names, 1 for independent ones.

    Args:
        a, b: (rows,) whole numbers of 0 or more.
    """
    of_a, of_b, of_both = entropies(a, b)
    return min(max(1.0 - information(of_a, of_b, of_both) / max(of_both, TINY), 0.0), 1.0)


def tdac(predictions: np.ndarray, labels: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """Returns how much two members tell together, for each pair, (members, members), 0 on the diagonal.

    `TDAC(i, j) = alpha VI(p_i, p_j) + (1 - alpha) (MI(p_i, y) + MI(p_j, y)) / 2`, and 0 where both predict the same
    everywhere.

    Args:
        predictions: (members, rows) whole numbers of 0 or more.
        labels: (rows,) whole numbers of 0 or more.
        alpha: Share of diversity against accuracy, in [0, 1].

    Source: Bian et al., "Sub-Architecture Ensemble Pruning in Neural Architecture Search" (TNNLS 2022).
    """
    count = len(predictions)
    accuracy = [normalised_information(each, labels) for each in predictions]
    scores = np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1, count):
            if not np.array_equal(predictions[i], predictions[j]):
                diversity = variation(predictions[i], predictions[j])
                scores[i, j] = alpha * diversity + (1.0 - alpha) * (accuracy[i] + accuracy[j]) / 2.0
    return scores + scores.T
