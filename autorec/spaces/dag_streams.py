"""The raw features of the interaction DAG: a vector and fields, and which columns of them belong to which source."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import keras

from autorec.data.layout import Layout
from autorec.spaces.features import Features
from autorec.spaces.likeness import compared

MACROS = ("group", "feature")
VECTORS = ("statistics", "pairs", "margins")
Places = tuple[list[int], list[int]]


def raw_sources(layout: Layout, macro: str, number_fields: bool, read: Collection[str]) -> tuple[str, ...]:
    """Returns the names of the raw sources that a layout has, sorted.

    Args:
        layout: Columns of the encoded rows.
        macro: `group` for `dense` and `sparse`; `feature` for `field/<name>` of each column of ids, numbers or lists,
            and one each for `statistics`, `pairs`, `margins` and `leaves`.
        number_fields: Whether numbers are fields too.
        read: Those of `statistics`, `pairs`, `margins`, `leaves` and `likeness` that are read.
    """
    vectors = [group for group in VECTORS if group in read]
    leaves = ["leaves"] * ("leaves" in read and number_fields)
    if macro == "feature":
        columns: list[Any] = [*layout.ids, *layout.numbers, *layout.lists]
        return tuple(sorted([*(f"field/{column.name}" for column in columns), *vectors, *leaves]))
    dense = bool(layout.numbers or vectors or "likeness" in read)
    sparse = bool(layout.ids or layout.lists or (layout.numbers and number_fields) or leaves)
    return ("dense",) * dense + ("sparse",) * sparse


class RawStreams:
    """The raw dense stream and the raw sparse stream of a model.

    Dense are transformed numbers, statistics, statistics of pairs, predictions of trees and how alike the items of
    lists are to the row's; sparse are embedded ids and lists and, with `number_fields`, the embedded numbers and the
    leaves of trees.

    Args:
        features: The features that the streams are made of.
        macro: `group` or `feature`, see `raw_sources`.
        number_fields: Whether numbers are fields too.

    Attributes:
        sources: Names of the raw sources, sorted.
    """

    def __init__(self, features: Features, macro: str, number_fields: bool) -> None:
        layout = features.layout
        raw = layout.ids or layout.lists or layout.numbers
        self._fields: Any = (features.fields() if number_fields else features.id_fields) if raw else None
        self._dense = features.dense()
        read = [*features.inputs, *(["likeness"] if features.likeness is not None else [])]
        self.sources = raw_sources(layout, macro, number_fields, read)
        self._places = self._by_feature(features, number_fields) if macro == "feature" else self._by_group()

    def _by_group(self) -> dict[str, Places]:
        dense, fields = ([] if x is None else list(range(x.shape[1])) for x in (self._dense, self._fields))
        return {"dense": (dense, []), "sparse": ([], fields)}

    def _by_feature(self, features: Features, number_fields: bool) -> dict[str, Places]:
        layout = features.layout
        looked_up = [*(column.name for column in layout.ids), *(column.name for column in layout.lists)]
        places: dict[str, Places] = {f"field/{name}": ([], [place]) for place, name in enumerate(looked_up)}
        # A transformed number each, then an indicator for each number that is missing in places.
        numbers = [column.name for column in layout.numbers]
        numbers += [column.name for column in layout.numbers if column.missing > 0]
        for place, name in enumerate(numbers):
            dense, fields = places.setdefault(f"field/{name}", ([], []))
            dense.append(place)
            fields += [len(looked_up) + place] * number_fields
        start = len(numbers)
        for group in (group for group in VECTORS if group in self.sources):
            end = start + features.width(group)
            places[group] = (list(range(start, end)), [])
            start = end
        for column, _ in compared(layout) if features.likeness is not None else ():
            end = start + len(column.means)
            places[f"field/{column.name}"][0].extend(range(start, end))
            start = end
        if "leaves" in self.sources:
            places["leaves"] = ([], [self._fields.shape[1] - 1])
        return places

    def take(self, sources: Iterable[str]) -> tuple[list[Any], list[Any]]:
        """Returns the columns of some sources: vectors (batch, width) and fields (batch, fields, dim)."""
        chosen = [self._places[name] for name in sources]
        dense = sorted(place for places, _ in chosen for place in places)
        fields = sorted(place for _, places in chosen for place in places)
        return _columns(self._dense, dense), _columns(self._fields, fields)


def _columns(stream: Any, places: list[int]) -> list[Any]:
    if not places:
        return []
    return [stream if len(places) == stream.shape[1] else keras.ops.take(stream, places, axis=1)]
