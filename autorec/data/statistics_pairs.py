"""Chooses the pairs of columns whose joint statistics tell what the columns alone do not."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from autorec.data.statistics import Problem, before, joint_keys, loss, smoothed

MOST_PAIRS = 32
MOST_COLUMNS = 64  # that are paired: the number of pairs grows with its square
_SMALL_TABLE = 32  # cells; pairs with fewer are left to the network
_ROWS = (32_768, 262_144)
_WORK = 8_000_000  # rows times pairs, about
_TRAIN, _TEST = (0.1, 0.6), 0.6  # shares of the sample in order: the first rows have seen too little
_ERRORS = 3.0  # standard errors that a gain must be above 0
_LEAST = 1e-4  # of the loss, that a pair has to win
_RIDGE = 1e-6


def choose_pairs(
    problem: Problem, sizes: Sequence[int], candidates: Sequence[int], deadline: float | None = None
) -> list[tuple[int, int]]:
    """Returns the pairs with a joint statistic that improves a prediction from all single ones, the best first.

    On a sample of the training rows a regression (logistic for a binary target) on the ordered rates and counts of
    all single columns is fitted to earlier rows. For each pair it is fitted once more with the joint rate and count
    beside it; the pair is taken if that lowers the loss on the later rows by a ten-thousandth and by more than three
    standard errors. Of several targets each takes its own; a pair's place is that of the largest share of a loss that
    it lowers. Of more than 64 columns those are paired whose own rate goes most with the labels of the later rows.

    Args:
        problem: Labels and order.
        sizes: Number of ids of each column.
        candidates: Columns to pair.
        deadline: `time.monotonic()` behind which no further pair is tried, or None.
    """
    pairs = [pair for pair in combinations(candidates, 2) if sizes[pair[0]] * sizes[pair[1]] >= _SMALL_TABLE]
    if not pairs:
        return []
    rows, targets = int(np.clip(_WORK // len(pairs), *_ROWS)), len(problem.binary)
    gains = dict.fromkeys(pairs, 0.0)
    for target in range(targets):
        until = deadline if target == targets - 1 else _share(deadline, targets - target)
        for pair, gain in _gains(_Trial.of(problem, rows, target), pairs, sizes, candidates, until).items():
            gains[pair] = max(gains[pair], gain)
    return [pair for pair, gain in sorted(gains.items(), key=lambda found: -found[1]) if gain > 0][:MOST_PAIRS]


def _share(deadline: float | None, targets: int) -> float | None:
    """Returns when one of the targets that are left has to be done."""
    if deadline is None:
        return None
    now = time.monotonic()
    return now + (deadline - now) / targets


def _gains(
    trial: _Trial,
    pairs: Sequence[tuple[int, int]],
    sizes: Sequence[int],
    candidates: Sequence[int],
    until: float | None,
) -> dict[tuple[int, int], float]:
    """Returns the gain of each pair that there is time for, as a share of a target's loss."""
    if len(trial.labels) < 100 or trial.labels.min() == trial.labels.max():
        return {}
    singles = {column: trial.statistics(trial.ids[:, column]) for column in candidates}
    base = trial.fitted(np.concatenate(list(singles.values()), 1))
    unit = trial.later_loss(base)
    gains = {}
    telling = trial.most_telling(singles)
    for a, b in pairs:
        if a not in telling or b not in telling:
            continue
        if until is not None and time.monotonic() >= until:
            break
        joint = trial.statistics(joint_keys((trial.ids[:, a], trial.ids[:, b]), sizes[b]))
        gains[a, b] = trial.gain(base, np.concatenate([singles[a], singles[b], joint], 1)) / unit
    return gains


@dataclass(frozen=True)
class _Trial:
    """A sample of labelled training rows, in order."""

    ids: np.ndarray
    labels: np.ndarray
    binary: bool
    prior: float

    @classmethod
    def of(cls, problem: Problem, rows: int, target: int) -> _Trial:
        chosen = problem.order[:: max(1, len(problem.order) // rows)][:rows]
        nearby = np.argsort(chosen, kind="stable")  # read in file order, then restore
        ids = problem.read(chosen[nearby])[np.argsort(nearby, kind="stable")]
        labels = problem.labels[chosen, target].astype(np.float64)
        known = ~np.isnan(labels)
        return cls(ids[known], labels[known], problem.binary[target], float(problem.priors[target]))

    def statistics(self, keys: np.ndarray) -> np.ndarray:
        """Returns the standardised ordered rate and log count of each row's key, (rows, 2)."""
        number, total = before(keys, self.labels)
        rate = smoothed(total, number, self.prior, 3.0, self.binary)
        found = np.stack([rate, np.log1p(number)], 1)
        return (found - found.mean(0)) / np.maximum(found.std(0), 1e-6)

    @property
    def _parts(self) -> tuple[slice, slice]:
        count = len(self.labels)
        return slice(int(_TRAIN[0] * count), int(_TRAIN[1] * count)), slice(int(_TEST * count), count)

    def fitted(self, x: np.ndarray, offset: np.ndarray | None = None, steps: int = 6) -> np.ndarray:
        """Returns the predictions of a (logistic) regression fitted to the earlier rows; logits if binary.

        Args:
            x: Columns of the regression, (rows, columns).
            offset: Predictions to start from.
            steps: Newton steps; one is exact where the target is not binary.
        """
        x = np.concatenate([np.ones((len(x), 1)), x], 1)
        offset = np.zeros(len(x)) if offset is None else offset
        rows = self._parts[0]
        train, y, weights = x[rows], self.labels[rows], np.zeros(x.shape[1])
        for _ in range(steps if self.binary else 1):
            z = offset[rows] + train @ weights
            p = 1.0 / (1.0 + np.exp(-z)) if self.binary else z
            slope = np.maximum(p * (1 - p), 1e-6) if self.binary else np.ones_like(p)
            hessian = train.T @ (train * slope[:, None]) + _RIDGE * len(train) * np.eye(x.shape[1])
            weights += np.linalg.solve(hessian, train.T @ (y - p) - _RIDGE * len(train) * weights)
        return np.asarray(offset + x @ weights)

    def most_telling(self, singles: Mapping[int, np.ndarray]) -> set[int]:
        """Returns the columns, 64 at most, whose rate goes most with the labels of the later rows."""
        test = self._parts[1]
        labels = self.labels[test] - self.labels[test].mean()
        return set(sorted(singles, key=lambda column: -abs(float(singles[column][test, 0] @ labels)))[:MOST_COLUMNS])

    def later_loss(self, base: np.ndarray) -> float:
        """Returns the mean loss of predictions on the later rows, above 0."""
        test = self._parts[1]
        return max(float(loss(base[test], self.labels[test], self.binary).mean()), 1e-12)

    def gain(self, base: np.ndarray, more: np.ndarray) -> float:
        """Returns by how much more than chance `more` columns beside `base` lower the later rows' loss."""
        test = self._parts[1]
        # Few steps do: only the joint columns are new, the others stand in `base` at their best already.
        after = self.fitted(more, base, steps=3)
        losses = [loss(z[test], self.labels[test], self.binary) for z in (base, after)]
        won = losses[0] - losses[1] - _LEAST * losses[0].mean()
        return float(won.mean() - _ERRORS * won.std() / np.sqrt(len(won)))
