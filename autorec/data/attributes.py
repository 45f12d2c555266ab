"""Attributes of past items: the columns whose value an item decides, and each item's value of them.

A sequence holds ids alone. What its items are like stands in the rows that show them: a column that has one value in
all training rows of an item is an attribute of it. By these a model sees how alike the past and the item at hand are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from autorec.data.cache import Part
from autorec.data.layout import IdColumn, Layout, ListColumn
from autorec.data.source import BLOCK
from autorec.data.vocabulary import RESERVED
from autorec.errors import DataError

FOLDER = "attributes"
#: So many training rows have to show an item once more, and to agree, before a column is taken for an attribute.
LEAST = 1000
#: Rows from which the moments of the likeness are taken.
SAMPLE = 20_000


@dataclass(frozen=True)
class Attributes:
    """What the items of a vocabulary are like, and how alike past items are to those at hand.

    Args:
        columns: Names of the id columns that an item decides.
        values: Their local ids by item, (items, columns) int32; 0 where no training row tells.
        shares: The share of the training rows that have this value, (items, columns) float32.
        mean: Mean over rows of the mean likeness of their sequence, (1 + columns,); see `likeness`.
        std: Standard deviation of it, 1 for a constant one.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    shares: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def save(self, path: Path) -> None:
        """Writes them."""
        names = np.array(self.columns, dtype=str)
        np.savez(path, columns=names, values=self.values, shares=self.shares, mean=self.mean, std=self.std)

    @classmethod
    def load(cls, path: str | Path) -> Attributes:
        """Reads what `save` wrote.

        Raises:
            DataError: If the file is absent or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = [file[name] for name in ("values", "shares", "mean", "std")]
                return cls(tuple(map(str, file["columns"])), *arrays)
        except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
            raise DataError(f"the file is absent or not as it was written: {error}", file=path) from error

    def likeness(self, past: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Returns how alike past items are to those at hand, (n, 1 + columns); see `autorec.blocks.ItemLikeness`.

        Args:
            past: Local ids of past items, (n,).
            item: Local ids of the items at hand, and their attributes, (n, 1 + columns).
        """
        same = (past == item[:, 0])[:, None]
        alike = (self.values[past] == item[:, 1:]) & (item[:, 1:] >= RESERVED)
        return np.concatenate([same, alike * (1 - self.shares[past])], axis=1) * (past >= RESERVED)[:, None]


def write_attributes(layout: Layout, train: Part, cache: Path) -> tuple[Layout, dict[str, str]]:
    """Learns the attributes of the items of each sequence, and writes them into a cache.

    Args:
        layout: Columns of the encoded rows.
        train: The training rows.
        cache: Folder of the cache.

    Returns:
        The layout with the names of the attributes, and the path of each sequence's file, relative to the cache.
    """
    files: dict[str, str] = {}
    lists = []
    for sequence in layout.lists:
        item = layout.candidate(sequence)
        if item is not None:
            found = _learn(layout, sequence, item, train)
            files[sequence.name] = f"{FOLDER}/{len(files)}.npz"
            (cache / FOLDER).mkdir(exist_ok=True)
            found.save(cache / files[sequence.name])
            sequence = replace(sequence, attributes=found.columns)
        lists.append(sequence)
    return replace(layout, lists=tuple(lists)), files


def _learn(layout: Layout, sequence: ListColumn, item: IdColumn, train: Part) -> Attributes:
    columns, values, shares = attributes_of(layout, item, train.arrays["ids"])
    known = Attributes(columns, values, shares, np.zeros(0), np.zeros(0))
    rows = np.unique(np.linspace(0, train.rows - 1, SAMPLE).astype(np.int64))
    arrays = train.take(rows, ["ids", sequence.group])
    past, places = arrays[sequence.group], [layout.position(name) for name in (item.name, *columns)]
    owner, _ = np.nonzero(past)
    alike = known.likeness(past[past > 0], arrays["ids"][owner][:, places])
    total = np.stack([np.bincount(owner, column, len(rows)) for column in alike.T], axis=1)
    mean = total / np.maximum(np.count_nonzero(past, axis=1), 1)[:, None]
    std = mean.std(axis=0)
    return replace(known, mean=mean.mean(axis=0), std=np.where(std > 0, std, 1.0))


def attributes_of(layout: Layout, item: IdColumn, ids: np.ndarray) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Returns the attributes of an item: their names, and values and shares by item.

    Missing values say nothing, and neither do rows of unknown items. The user is nobody's attribute.

    Args:
        layout: Columns of the encoded rows.
        item: The column of the item.
        ids: The group `ids` of the training rows, (rows, columns).
    """
    key = layout.position(item.name)
    places = [place for place, column in enumerate(layout.ids) if _may_be(column, item, layout.user)]
    values = {place: np.zeros(item.size, np.int32) for place in places}
    counts = {place: np.zeros(layout.ids[place].size, np.int64) for place in places}
    for start in range(0, len(ids) if places else 0, BLOCK):
        block = np.asarray(ids[start : start + BLOCK])
        block = block[block[:, key] >= RESERVED]
        for place in list(values):
            told = block[:, place] > 0
            items, shown = block[told, key], block[told, place]
            new = values[place][items] == 0
            values[place][items[new]] = shown[new]
            if (values[place][items] != shown).any():
                del values[place]
                continue
            counts[place] += np.bincount(shown, minlength=len(counts[place]))
    kept = [place for place in values if counts[place].sum() - np.count_nonzero(values[place]) >= LEAST]
    shares = [(counts[place] / counts[place].sum())[values[place]] for place in kept]
    empty = np.zeros((item.size, 0))
    names = tuple(layout.ids[place].name for place in kept)
    table = np.column_stack([empty, *(values[place] for place in kept)])
    return names, table.astype(np.int32), np.column_stack([empty, *shares]).astype(np.float32)


def _may_be(column: IdColumn, item: IdColumn, user: str | None) -> bool:
    """Returns whether a column may be an attribute; the parts of a time are none."""
    return column.table != item.table and column.name == column.feature and column.name != user
