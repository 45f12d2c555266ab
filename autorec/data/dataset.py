"""Batches of encoded rows as a `tf.data.Dataset`."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil
import tensorflow as tf

from autorec.data.cache import Part, rows_of
from autorec.data.lists import Lists
from autorec.data.order import windowed_order

_TYPES = {"numbers": np.float64, "statistics": np.float32, "pairs": np.float32, "margins": np.float32}


def batches(
    parts: Sequence[Part],
    groups: Sequence[str],
    targets: Sequence[str],
    batch_size: int,
    *,
    shuffle: bool,
    seed: int = 0,
    epochs: int = 1,
    rows: int | None = None,
    shares: range = range(1),
    of: int = 1,
    resident: bool | None = None,
) -> tf.data.Dataset:
    """Returns a dataset of `(x, y)` or `(x, y, w)`.

    `x` is a dict group -> array, `y` a dict target -> (batch, 1) float32, `w` the (batch,) row weights where the
    parts have some. The dataset runs through all epochs; the order of epoch `e` depends on `(seed, e)` alone. Every
    row is seen once an epoch, the last batch of an epoch may be smaller.

    Args:
        parts: Parts, taken as one behind the other.
        groups: Groups to read.
        targets: Names of the labels' columns.
        batch_size: Rows of a batch.
        shuffle: Whether each epoch has an order of its own.
        seed: Seed of the orders.
        epochs: Number of epochs.
        rows: Use only this many of the parts' rows, evenly spread; None uses all.
        shares: Which shares of each batch to read: one dataset element each, in turn. The batches of all shares are
            those of a dataset without shares.
        of: Number of shares of a batch; their sizes differ by a row at most. A share without rows, of a small last
            batch, gets one whose labels are NaN.
        resident: Whether the rows fit into memory, which tells how they are shuffled; None asks `fits_in_memory`.
    """
    resident = fits_in_memory(parts, groups) if resident is None else resident
    reader = _Reader(parts, groups, batch_size, shuffle, seed, rows, resident, _Shares(shares, of))
    signature, weighted = reader.signature(len(targets)), reader.weighted
    # TensorFlow keeps the function of a `numpy_function` for ever: it may not keep the rows too.
    reference = weakref.ref(reader)

    def read(index: Any) -> list[np.ndarray]:
        return reference().batch(index)  # type: ignore[union-attr]

    def load(index: Any) -> list[Any]:
        arrays = tf.numpy_function(read, [index], [spec.dtype for spec in signature])
        for array, spec in zip(arrays, signature):
            array.set_shape(spec.shape)
        return arrays

    def arrange(*arrays: Any) -> Any:
        x = dict(zip(groups, arrays))
        labels = arrays[len(groups)]
        y = {name: labels[:, i : i + 1] for i, name in enumerate(targets)}
        return (x, y, arrays[-1]) if weighted else (x, y)

    numbers = tf.data.Dataset.range(epochs * reader.steps * len(shares))
    numbers.reader = reader  # lives as long as a dataset made from these numbers
    # With its own tuning an iterator waits at its end for the thread that tunes, which sleeps up to a minute at a time;
    # and there is nothing here to tune.
    options = tf.data.Options()
    options.autotune.enabled = False
    return numbers.map(lambda index: arrange(*load(index))).prefetch(4).with_options(options)


def shuffled_batch(
    parts: Sequence[Part], groups: Sequence[str], batch_size: int, number: int, *, seed: int, resident: bool
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns some groups and the labels of one batch of a shuffled dataset.

    Args:
        parts: As in `batches`.
        groups: Groups to read.
        batch_size: As in `batches`.
        number: Number of the batch, from 0 and through all epochs.
        seed: As in `batches`.
        resident: As in `batches`.
    """
    reader = _Reader(parts, groups, batch_size, True, seed, None, resident, _Shares(range(1), 1))
    arrays = reader.batch(number)
    return dict(zip(groups, arrays)), arrays[len(groups)]


def fits_in_memory(parts: Sequence[Part], groups: Sequence[str]) -> bool:
    """Returns whether some groups of all rows can stay in memory: whether they take less than a third of it all.

    What is free at the moment does not count: the same training would have another order of rows on another day.
    """
    size = sum(part.rows * part.row_bytes(groups) for part in parts)
    return size < psutil.virtual_memory().total // 3


class _Shares:
    """The shares of a batch that are read here.

    Args:
        numbers: Their numbers.
        of: Number of shares of a batch.
    """

    def __init__(self, numbers: range, of: int) -> None:
        self.numbers = numbers
        self.of = of

    def span(self, share: int, start: int, stop: int) -> slice:
        """Returns the rows of the share at a position of `numbers` among a batch's rows."""
        rows, number = stop - start, self.numbers[share]
        return slice(start + rows * number // self.of, start + rows * (number + 1) // self.of)


class _Reader:
    """Reads batch number `i` of a run through several epochs, or the shares of it."""

    def __init__(
        self,
        parts: Sequence[Part],
        groups: Sequence[str],
        batch_size: int,
        shuffle: bool,
        seed: int,
        rows: int | None,
        resident: bool,
        shares: _Shares,
    ) -> None:
        self.parts = list(parts)
        self.groups = list(groups)
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.weighted = any(part.weights is not None for part in parts)
        self.starts = np.cumsum([0, *(part.rows for part in parts)])
        self.subset = None
        if rows is not None and rows < self.starts[-1]:
            self.subset = np.linspace(0, self.starts[-1] - 1, rows).astype(np.int64)
        self.rows = int(self.starts[-1]) if self.subset is None else len(self.subset)
        self.steps = -(-self.rows // batch_size)
        self.resident = resident
        self.shares = shares
        self._epoch = -1
        self._order = np.zeros(0, np.int64)

    def signature(self, targets: int) -> list[tf.TensorSpec]:
        specs = []
        for group in self.groups:
            array = self.parts[0].arrays[group]
            ragged = isinstance(array, Lists)
            width = None if ragged or group.startswith("list_") else array.shape[1]
            specs.append(tf.TensorSpec((None, width), tf.as_dtype(_TYPES.get(group, np.int32))))
        specs.append(tf.TensorSpec((None, targets), tf.float32))
        if self.weighted:
            specs.append(tf.TensorSpec((None,), tf.float32))
        return specs

    def batch(self, index: Any) -> list[np.ndarray]:
        number, share = divmod(int(index), len(self.shares.numbers))
        epoch, step = divmod(number, self.steps)
        start = step * self.batch_size
        span = self.shares.span(share, start, min(start + self.batch_size, self.rows))
        if span.start == span.stop:
            return self._unlabelled(self._rows(epoch, slice(start, start + 1)))
        return self._take(self._rows(epoch, span))

    def _rows(self, epoch: int, span: slice) -> Any:
        """Returns the numbers of the rows at some places of an epoch's order."""
        if not self.shuffle and self.subset is None:
            return span
        if epoch != self._epoch:
            self._order = self._new_order(epoch)
            self._epoch = epoch
        return self._order[span]

    def _unlabelled(self, rows: Any) -> list[np.ndarray]:
        arrays = self._take(rows)
        arrays[len(self.groups)] = np.full_like(arrays[len(self.groups)], np.nan)
        return arrays

    def _new_order(self, epoch: int) -> np.ndarray:
        order = np.arange(self.rows)
        if self.shuffle:
            rng = np.random.default_rng([self.seed, epoch])
            order = rng.permutation(self.rows) if self.resident else windowed_order(self.rows, rng)
        return order if self.subset is None else self.subset[order]

    def _take(self, rows: Any) -> list[np.ndarray]:
        if len(self.parts) == 1:
            return self._take_part(self.parts[0], rows)
        if isinstance(rows, slice):
            rows = np.arange(rows.start, rows.stop)
        owner = np.searchsorted(self.starts, rows, side="right") - 1
        pieces = [
            self._take_part(part, rows[owner == i] - self.starts[i])
            for i, part in enumerate(self.parts)
            if (owner == i).any()
        ]
        back = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
        return [np.take(_stack(columns), back, axis=0) for columns in zip(*pieces)]

    def _take_part(self, part: Part, rows: Any) -> list[np.ndarray]:
        found = part.take(rows, self.groups)
        arrays = [found[group] for group in self.groups]
        arrays.append(rows_of(part.labels, rows))
        if self.weighted:
            ones = np.ones(len(arrays[-1]), np.float32)
            arrays.append(ones if part.weights is None else rows_of(part.weights, rows))
        return arrays


def _stack(pieces: Sequence[np.ndarray]) -> np.ndarray:
    width = {piece.shape[1:] for piece in pieces}
    if len(width) > 1:  # lists, padded to the longest of each piece
        longest = max(piece.shape[1] for piece in pieces)
        pieces = [np.pad(piece, ((0, 0), (0, longest - piece.shape[1]))) for piece in pieces]
    return np.concatenate(pieces)
