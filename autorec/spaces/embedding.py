"""From the ids of a layout to fields of one width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from autorec.blocks import FieldEmbedding, Pooling
from autorec.data.layout import IdColumn, Layout, ListColumn
from autorec.data.pretrained import read_arrays


@dataclass
class Table:
    """A vocabulary's rows, with everything that reads them.

    `width` is the one that the user or the pretrained vectors fix, or None.
    """

    name: str
    size: int = 0
    width: int | None = None
    pretrained: str | None = None
    ids: list[int] = field(default_factory=list)
    lists: list[ListColumn] = field(default_factory=list)

    def add(self, column: IdColumn | ListColumn) -> None:
        """Takes over what a column says about its table; the first one that says something wins."""
        self.size = max(self.size, column.size)
        self.width = self.width or column.dim
        self.pretrained = self.pretrained or column.pretrained


def tables_of(layout: Layout, columns: Sequence[str] | None = None) -> list[Table]:
    """Returns the tables of a layout, in the order of their first column.

    Args:
        layout: Columns of the encoded rows.
        columns: Names of the id columns to read; None reads them all, and the lists.
    """
    tables: dict[str, Table] = {}
    for position, column in enumerate(layout.ids):
        if columns is None or column.name in columns:
            table = tables.setdefault(column.table, Table(column.table))
            table.add(column)
            table.ids.append(position)
    for item in layout.lists if columns is None else ():
        table = tables.setdefault(item.table, Table(item.table))
        table.add(item)
        table.lists.append(item)
    return list(tables.values())


class IdFields:
    """Looks up id columns and lists: one gather for all tables of the common width.

    A table whose width differs from it, because the user fixed another or its pretrained vectors have another, is
    looked up by itself and projected. Lists are pooled to one field each. Not a layer: it makes layers, once.

    Args:
        layout: Columns of the encoded rows.
        dim: Common width of the fields.
        extra: Columns that each row has beside them, behind the `dim` first: the first-order weights. One table of
            `dim + extra` columns is gathered and updated at the cost of one.
        own_widths: Whether to keep the widths that the layout fixes, and its pretrained vectors.
        cap: Most ids of a table; rarer ones share the row of unknown values. None keeps all.
        pooling: `mean`, `sum` or `max` over a list's values.
        columns: Names of the id columns to read; None reads them all, and the lists.
        dtype: Precision of the fields; None takes that of Keras's policy.

    Attributes:
        names: The fields' column names: ids, then lists, in the order of the layout.
        lists: Once called, for each list by name its rows ahead of the pooling, (batch, length, dim + extra), and its
            ids, (batch, length).
    """

    def __init__(
        self,
        layout: Layout,
        dim: int,
        *,
        extra: int = 0,
        own_widths: bool = True,
        cap: int | None = None,
        pooling: str = "mean",
        columns: Sequence[str] | None = None,
        dtype: str | None = None,
    ) -> None:
        self.layout = layout
        self.dim = dim
        self.extra = extra
        self.cap = cap
        self.pooling = pooling
        self.dtype = dtype
        self.names = [column.name for column in layout.ids if columns is None or column.name in columns]
        self.names += [item.name for item in layout.lists] if columns is None else []
        self.lists: dict[str, tuple[Any, Any]] = {}
        self._found: list[str] = []
        self._vectors: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        tables = tables_of(layout, columns)
        for table in tables if own_widths else ():
            if table.pretrained is not None:
                self._vectors[table.name] = read_vectors(table.pretrained, table.size)
                table.width = self._vectors[table.name][1].shape[1]
        self._common = [table for table in tables if not own_widths or table.width in (None, dim)]
        self._own = [table for table in tables if table not in self._common]

    def __call__(self, read: Callable[[str], Any]) -> Any:
        """Returns (batch, fields, dim + extra), in the order of `names`.

        Args:
            read: Function of a group's key that returns its input.
        """
        parts = self._lookup(self._common, self.dim + self.extra, read) if self._common else []
        for table in self._own:
            project = keras.layers.Dense(self.dim + self.extra, use_bias=False, dtype=self.dtype)
            parts += [project(part) for part in self._lookup([table], table.width or self.dim, read)]
            for item in table.lists:
                values, ids = self.lists[item.name]
                self.lists[item.name] = (project(values), ids)
        fields = parts[0] if len(parts) == 1 else keras.layers.Concatenate(axis=1, dtype=self.dtype)(parts)
        if self._found == self.names:
            return fields
        return keras.ops.take(fields, [self._found.index(name) for name in self.names], axis=1)

    def _lookup(self, tables: list[Table], width: int, read: Callable[[str], Any]) -> list[Any]:
        """Returns the fields of some tables: (batch, columns, width) for ids, (batch, 1, width) for each list."""
        owner = {position: number for number, table in enumerate(tables) for position in table.ids}
        positions = sorted(owner)
        lists = [(number, item) for number, table in enumerate(tables) for item in table.lists]
        lists.sort(key=lambda pair: self.layout.lists.index(pair[1]))
        layer = FieldEmbedding(
            sizes=[table.size for table in tables],
            dim=width,
            columns=[owner[position] for position in positions],
            lists=[number for number, _ in lists],
            caps=None if self.cap is None else [self.cap] * len(tables),
            initial=self._initial(tables),
            dtype=self.dtype,
        )
        bags = [read(item.group) for _, item in lists]
        found = layer([*self._ids(positions, read), *bags] if bags or not positions else self._ids(positions, read)[0])
        found = list(found) if isinstance(found, (list, tuple)) else [found]
        fields = found[:1] if positions else []
        for (_, item), values, ids in zip(lists, found[len(fields) :], bags):
            self.lists[item.name] = (values, ids)
            pooled = Pooling(mode=self.pooling, dtype=self.dtype)([values, ids])
            fields.append(keras.layers.Reshape((1, width), dtype=self.dtype)(pooled))
        self._found += [*(self.layout.ids[position].name for position in positions), *(item.name for _, item in lists)]
        return fields

    def _initial(self, tables: list[Table]) -> list[tuple[np.ndarray, np.ndarray] | None] | None:
        """Returns the pretrained ids and vectors of each table, None for one without; None if there are none at all."""
        found = [self._vectors.get(table.name) for table in tables]
        return None if all(pair is None for pair in found) else found

    def _ids(self, positions: list[int], read: Callable[[str], Any]) -> list[Any]:
        if not positions:
            return []
        ids = read("ids")
        whole = positions == list(range(len(self.layout.ids)))
        return [ids if whole else keras.ops.take(ids, positions, axis=1)]


def leaf_rows(layout: Layout, dim: int, read: Callable[[str], Any], *, dtype: str | None = None) -> Any:
    """Returns the mean row of the leaves of all trees that have not seen the encoded row, (batch, dim).

    Args:
        layout: Columns of the encoded rows, with leaves.
        dim: Width of the rows.
        read: Function of a group's key that returns its input.
        dtype: Precision of the rows; None takes that of Keras's policy.
    """
    leaves = read("leaves")
    sizes = [column.size for column in layout.leaves]
    rows = FieldEmbedding(sizes=sizes, dim=dim, columns=range(len(sizes)), dtype=dtype)(leaves)
    return Pooling(mode="mean", dtype=dtype)([rows, leaves])


def read_vectors(path: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads pretrained rows of a cache: local ids and their vectors, ids at or beyond `size` left out.

    Raises:
        ConfigError: If the file does not hold `ids` (rows,) and `vectors` (rows, width).
    """
    ids, vectors = read_arrays(path)
    known = (ids >= 0) & (ids < size)
    return ids[known].astype("int64"), vectors[known]
