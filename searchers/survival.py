"""Which of the architectures tried so far may have children."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# (losses in order of time, operations in the same order, population) -> positions of the survivors, in order of time
Survival = Callable[[np.ndarray, np.ndarray, int], np.ndarray]

# What a whole rank of loss or operations weighs against a whole age.
_LOSS, _AGE, _OPERATIONS = 0.1, 1.0, 0.1


def comb(losses: np.ndarray, operations: np.ndarray, population: int) -> np.ndarray:
    """Keeps the young, the good and the cheap: the least of

        0.1 rank(loss) / m + age + 0.1 rank(operations) / m,    m = 2 population

    over the newest m. The age is 1/n for the newest of n and 1 for the oldest, but the `population` oldest all have
    that of the youngest among them. Ranks count from 1; equal values share a rank, and so do unknown operations.

    Args:
        losses: One for each architecture in order of time, less is better; one that is not finite never survives.
        operations: Multiply-adds of each, NaN where they are not known.
        population: Number of survivors; all survive while there are no more.

    Returns:
        Positions of the survivors in `losses`, in order of time.

    Source: the official release of Song et al., "Towards Automated Neural Interaction Discovery for Click-Through
    Rate Prediction" (KDD 2020), as are the other three rules.
    """
    window = _valid(losses)[-2 * population :]
    count = len(window)
    if count <= population:
        return window
    ages = np.minimum(count - np.arange(count), count - population + 1) / count
    costs = np.where(np.isfinite(operations[window]), operations[window], np.inf)
    ranks = _LOSS * _ranks(losses[window]) + _OPERATIONS * _ranks(costs)
    return _least(ranks / (2 * population) + _AGE * ages, window, population)


def age(losses: np.ndarray, operations: np.ndarray, population: int) -> np.ndarray:
    """Keeps the newest (regularised evolution); arguments as of `comb`."""
    return _valid(losses)[-population:]


def fit(losses: np.ndarray, operations: np.ndarray, population: int) -> np.ndarray:
    """Keeps those of least loss, of equals the newer; arguments as of `comb`."""
    valid = _valid(losses)
    return _least(losses[valid], valid, population)


def mix(losses: np.ndarray, operations: np.ndarray, population: int) -> np.ndarray:
    """Keeps the newer half of the population's number, and for the other half the best of the rest; see `comb`."""
    valid = _valid(losses)
    newest = valid[-(population // 2) :] if population > 1 else valid[:0]
    rest = valid[: len(valid) - len(newest)]
    return np.sort(np.concatenate([_least(losses[rest], rest, population - len(newest)), newest]))


#: The rules by name.
SURVIVAL: dict[str, Survival] = {"comb": comb, "age": age, "fit": fit, "mix": mix}


def _valid(losses: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.isfinite(losses))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Returns 1 for the least; equal values share the least rank among them."""
    return np.searchsorted(np.sort(values), values) + 1


def _least(costs: np.ndarray, positions: np.ndarray, count: int) -> np.ndarray:
    order = np.lexsort([-positions, costs])  # of equals the newer first
    return np.sort(positions[order[:count]])
