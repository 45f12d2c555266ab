"""Writes the statistics columns of both parts of a cache."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from autorec.data.cache import open_part
from autorec.data.encoder import Encoder
from autorec.data.layout import StatisticColumn
from autorec.data.statistics import BLOCK, Problem, Table
from autorec.data.statistics_learning import learn
from autorec.data.statistics_pairs import choose_pairs


@dataclass
class StatisticsColumns:
    """Makes the statistics columns of both parts."""

    encoder: Encoder
    folder: Path
    description: dict[str, Any]
    order: np.ndarray
    method: str

    def make(self) -> None:
        layout = self.encoder.layout
        train = open_part(self.folder / "train", self.description["train"])
        able = [i for i, column in enumerate(layout.ids) if self.encoder.schema[column.feature].statistics]
        if not able:
            return
        binary = [target.kind == "binary" for target in layout.targets]
        ids = train.arrays["ids"]
        problem = Problem(lambda rows: np.asarray(ids[rows]), train.labels, binary, self.order, self.method)
        sizes = [column.size for column in layout.ids]
        pairs = self._pairs(problem, sizes, able)
        self._learn(problem, sizes, [(i,) for i in able], pairs)
        self._other_rows()

    def _pairs(self, problem: Problem, sizes: Sequence[int], able: Sequence[int]) -> list[tuple[int, int]]:
        wanted = self.encoder.schema.pairs
        if wanted is None:
            return choose_pairs(problem, sizes, able)
        position = self.encoder.layout.position
        return [(position(a), position(b)) for a, b in wanted]

    def _learn(
        self, problem: Problem, sizes: Sequence[int], singles: Sequence[tuple[int]], pairs: Sequence[tuple[int, int]]
    ) -> None:
        names = [column.name for column in self.encoder.layout.ids]
        width = len(problem.binary) + 1
        cut = len(singles) * width
        files = {"statistics": self._new("train", "statistics", cut)}
        if pairs:
            files["pairs"] = self._new("train", "pairs", len(pairs) * width)
        sums = np.zeros((2, (len(singles) + len(pairs)) * width))

        def write(rows: np.ndarray, values: np.ndarray) -> None:
            files["statistics"][rows] = values[:, :cut]
            if pairs:
                files["pairs"][rows] = values[:, cut:]
            sums[0] += values.sum(0, dtype=np.float64)
            sums[1] += np.square(values, dtype=np.float64).sum(0)

        tables = learn(problem, names, sizes, [*singles, *pairs], write)
        mean = sums[0] / len(problem.order)
        std = np.sqrt(np.maximum(sums[1] / len(problem.order) - mean**2, 0))
        described = self._columns(tables, mean, np.where(std > 1e-6, std, 1.0))
        self.encoder.statistics, self.encoder.pairs = tables[: len(singles)], tables[len(singles) :]
        self.encoder.layout = replace(
            self.encoder.layout, statistics=tuple(described[:cut]), pairs=tuple(described[cut:])
        )

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
        files = {group: self._new("validation", group, len(getattr(self.encoder.layout, group))) for group in groups}
        for start in range(0, part.rows, BLOCK):
            rows = slice(start, start + BLOCK)
            found = self.encoder.encode_statistics(np.asarray(part.arrays["ids"][rows]), groups)
            for group in groups:
                files[group][rows] = found[group]

    def _new(self, part: str, group: str, width: int) -> np.ndarray:
        self.description[part]["files"][group] = ["<f4", width]
        shape = (self.description[part]["rows"], width)
        path = self.folder / part / f"{group}.bin"
        with path.open("wb") as file:
            _reserve(file.fileno(), 4 * width * shape[0])
        return np.memmap(path, np.float32, "r+", shape=shape)


def _reserve(file: int, size: int) -> None:
    """Gives an open file its size, with room on the disk: to write to a map without would end the process."""
    os.truncate(file, size)
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
