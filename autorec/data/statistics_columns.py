"""Writes the statistics columns of the parts of a cache."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from autorec.data.cache import open_part
from autorec.data.column_file import new_column_file
from autorec.data.encoder import Encoder
from autorec.data.layout import StatisticColumn
from autorec.data.statistics import BLOCK, Problem, Table
from autorec.data.statistics_learning import learn
from autorec.data.statistics_pairs import choose_pairs

_CHOICE = 0.4  # of the time that is left, to choose pairs
_PAIR_COST = 2.0  # of a pair, in single columns: it also has to be counted and looked up


class _TimeIsUp(Exception):
    """The deadline has come."""


@dataclass
class StatisticsColumns:
    """Makes the statistics columns of both parts.

    Args:
        encoder: Gets the tables and the columns' descriptions.
        folder: Where the parts are.
        description: Of each part's files; gets the new ones.
        order: Training rows in the order in which they count as seen.
        method: `ordered` or `kfold`.
        deadline: `time.monotonic()` at which the pairs have to be done, or None; single columns do not look at it.
        say: Called with a text for the user.
    """

    encoder: Encoder
    folder: Path
    description: dict[str, Any]
    order: np.ndarray
    method: str
    deadline: float | None
    say: Callable[[str], None]

    def make(self) -> None:
        layout = self.encoder.layout
        train = open_part(self.folder / "train", self.description["train"])
        able = [i for i, column in enumerate(layout.ids) if self.encoder.schema[column.feature].statistics]
        if not able and not self.encoder.schema.pairs:
            return
        binary = [target.kind == "binary" for target in layout.targets]
        ids = train.arrays["ids"]
        problem = Problem(lambda rows: np.asarray(ids[rows]), train.labels, binary, self.order, self.method)
        begin = time.monotonic()
        if able:
            self._learn(problem, "statistics", [(i,) for i in able])
        self._make_pairs(problem, able, (time.monotonic() - begin) / max(len(able), 1))
        if "validation" in self.description:
            self._other_rows()

    def _make_pairs(self, problem: Problem, able: Sequence[int], seconds: float) -> None:
        """Chooses and learns the pairs, as many as there is time for; `seconds` is what a single column took."""
        wanted = self.encoder.schema.pairs
        if wanted == [] or (wanted is None and len(able) < 2):
            return
        if self._left() == 0.0:
            self.say("no statistics of pairs of columns: the time for them is over")
            return
        chosen = self._pairs(problem, able)
        pairs = chosen[: int(min(self._left() / (_PAIR_COST * max(seconds, 1e-9)), len(chosen)))]
        try:
            if pairs:
                self._learn(replace(problem, read=partial(self._read_in_time, problem.read)), "pairs", pairs)
        except _TimeIsUp:
            pairs = []
            del self.description["train"]["files"]["pairs"]
            (self.folder / "train" / "pairs.bin").unlink()
        if len(pairs) < len(chosen):
            self.say(f"statistics of {len(pairs)} of {len(chosen)} pairs of columns: there is no time for more")

    def _pairs(self, problem: Problem, able: Sequence[int]) -> list[tuple[int, int]]:
        wanted, layout = self.encoder.schema.pairs, self.encoder.layout
        if wanted is not None:
            return [(layout.position(a), layout.position(b)) for a, b in wanted]
        until = None if self.deadline is None else time.monotonic() + _CHOICE * self._left()
        pairs = choose_pairs(problem, self._sizes, able, until)
        if until is not None and time.monotonic() >= until:
            self.say("not all pairs of columns were tried for their statistics: there is no time for more")
        return pairs

    def _left(self) -> float:
        """Returns the seconds until the deadline."""
        return math.inf if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)

    def _read_in_time(self, read: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
        if self._left() == 0.0:
            raise _TimeIsUp
        return read(rows)

    @property
    def _sizes(self) -> list[int]:
        return [column.size for column in self.encoder.layout.ids]

    def _learn(self, problem: Problem, group: str, keys: Sequence[tuple[int, ...]]) -> None:
        names = [column.name for column in self.encoder.layout.ids]
        width = len(keys) * (len(problem.binary) + 1)
        file = new_column_file(self.folder, self.description, "train", group, "<f4", width)
        sums = np.zeros((2, width))

        def write(rows: np.ndarray, values: np.ndarray) -> None:
            file[rows] = values
            sums[0] += values.sum(0, dtype=np.float64)
            sums[1] += np.square(values, dtype=np.float64).sum(0)

        tables = learn(problem, names, self._sizes, keys, write)
        mean = sums[0] / len(problem.order)
        std = np.sqrt(np.maximum(sums[1] / len(problem.order) - mean**2, 0))
        std = np.where(std > 1e-6 * np.abs(mean), std, 1.0)
        columns: dict[str, Any] = {group: tuple(self._columns(tables, mean, std))}
        setattr(self.encoder, group, tables)
        self.encoder.layout = replace(self.encoder.layout, **columns)

    def _columns(self, tables: Sequence[Table], mean: np.ndarray, std: np.ndarray) -> list[StatisticColumn]:
        targets = [target.name for target in self.encoder.layout.targets]
        found: list[StatisticColumn] = []
        for table in tables:
            key = ", ".join(table.sources)
            for target in (*targets, None):
                i = len(found)
                kind = "count" if target is None else "rate"
                name = f"{kind}({key})" if target is None or len(targets) == 1 else f"{kind}({key}; {target})"
                found.append(StatisticColumn(name, table.sources, kind, target, float(mean[i]), float(std[i])))
        return found

    def _other_rows(self) -> None:
        part = open_part(self.folder / "validation", self.description["validation"])
        groups = [group for group in ("statistics", "pairs") if getattr(self.encoder.layout, group)]
        widths = {group: len(getattr(self.encoder.layout, group)) for group in groups}
        new = partial(new_column_file, self.folder, self.description, "validation")
        files = {group: new(group, "<f4", width) for group, width in widths.items()}
        for start in range(0, part.rows, BLOCK):
            rows = slice(start, start + BLOCK)
            found = self.encoder.encode_statistics(np.asarray(part.arrays["ids"][rows]), groups)
            for group in groups:
                files[group][rows] = found[group]
