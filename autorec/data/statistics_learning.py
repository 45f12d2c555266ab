"""Learns target and count statistics: one pass over the training rows in order, all keys at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from autorec.data import statistics
from autorec.data.groups import Groups
from autorec.data.pair_keys import pair_keys
from autorec.data.statistics import FOLDS, SMOOTHING, Accumulator, Problem, Table, joint_keys, loss, smoothed

TUNING = 262_144
MEMORY = 256 << 20  # bytes for the sums of single folds, if those of one do not take more
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

    def groups(self, ids: np.ndarray) -> Groups:
        """Returns the rows by where their keys stand in the table; a pair may have no place in it."""
        if self.keys is None:
            return Groups.of(ids[:, self.columns[0]])
        return Groups.of(joint_keys([ids[:, column] for column in self.columns], self.size)).within(self.keys)

    def positions(self, ids: np.ndarray) -> np.ndarray:
        """Returns where each row's key stands in the table, -1 for a pair that has no place in it."""
        return ids[:, self.columns[0]] if self.keys is None else self.groups(ids).positions


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
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # NumPy works on several keys side by side
        keys = _make_keys(problem, names, sizes, wanted, targets, pool)
        _tune(problem, keys, pool)
        if problem.method == "ordered":
            for rows, ids, labels in problem.blocks():
                found = pool.map(partial(_ordered, problem, ids, labels), keys)
                write(rows, np.concatenate(list(found), 1))
        else:
            _folds(problem, keys, write, pool)
        return list(pool.map(partial(_table, problem), keys))


def _make_keys(
    problem: Problem,
    names: Sequence[str],
    sizes: Sequence[int],
    wanted: Sequence[tuple[int, ...]],
    targets: int,
    pool: Executor,
) -> list[Key]:
    pairs = [columns for columns in wanted if len(columns) == 2]
    found = pair_keys(problem, sizes, pairs, pool)
    keys = []
    for columns in wanted:
        sources = tuple(names[column] for column in columns)
        table = found.get(columns)
        length = sizes[columns[0]] if table is None else max(len(table), 1)
        sums = Accumulator(length, targets, problem.complete)
        keys.append(Key(sources, columns, sizes[columns[-1]], table, sums, [10.0] * targets))
    return keys


def _tune(problem: Problem, keys: Sequence[Key], pool: Executor) -> None:
    """Chooses each key's smoothing by how well the ordered rates predict the first rows of the order."""
    head = Problem(problem.read, problem.labels, problem.binary, problem.order[:TUNING], "ordered")
    targets = len(problem.binary)
    losses = np.zeros((len(keys), targets, len(SMOOTHING)))
    sums = [Accumulator(len(key.sums.count), targets, problem.complete) for key in keys]
    for _, ids, labels in head.blocks():
        losses += list(pool.map(partial(_losses, problem, ids, labels), keys, sums))
    for i, key in enumerate(keys):
        key.smoothing = [SMOOTHING[j] for j in losses[i].argmin(1)]


def _losses(problem: Problem, ids: np.ndarray, labels: np.ndarray, key: Key, sums: Accumulator) -> np.ndarray:
    """Returns the summed loss of a block's ordered rates by target and smoothing, and adds the block to the sums."""
    groups, losses = key.groups(ids), np.zeros((len(problem.binary), len(SMOOTHING)))
    for target, binary in enumerate(problem.binary):
        number, total = (groups.back(values) for values in _earlier(sums, groups, labels, target))
        for j, smoothing in enumerate(SMOOTHING):
            rate = smoothed(total, number, problem.priors[target], smoothing, binary)
            losses[target, j] = np.nansum(loss(rate, labels[:, target], binary))
    sums.add(groups, labels)
    return losses


def _earlier(sums: Accumulator, groups: Groups, labels: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the number and the target sum of the labelled rows of the same key before each row, sorted by key."""
    values = labels[:, target].take(groups.order).astype(np.float64)
    known = ~np.isnan(values)
    number = groups.index
    if not known.all():  # an unlabelled row counts as a row of its key with neither number nor sum
        values, number = np.where(known, values, 0.0), groups.before(known.astype(np.float64))
    number = number + groups.spread(sums.seen(target)[groups.places])
    total = groups.before(values) + groups.spread(sums.sums[target][groups.places])
    number[: groups.outside] = total[: groups.outside] = 0.0
    return number, total


def _ordered(problem: Problem, ids: np.ndarray, labels: np.ndarray, key: Key) -> np.ndarray:
    """Returns the statistics of a block's rows from the rows before each, and adds the block to the key's sums."""
    groups, out = key.groups(ids), np.empty((len(labels), labels.shape[1] + 1), np.float32)
    number = groups.index
    for target, binary in enumerate(problem.binary):
        number, total = _earlier(key.sums, groups, labels, target)
        out[:, target] = smoothed(total, number, problem.priors[target], key.smoothing[target], binary)
    if not problem.complete:
        number = groups.index + groups.spread(key.sums.count[groups.places])
        number[: groups.outside] = 0.0
    out[:, -1] = np.log1p(number)
    key.sums.add(groups, labels)
    return groups.back(out)


def _folds(problem: Problem, keys: Sequence[Key], write: Write, pool: Executor) -> None:
    """Writes the statistics fold by fold, as many folds at a time as memory allows: as a rule all."""
    targets = problem.labels.shape[1]
    size = sum(len(key.sums.count) for key in keys) * (4 + targets * (8 if problem.complete else 12))
    together = min(max(MEMORY // max(size, 1), 1), FOLDS)
    if together < FOLDS:  # else the totals are summed up with the folds
        for _, ids, labels in problem.blocks():
            list(pool.map(partial(_add, ids, labels), keys))
    for first in range(0, FOLDS, together):
        folds = range(first, min(first + together, FOLDS))
        parts = [Accumulator(len(key.sums.count) * len(folds), targets, problem.complete) for key in keys]
        for _, ids, labels, fold in _blocks_of(problem, folds):
            list(pool.map(partial(_add_folds, ids, labels, fold, len(folds)), keys, parts))
        for rows, ids, _, fold in _blocks_of(problem, folds):
            found = pool.map(partial(_others, problem, ids, fold, len(folds)), keys, parts)
            write(rows, np.concatenate(list(found), 1))


def _blocks_of(problem: Problem, folds: range) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yields (rows, ids, labels, number among the folds) of the rows of some folds, in the blocks of all rows."""
    for start in range(0, len(problem.order), statistics.BLOCK):
        order = problem.order[start : start + statistics.BLOCK]
        fold = np.arange(start, start + len(order)) % FOLDS - folds.start
        mine = (fold >= 0) & (fold < len(folds))
        for rows, ids, labels in replace(problem, order=order[mine]).blocks():
            yield rows, ids, labels, fold[mine]


def _add(ids: np.ndarray, labels: np.ndarray, key: Key) -> None:
    key.sums.add(key.groups(ids), labels)


def _add_folds(ids: np.ndarray, labels: np.ndarray, fold: np.ndarray, folds: int, key: Key, part: Accumulator) -> None:
    groups = key.groups(ids)
    if folds == FOLDS:
        key.sums.add(groups, labels)
    positions = groups.positions
    part.add(Groups.of(np.where(positions >= 0, positions * folds + fold, -1)), labels)


def _others(problem: Problem, ids: np.ndarray, fold: np.ndarray, folds: int, key: Key, part: Accumulator) -> np.ndarray:
    """Returns the statistics of a block's rows from the rows of the other folds."""
    positions = key.positions(ids)
    inside = positions >= 0
    where = np.maximum(positions, 0)
    own = where * folds + fold
    out = np.empty((len(ids), len(problem.binary) + 1), np.float32)
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
