"""The encoder: from rows with raw columns to the arrays that models read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import polars as pl
import pyarrow as pa

from autorec.data import columns
from autorec.data.forest import Forest
from autorec.data.layout import Layout
from autorec.data.lists import Lists
from autorec.data.schema import Feature, Schema
from autorec.data.statistics import Table
from autorec.data.thresholds import Thresholds
from autorec.data.vocabulary import Vocabulary
from autorec.errors import DataError

FOREST = "forest.npz"
TIME_IDS = (("hour", 26), ("weekday", 9))
TIME_NUMBERS = ("age", "day_sin", "day_cos", "week_sin", "week_cos")


def column_of(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Returns a column of a batch.

    Raises:
        DataError: If it is not there.
    """
    index = batch.schema.get_field_index(name)
    if index < 0:
        raise DataError(f"the column is absent; the data has {batch.schema.names}", column=name)
    return batch.column(index)


def table_of(feature: Feature) -> str:
    """Returns the name of the vocabulary that a feature uses."""
    return feature.vocabulary or feature.name


@dataclass
class Encoder:
    """Encodes rows by what was learned from the training rows.

    Args:
        schema: The schema.
        layout: Layout of the arrays.
        vocabularies: Table name -> vocabulary.
        statistics: One table for each single column with statistics, in the layout's order.
        pairs: One table for each pair.
        latest: Time feature -> time of the last training row, microseconds.
        forest: The trees of the groups `margins` and `leaves`, or None.
        thresholds: Long target -> what is long; needed for labels alone.
    """

    schema: Schema
    layout: Layout
    vocabularies: dict[str, Vocabulary]
    statistics: list[Table] = field(default_factory=list)
    pairs: list[Table] = field(default_factory=list)
    latest: dict[str, int] = field(default_factory=dict)
    forest: Forest | None = None
    thresholds: dict[str, Thresholds] = field(default_factory=dict)

    def encode(self, batch: pa.RecordBatch, groups: Sequence[str] | None = None) -> dict[str, Any]:
        """Returns the arrays of a batch by group; lists as `Lists`.

        Args:
            batch: Rows with the schema's feature columns; other columns are ignored.
            groups: Groups to make; None makes all.

        Raises:
            DataError: If a column is absent or cannot be read as what the schema says.
        """
        wanted = self.layout.groups if groups is None else groups
        made = self.groups_for(wanted)
        found: dict[str, Any] = {}
        if {"ids", "statistics", "pairs"} & set(made):
            found["ids"] = self._ids(batch)
            found |= self.encode_statistics(found["ids"], made)
        if "numbers" in made:
            found["numbers"] = self._numbers(batch)
        found |= self.encode_trees(found, wanted)
        for column in self.layout.lists:
            if column.group in wanted:
                offsets, values = columns.flat_list(column_of(batch, column.name), self.schema[column.name])
                local = self.vocabularies[column.table].lookup(values.dictionary_encode())
                found[column.group] = Lists(offsets, local)
        return {group: found[group] for group in wanted}

    def encode_statistics(self, ids: np.ndarray, groups: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns the statistics of rows that are not training rows, from their ids."""
        found = {}
        for group, tables in (("statistics", self.statistics), ("pairs", self.pairs)):
            if group in groups:
                found[group] = np.concatenate(
                    [table.lookup([ids[:, self.layout.position(name)] for name in table.sources]) for table in tables],
                    axis=1,
                )
        return found

    def encode_trees(self, arrays: Mapping[str, np.ndarray], groups: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns the margins and leaves of rows that are not training rows, from what their trees read."""
        wanted = {"margins", "leaves"} & set(groups)
        if self.forest is None or not wanted:
            return {}
        leaves = self.forest.leaves(arrays)
        found = {"leaves": self.forest.local_ids(leaves), "margins": self.forest.margins(leaves)}
        return {group: found[group] for group in wanted}

    def groups_for(self, groups: Sequence[str]) -> list[str]:
        """Returns groups with those that their trees read."""
        read = self.forest.groups if self.forest is not None and {"margins", "leaves"} & set(groups) else ()
        return list(dict.fromkeys([*groups, *read]))

    def _ids(self, batch: pa.RecordBatch) -> np.ndarray:
        out = np.empty((batch.num_rows, len(self.layout.ids)), np.int32)
        at = 0
        for feature in self.schema:
            if feature.kind == "categorical":
                column = columns.keys(column_of(batch, feature.name), feature)
                out[:, at] = self.vocabularies[table_of(feature)].lookup(column)
                at += 1
            elif feature.kind == "time":
                micros = columns.microseconds(column_of(batch, feature.name), feature.unit, feature.name)
                out[:, at : at + 2] = columns.time_ids(micros)
                at += 2
        return out

    def _numbers(self, batch: pa.RecordBatch) -> np.ndarray:
        out = np.empty((batch.num_rows, len(self.layout.numbers)))
        at = 0
        for feature in self.schema:
            if feature.kind == "numeric":
                out[:, at] = columns.numbers(column_of(batch, feature.name), feature.name)
                at += 1
            elif feature.kind == "time":
                micros = columns.microseconds(column_of(batch, feature.name), feature.unit, feature.name)
                out[:, at : at + 5] = columns.time_numbers(micros, self.latest[feature.name])
                at += 5
        return out

    def save(self, folder: str | Path) -> None:
        """Writes the encoder: JSON, Parquet vocabularies and NumPy tables; no path of a cache's file."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        meta: Mapping[str, Any] = {
            "schema": replace(self.schema, features=[replace(f, pretrained=None) for f in self.schema]).to_dict(),
            "layout": self.layout.with_files({}, {}).to_dict(),
            "vocabularies": list(self.vocabularies),
            "statistics": len(self.statistics),
            "pairs": len(self.pairs),
            "latest": self.latest,
            "forest": self.forest is not None,
            "thresholds": {name: each.to_dict() for name, each in self.thresholds.items()},
        }
        with ThreadPoolExecutor() as pool:
            files = (folder / f"vocabulary_{i}.parquet" for i in range(len(self.vocabularies)))
            list(pool.map(Vocabulary.save, self.vocabularies.values(), files))
        for name, tables in (("statistics", self.statistics), ("pairs", self.pairs)):
            for i, table in enumerate(tables):
                table.save(folder / f"{name}_{i}.npz")
        if self.forest is not None:
            self.forest.save(folder / FOREST)
        (folder / "encoder.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            DataError: If a file is absent or damaged.
        """
        folder = Path(folder)
        meta = _read(lambda path: json.loads(path.read_text(encoding="utf-8")), folder / "encoder.json")
        return cls(
            schema=Schema.from_dict(meta["schema"]),
            layout=Layout.from_dict(meta["layout"]),
            vocabularies={
                name: _read(Vocabulary.load, folder / f"vocabulary_{i}.parquet")
                for i, name in enumerate(meta["vocabularies"])
            },
            statistics=[_read(Table.load, folder / f"statistics_{i}.npz") for i in range(meta["statistics"])],
            pairs=[_read(Table.load, folder / f"pairs_{i}.npz") for i in range(meta["pairs"])],
            latest=meta["latest"],
            forest=_read(Forest.load, folder / FOREST) if meta.get("forest") else None,
            thresholds={name: Thresholds.from_dict(each) for name, each in meta.get("thresholds", {}).items()},
        )


def _read(load: Callable[[Path], Any], path: Path) -> Any:
    try:
        return load(path)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, pl.exceptions.PolarsError) as error:
        raise DataError(f"the encoder's file is absent or not as it was written: {error}", file=path) from error
