"""Attributes of past items: the columns whose value an item decides, and each item's value of them.

A list holds ids alone. What its items are like stands in the rows that show them: a column that has one value in nearly
all training rows of an item is an attribute of it. By these a model sees how alike the past and the item at hand are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
#: So many training rows have to show an item once more before a column is taken for an attribute; an item counts for a
#: tenth of them at most.
LEAST = 100
#: The most of the rows that may say another value than their item's: catalogues are not clean.
CONTRADICTING = 1e-3
_HOPELESS = 0.1
# Of the rows that have not a column's commonest value, so many may contradict: a flag that is hardly ever set agrees
# with nearly all rows of any item.
_UNEXPLAINED = 0.05
#: Past items from which the moments of the likeness are taken, about.
SAMPLE = 500_000
_LEAST_ROWS = 2_000
#: What the decay of `autorec.blocks.RecencyMean` starts from.
FADING = 0.05
# A likeness is 0 to 1: what hardly ever is alike must not become large by being standardised.
_LEAST_STD = 0.1
_MOST_VALUES = 2**24  # whole numbers that float32 tells apart


@dataclass(frozen=True)
class Attributes:
    """What the items of a vocabulary are like.

    Args:
        columns: Names of the id columns that an item decides.
        values: Their local ids by item, (items, columns) int32; 0 where no training row tells.
        shares: For each column, the share of the training rows that have a value, by local id, float32.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    shares: tuple[np.ndarray, ...]

    def save(self, path: Path) -> None:
        """Writes them."""
        shares = {f"shares_{number}": shares for number, shares in enumerate(self.shares)}
        np.savez(path, allow_pickle=False, columns=np.array(self.columns, dtype=str), values=self.values, **shares)

    @classmethod
    def load(cls, path: str | Path) -> Attributes:
        """Reads what `save` wrote.

        Raises:
            DataError: If the file is absent or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                columns = tuple(map(str, file["columns"]))
                return cls(columns, file["values"], tuple(file[f"shares_{number}"] for number in range(len(columns))))
        except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
            raise DataError(f"the file is absent or not as it was written: {error}", file=path) from error

    def likeness(self, past: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Returns how alike past items are to those at hand, (n, 1 + columns); see `autorec.blocks.ItemLikeness`.

        Args:
            past: Local ids of past items, (n,).
            item: Local ids of the items at hand, and the values of their rows, (n, 1 + columns).
        """
        found = [past == item[:, 0]]
        for column, shares in enumerate(self.shares):
            told = item[:, 1 + column]
            wanted = np.where(told > 0, told, self.values[item[:, 0], column])
            equal = (self.values[past, column] == wanted) & (wanted >= RESERVED)
            found.append(equal * (1 - shares[wanted]))
        return np.stack(found, axis=1) * (past >= RESERVED)[:, None]


def write_attributes(
    layout: Layout, train: Part, cache: Path, given: Mapping[str, Sequence[str]] | None = None
) -> tuple[Layout, dict[str, str]]:
    """Learns the attributes of the items of each list, and writes them into a cache.

    Args:
        layout: Columns of the encoded rows.
        train: The training rows.
        cache: Folder of the cache.
        given: The names of the attributes by list, where they are known; others are not compared at all.

    Returns:
        The layout with the names of the attributes and the moments of the likeness, and the path of the file of each
        list that has some, relative to the cache.
    """
    known: dict[tuple[str, Sequence[str] | None], tuple[Attributes, str]] = {}
    files: dict[str, str] = {}
    lists = []
    for column in layout.lists:
        item = layout.candidate(column)
        if item is None or (given is not None and column.name not in given):
            lists.append(column)
            continue
        key = (item.name, None if given is None else tuple(given[column.name]))
        if key not in known:
            found, file = attributes_of(layout, item, train.arrays["ids"], key[1]), f"{FOLDER}/{len(known)}.npz"
            known[key] = found, file
            if found.columns:
                (cache / FOLDER).mkdir(exist_ok=True)
                found.save(cache / file)
        found, file = known[key]
        if found.columns:
            files[column.name] = file
        means, stds = _moments(layout, column, item, found, train)
        lists.append(replace(column, attributes=found.columns, means=means, stds=stds))
    return replace(layout, lists=tuple(lists)), files


def _moments(
    layout: Layout, column: ListColumn, item: IdColumn, known: Attributes, train: Part
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and standard deviation of the mean likeness of a row's list, as it is before training."""
    usual = len(train.arrays[column.group].values) / train.rows
    count = min(max(int(SAMPLE / max(usual, 1.0)), _LEAST_ROWS), train.rows)
    rows = np.unique(np.linspace(0, train.rows - 1, count).astype(np.int64))
    arrays = train.take(rows, ["ids", column.group])
    past = arrays[column.group]
    owner, place = np.nonzero(past)
    items = arrays["ids"][:, [layout.position(name) for name in (item.name, *known.columns)]]
    alike = known.likeness(past[owner, place], items[owner])
    age = np.count_nonzero(past, axis=1)[owner] - 1 - place
    weights = np.exp(-FADING * age) if column.kind == "sequence" else np.ones(len(owner))
    weighed = [np.bincount(owner, weights * values, len(rows)) for values in (np.ones(len(owner)), *alike.T)]
    means = np.stack(weighed[1:], axis=1) / np.maximum(weighed[0], 1e-12)[:, None]
    stds = np.maximum(means.std(axis=0), _LEAST_STD)
    return tuple(means.mean(axis=0).tolist()), tuple(stds.tolist())


def attributes_of(layout: Layout, item: IdColumn, ids: np.ndarray, names: Sequence[str] | None = None) -> Attributes:
    """Returns the attributes of an item, learned from rows; its value is what most of its rows say.

    A column is an attribute if hardly any row says another value than its item's, also beside the rows that have not
    its commonest value, if enough rows show an item once more, and if it has several values and fewer than items. The
    user is nobody's attribute.

    Args:
        layout: Columns of the encoded rows.
        item: The column of the item.
        ids: The group `ids` of the training rows, (rows, columns).
        names: The attributes, where they are known; None finds them.
    """
    tried = [column for column in layout.ids if _may_be(column, item, layout.user)]
    found = {column.name: _Column(item.size, column.size) for column in tried if names is None or column.name in names}
    for step in (_Column.vote, _Column.count):
        for start in range(0, len(ids) if found else 0, BLOCK):
            block = ids[start : start + BLOCK]
            items = np.asarray(block[:, layout.position(item.name)])
            for name in list(found):
                step(found[name], items, np.asarray(block[:, layout.position(name)]))
                if step is _Column.vote and names is None and found[name].is_hopeless():
                    del found[name]
    kept = {name: column for name, column in found.items() if names is not None or column.is_attribute()}
    values = [column.values for column in kept.values()]
    table = np.stack(values, axis=1) if values else np.zeros((item.size, 0), np.int32)
    return Attributes(tuple(kept), table, tuple(column.shares() for column in kept.values()))


def _may_be(column: IdColumn, item: IdColumn, user: str | None) -> bool:
    """Returns whether a column may be an attribute; the parts of a time are none."""
    own = column.table != item.table and column.name == column.feature and column.name != user
    return own and column.size < _MOST_VALUES


class _Column:
    """What rows say of the items in one column. Missing values, and rows of unknown items, say nothing."""

    def __init__(self, items: int, size: int) -> None:
        self.values = np.zeros(items, np.int32)
        self._votes, self._voted, self._against = np.zeros(items, np.int64), 0, 0
        self._items, self._rows, self._contradicting = np.zeros(items, np.int64), np.zeros(size, np.int64), 0

    def vote(self, items: np.ndarray, shown: np.ndarray) -> None:
        """Lets rows vote for the values of their items: what more than half of an item's rows say wins at the end.

        It is Boyer and Moore's vote, block by block: a block's own majority has as many votes as it has rows more than
        all other values, and votes for different values take each other away.
        """
        items, shown = _told(items, shown)
        if not len(items):
            return
        pairs, counts = np.unique(items.astype(np.int64) * len(self._rows) + shown, return_counts=True)
        owner, value = pairs // len(self._rows), (pairs % len(self._rows)).astype(np.int32)
        order = np.lexsort((counts, owner))  # of an item's values, the commonest last
        owner, value, counts = owner[order], value[order], counts[order]
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        rows = np.add.reduceat(counts, first)
        last = np.append(first[1:], len(owner)) - 1
        which, winner, most = owner[last], value[last], counts[last]
        known, votes = self.values[which], self._votes[which]
        expected = np.repeat(np.where(known > 0, known, winner), np.diff(np.append(first, len(owner))))
        self._against += int(counts[value != expected].sum())
        self._voted += int(rows.sum())
        new = np.maximum(2 * most - rows, 0)
        same = known == winner
        takes = ~same & ((known == 0) | (new > votes))
        self.values[which[takes]] = winner[takes]
        self._votes[which] = np.where(same, votes + new, np.abs(new - votes))

    def is_hopeless(self) -> bool:
        """Returns whether so many rows have contradicted their items that counting exactly is of no use."""
        return self._voted >= 10 * LEAST and self._against > _HOPELESS * self._voted

    def count(self, items: np.ndarray, shown: np.ndarray) -> None:
        """Counts rows by item and by value, and those that contradict."""
        items, shown = _told(items, shown)
        self._contradicting += int(np.count_nonzero(self.values[items] != shown))
        np.add.at(self._items, items, 1)
        self._rows += np.bincount(shown, minlength=len(self._rows))

    def is_attribute(self) -> bool:
        rows = int(self._rows.sum())
        repeated = np.minimum(self._items[self._items > 0] - 1, LEAST // 10).sum()
        known = self.values[self.values >= RESERVED]
        distinct = len(np.unique(known))
        told = CONTRADICTING * rows, _UNEXPLAINED * (rows - int(self._rows.max()))
        return bool(self._contradicting <= min(told) and repeated >= LEAST and 2 <= distinct < len(known))

    def shares(self) -> np.ndarray:
        return (self._rows / max(self._rows.sum(), 1)).astype(np.float32)


def _told(items: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    told = (items >= RESERVED) & (shown > 0)
    return items[told], shown[told]
