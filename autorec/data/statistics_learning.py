"""Learns target and count statistics: one pass over the training rows in order, all keys at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autorec.data.statistics import (
    BLOCK,
    FOLDS,
    SMOOTHING,
    Accumulator,
    Problem,
    Table,
    before,
    joint_keys,
    loss,
    smoothed,
)

MOST_PAIR_KEYS = 8_000_000
TUNING = 262_144
Write = Callable[[np.ndarray, np.ndarray], None]


@dataclass
class Key:
    """A column (`keys` is None) or a pair, with what was summed up so far."""

    sources: tuple[str, ...]
    columns: tuple[int, ...]
    size: int
    keys: np.ndarray | None
    sums: Accumulator
    smoothing: list[float]

    def positions(self, ids: np.ndarray) -> np.ndarray:
        """Returns where each row's key stands in the table, -1 for a pair that has no row of its own."""
        if self.keys is None:
            return ids[:, self.columns[0]]
        if len(self.keys) == 0:
            return np.full(len(ids), -1)
        wanted = joint_keys([ids[:, column] for column in self.columns], self.size)
        where = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[where] == wanted, where, -1)


def learn(
    problem: Problem,
    names: Sequence[str],
    sizes: Sequence[int],
    wanted: Sequence[tuple[int, ...]],
    write: Write,
) -> list[Table]:
    """Writes the statistics of the training rows and returns the tables for all other rows.

    Args:
        problem: Labels, order and method.
        names: Names of the id columns.
        sizes: Number of ids of each.
        wanted: Keys as tuples of one or two column numbers.
        write: Called with rows and their (rows, keys * (targets + 1)) float32 statistics.
    """
    targets = problem.labels.shape[1]
    keys = _make_keys(problem, names, sizes, wanted, targets)
    _tune(problem, keys)
    if problem.method == "ordered":
        for rows, ids, labels in problem.blocks():
            found = [_ordered(problem, key, key.positions(ids), labels) for key in keys]
            write(rows, np.concatenate(found, 1))
    else:
        _folds(problem, keys, write)
    return [_table(problem, key) for key in keys]


def _make_keys(
    problem: Problem, names: Sequence[str], sizes: Sequence[int], wanted: Sequence[tuple[int, ...]], targets: int
) -> list[Key]:
    pairs = [columns for columns in wanted if len(columns) == 2]
    found = _pair_keys(problem, sizes, pairs)
    keys = []
    for columns in wanted:
        sources = tuple(names[column] for column in columns)
        table = found.get(columns)
        length = sizes[columns[0]] if table is None else max(len(table), 1)
        sums = Accumulator(length, targets, problem.complete)
        keys.append(Key(sources, columns, sizes[columns[-1]], table, sums, [10.0] * targets))
    return keys


def _pair_keys(
    problem: Problem, sizes: Sequence[int], pairs: Sequence[tuple[int, ...]]
) -> dict[tuple[int, ...], np.ndarray]:
    found = {pair: (np.zeros(0, np.int64), np.zeros(0, np.int64)) for pair in pairs}
    most = MOST_PAIR_KEYS // max(len(pairs), 1)
    for start in range(0, len(problem.order) if pairs else 0, BLOCK):
        ids = problem.read(np.arange(start, min(start + BLOCK, len(problem.order))))
        for pair, (old, counts) in found.items():
            fresh, times = np.unique(joint_keys([ids[:, c] for c in pair], sizes[pair[1]]), return_counts=True)
            found[pair] = _frequent(*_merge(old, counts, fresh, times), 4 * most)
    return {pair: _frequent(keys, counts, most)[0] for pair, (keys, counts) in found.items()}


def _merge(keys: np.ndarray, counts: np.ndarray, fresh: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    together, where = np.unique(np.concatenate([keys, fresh]), return_inverse=True)
    total = np.bincount(where, np.concatenate([counts, times]), minlength=len(together)).astype(np.int64)
    return together, total


def _frequent(keys: np.ndarray, counts: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    least = 1
    while len(keys) > most:
        least += 1
        keep = counts >= least
        keys, counts = keys[keep], counts[keep]
    return keys, counts


def _tune(problem: Problem, keys: Sequence[Key]) -> None:
    """Chooses each key's smoothing by how well the ordered rates predict the first rows of the order."""
    head = Problem(problem.read, problem.labels, problem.binary, problem.order[:TUNING], "ordered")
    priors = problem.priors
    losses = np.zeros((len(keys), len(priors), len(SMOOTHING)))
    sums = [Accumulator(len(key.sums.count), len(priors), problem.complete) for key in keys]
    for _, ids, labels in head.blocks():
        for i, key in enumerate(keys):
            positions = key.positions(ids)
            for target, binary in enumerate(problem.binary):
                number, total = _earlier(sums[i], positions, labels, target)
                for j, smoothing in enumerate(SMOOTHING):
                    rate = smoothed(total, number, priors[target], smoothing, binary)
                    losses[i, target, j] += np.nansum(loss(rate, labels[:, target], binary))
            sums[i].add(positions, labels)
    for i, key in enumerate(keys):
        key.smoothing = [SMOOTHING[j] for j in losses[i].argmin(1)]


def _earlier(
    sums: Accumulator, positions: np.ndarray, labels: np.ndarray, target: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the number and the target sum of the labelled rows of the same key before each row."""
    values = labels[:, target].astype(np.float64)
    known = ~np.isnan(values)
    number, total = np.zeros(len(values)), np.zeros(len(values))
    if known.all():
        number, total = before(positions, values)
    else:  # an unlabelled row counts as a row of its key with neither number nor sum
        _, total = before(positions, np.where(known, values, 0.0))
        _, number = before(positions, known.astype(np.float64))
    inside = positions >= 0
    where = np.where(inside, positions, 0)
    number = np.where(inside, number + sums.seen(target)[where], 0.0)
    return number, np.where(inside, total + sums.sums[target][where], 0.0)


def _ordered(problem: Problem, key: Key, positions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    out = np.empty((len(positions), labels.shape[1] + 1), np.float32)
    priors = problem.priors
    for target, binary in enumerate(problem.binary):
        number, total = _earlier(key.sums, positions, labels, target)
        out[:, target] = smoothed(total, number, priors[target], key.smoothing[target], binary)
    if not problem.complete:
        number, _ = before(positions, np.zeros(len(positions)))
        number = np.where(positions >= 0, number + key.sums.count[np.maximum(positions, 0)], 0.0)
    out[:, -1] = np.log1p(number)
    key.sums.add(positions, labels)
    return out


def _folds(problem: Problem, keys: Sequence[Key], write: Write) -> None:
    targets = problem.labels.shape[1]
    parts = [Accumulator(len(key.sums.count) * FOLDS, targets, problem.complete) for key in keys]
    start = 0
    for rows, ids, labels in problem.blocks():
        fold = np.arange(start, start + len(rows)) % FOLDS
        start += len(rows)
        for key, part in zip(keys, parts):
            positions = key.positions(ids)
            part.add(np.where(positions >= 0, positions * FOLDS + fold, -1), labels)
            key.sums.add(positions, labels)
    start = 0
    for rows, ids, _ in problem.blocks():
        fold = np.arange(start, start + len(rows)) % FOLDS
        start += len(rows)
        found = [_others(problem, key, part, key.positions(ids), fold) for key, part in zip(keys, parts)]
        write(rows, np.concatenate(found, 1))


def _others(problem: Problem, key: Key, part: Accumulator, positions: np.ndarray, fold: np.ndarray) -> np.ndarray:
    inside = positions >= 0
    where = np.maximum(positions, 0)
    own = where * FOLDS + fold
    out = np.empty((len(positions), len(problem.binary) + 1), np.float32)
    for target, binary in enumerate(problem.binary):
        number = np.where(inside, key.sums.seen(target)[where] - part.seen(target)[own], 0.0)
        total = np.where(inside, key.sums.sums[target][where] - part.sums[target][own], 0.0)
        out[:, target] = smoothed(total, number, problem.priors[target], key.smoothing[target], binary)
    out[:, -1] = np.log1p(np.where(inside, key.sums.count[where] - part.count[own], 0.0))
    return out


def _table(problem: Problem, key: Key) -> Table:
    targets = len(problem.binary)
    values = np.empty((len(key.sums.count), targets + 1), np.float32)
    default = np.zeros(targets + 1, np.float32)
    for target, binary in enumerate(problem.binary):
        prior, smoothing = problem.priors[target], key.smoothing[target]
        sums, seen = key.sums.sums[target], key.sums.seen(target)
        values[:, target] = smoothed(sums, seen, prior, smoothing, binary)
        default[target] = smoothed(np.zeros(1), np.zeros(1), prior, smoothing, binary)[0]
    values[:, -1] = np.log1p(key.sums.count)
    values = values if key.keys is None else values[: len(key.keys)]  # of no key there is a sum, which stays empty
    return Table(key.sources, key.keys, key.size, values, default, tuple(key.smoothing))
