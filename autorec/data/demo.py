"""A click log made by a known process, whose best possible AUC and log loss are therefore known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from autorec.data.demo_process import CATEGORIES, COUNTRIES, DEVICES, SEGMENTS, Process, Rows
from autorec.errors import ConfigError, unknown_name

TARGETS = ("click", "like", "dwell")
_BLOCK = 16_384
_NAMES = {"segment": SEGMENTS, "country": COUNTRIES, "device": DEVICES, "category": CATEGORIES}


@dataclass(frozen=True)
class ClickLog:
    """A made click log, in order of time, drawn block by block; see `click_log`.

    A block of rows depends on the log's arguments and the block's number alone: reading holds one block in memory,
    and reading again gives the same rows.

    Args:
        process: The known process.
        total: Number of rows of the whole log, of which this may be a slice.
        days: Length of the whole log in days.
        targets: Target columns.
        start: First row of the slice.
        stop: Row behind the last one.
    """

    process: Process
    total: int
    days: int
    targets: tuple[str, ...]
    start: int
    stop: int
    schema: pa.Schema = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", _schema(self.process.history > 0, self.targets))

    @property
    def name(self) -> str:
        """What the log is called in messages."""
        return f"click_log(rows={self.total}, seed={self.process.seed})[{self.start}:{self.stop}]"

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start

    @property
    def planted(self) -> list[tuple[str, ...]]:
        """Columns of each planted interaction of a click (of `time`, the quarter of the day matters)."""
        pairs = [("segment", "category"), ("device", "position"), ("user", "item"), ("age", "price")]
        history = [("history", "category")] if self.process.history else []
        return [*pairs, *history, ("segment", "category", "time")]

    def slice(self, start: int, stop: int) -> ClickLog:
        """Returns rows `start` to `stop` (not included) as a log of the same process.

        Raises:
            ConfigError: If the range is empty or not within the log.
        """
        if not 0 <= start < stop <= self.rows:
            raise ConfigError("start, stop", f"a range of rows within 0 and {self.rows}", (start, stop))
        return replace(self, start=self.start + start, stop=self.start + stop)

    def split(self, fraction: float = 0.2) -> tuple[ClickLog, ClickLog]:
        """Returns the earlier rows and the last `fraction` of the rows, both of the same process.

        Raises:
            ConfigError: If `fraction` is not between 0 and 1, or leaves a side empty.
        """
        cut = self.rows - round(self.rows * fraction)
        if not 0 < cut < self.rows:
            raise ConfigError("fraction", "between 0 and 1, with rows on both sides", fraction)
        return self.slice(0, cut), self.slice(cut, self.rows)

    def batches(self, columns: Sequence[str] | None = None, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
        """Streams the log.

        Args:
            columns: Columns to keep, in this order; None for all.
            rows: Rows of a batch; only the last may have fewer.

        Raises:
            ConfigError: If a column is not of the log, or `rows` is not positive.
        """
        _check_positive("rows", rows)
        names = self.schema.names if columns is None else list(columns)
        for name in names:
            if name not in self.schema.names:
                raise unknown_name("columns", name, self.schema.names)
        return self._batches(names, rows)

    def _batches(self, names: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        held: list[pa.RecordBatch] = []
        for number, (low, high) in self._blocks():
            block = self._arrow(number).slice(low, high - low).select(names)
            table = pa.Table.from_batches([*held, block])
            last = (number + 1) * _BLOCK >= self.stop
            ready = table.num_rows if last else table.num_rows // rows * rows
            for first in range(0, ready, rows):
                yield from table.slice(first, min(rows, ready - first)).combine_chunks().to_batches()
            held = table.slice(ready).to_batches()

    def frame(self) -> pl.DataFrame:
        """Returns all rows as a Polars frame."""
        frame = pl.from_arrow(pa.Table.from_batches(self.batches(), schema=self.schema))
        return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()

    def probabilities(self, target: str) -> np.ndarray:
        """Returns the true probability of the target in each row, float64 of shape `(rows,)`.

        Raises:
            ConfigError: If `target` is not a target of the log.
        """
        return np.concatenate(list(self._probabilities(target)))

    def bayes_auc(self, target: str) -> float:
        """Returns the AUC of the true probabilities over labels drawn from them: no model can expect more.

        The expected number of pairs in the right order over the expected number of pairs of unlike labels,
        ``sum_ij p_i (1 - p_j) [p_i > p_j] / sum_ij p_i (1 - p_j)`` over i != j, a tie counting one half; by sorting,
        in O(n log n).
        """
        values, counts = np.unique(self.probabilities(target), return_counts=True)
        positive, negative = values * counts, (1 - values) * counts
        itself = np.sum(positive * (1 - values))
        below = np.cumsum(negative) - negative
        ordered = np.sum(positive * (below + negative / 2)) - itself / 2
        return float(ordered / (positive.sum() * negative.sum() - itself))

    def bayes_log_loss(self, target: str) -> float:
        """Returns the expected log loss of the true probabilities, their mean entropy in nats."""
        entropy = sum(float(-np.sum(p * np.log(p) + (1 - p) * np.log1p(-p))) for p in self._probabilities(target))
        return entropy / self.rows

    def _probabilities(self, target: str) -> Iterator[np.ndarray]:
        if target not in self.targets:
            raise unknown_name("target", target, self.targets)
        for number, (low, high) in self._blocks():
            yield self.process.probability(target, self._draw(number)[0])[low:high]

    def _blocks(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """Gives the number of each block that the slice meets, and which rows of it."""
        for number in range(self.start // _BLOCK, -(-self.stop // _BLOCK)):
            first = number * _BLOCK
            yield number, (max(self.start - first, 0), min(self.stop - first, _BLOCK))

    def _draw(self, number: int) -> tuple[Rows, np.random.Generator]:
        rng = np.random.default_rng([self.process.seed, 1, number])
        progress = (number * _BLOCK + np.arange(_BLOCK) + rng.random(_BLOCK)) / self.total
        return self.process.draw(rng, progress, self.days), rng

    def _arrow(self, number: int) -> pa.RecordBatch:
        rows, rng = self._draw(number)
        chance = {target: rng.random(_BLOCK) for target in TARGETS}
        click = chance["click"] < self.process.probability("click", rows)
        arrays: dict[str, Any] = {
            "time": pa.array(rows["time"]).cast(pa.timestamp("us")),
            **{name: pa.array(rows[name]) for name in ("user", "item")},
            **{name: pa.array(names).take(pa.array(rows[name])) for name, names in _NAMES.items()},
            "position": pa.array(rows["position"] + 1),
            **{name: pa.array(rows[name], from_pandas=True) for name in ("age", "price")},
        }
        if self.process.history:
            ends = np.concatenate([[0], np.cumsum(rows["history_length"])])
            arrays["history"] = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(rows["history_items"]))
        for target in self.targets:
            # Given a click, a like has the probability P(like) / P(click).
            own = chance[target] * self.process.probability("click", rows) < self.process.probability(target, rows)
            arrays[target] = pa.array((click if target == "click" else click & own).astype(np.int64))
        return pa.RecordBatch.from_arrays([arrays[name] for name in self.schema.names], schema=self.schema)


def _schema(history: bool, targets: tuple[str, ...]) -> pa.Schema:
    return pa.schema(
        [
            ("time", pa.timestamp("us")),
            ("user", pa.int64()),
            ("item", pa.int64()),
            *((name, pa.string()) for name in _NAMES),
            ("position", pa.int64()),
            ("age", pa.float64()),
            ("price", pa.float64()),
            *([("history", pa.list_(pa.int64()))] if history else []),
            *((name, pa.int64()) for name in targets),
        ]
    )


def click_log(
    rows: int = 200_000,
    seed: int = 0,
    users: int = 2_000,
    items: int = 1_000,
    days: int = 14,
    drift: float = 0.0,
    history: int = 0,
    targets: Sequence[str] = ("click",),
) -> ClickLog:
    """Makes a click log from a known process.

    Columns: `time`, `user`, `item`, `segment`, `country`, `device`, `category`, `position` (1 to 8), `age` and
    `price` (with missing values), `history` (if asked for) and the targets, 0 or 1. The planted effects depend on
    `seed`, `users` and `items` alone, so logs of other lengths share them; for a test set of the same process take
    `split`.

    Args:
        rows: Number of rows, 1 or more.
        seed: Seed of the process and of the rows, 0 or more.
        users: Number of users, 1 or more.
        items: Number of items, 1 or more.
        days: Days the log lasts, from 2024-01-01 on, 1 or more.
        drift: How far some effects move from the first day to the last; 0 not at all, 1 wholly to others.
        history: Largest number of earlier clicked items in the list column `history`, newest last; they are drawn
            with the row, not taken from the log's own clicks. 0 for no such column.
        targets: Some of `click`, `like`, `dwell` (a long dwell); the last two happen only with a click.

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> log = click_log(rows=1000)
        >>> train, test = log.split(0.2)
        >>> test.rows, 0.5 < test.bayes_auc("click") < 1
        (200, True)
    """
    for name, value in (("rows", rows), ("users", users), ("items", items), ("days", days)):
        _check_positive(name, value)
    for name, number in (("seed", seed), ("history", history)):
        if not isinstance(number, (int, np.integer)) or number < 0:
            raise ConfigError(name, "a whole number, 0 or more", number)
    if not 0 <= drift < float("inf"):
        raise ConfigError("drift", "a number, 0 or more", drift)
    names = (targets,) if isinstance(targets, str) else tuple(targets)
    for name in names:
        if name not in TARGETS:
            raise unknown_name("targets", name, TARGETS)
    if not names or len(set(names)) < len(names):
        raise ConfigError("targets", f"one or more of {TARGETS}, each once", targets)
    process = Process(int(seed), users, items, float(drift), int(history))
    return ClickLog(process, rows, days, names, 0, rows)


def _check_positive(name: str, value: int) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ConfigError(name, "a positive whole number", value)
