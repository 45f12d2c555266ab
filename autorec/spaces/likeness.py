"""How alike the items of lists are to the row's item, as tensors of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from autorec.blocks import ItemLikeness, Pooling, RecencyMean
from autorec.data.attributes import Attributes
from autorec.data.layout import IdColumn, Layout, ListColumn
from autorec.errors import ConfigError, DataError


def compared(layout: Layout) -> list[tuple[ListColumn, IdColumn]]:
    """Returns the lists of a layout whose items are compared with the row's, each with the column of that."""
    pairs = ((column, layout.candidate(column)) for column in layout.lists if column.means)
    return [(column, item) for column, item in pairs if item is not None]


def likeness_of(layout: Layout, read: Callable[[str], Any]) -> dict[str, Any]:
    """Returns how alike the items of each list are to the row's, (batch, length, 1 + attributes), by the list's name.

    Lists of the same items share a layer, and so what is known of them.

    Args:
        layout: Columns of the encoded rows.
        read: Function of a group's key that returns its input.

    Raises:
        ConfigError: If the layout has attributes and is not that of an open cache.
        DataError: If the cache holds others.
    """
    found, layers = {}, {}
    for column, item in compared(layout):
        names = [item.name, *column.attributes]
        row = keras.ops.take(read("ids"), [layout.position(name) for name in names], axis=1)
        key = (item.name, column.attributes)
        if key not in layers:
            layers[key] = _layer(layout, column, item)
        found[column.name] = layers[key]([read(column.group), row])
    return found


def mean_likeness(layout: Layout, likeness: dict[str, Any], read: Callable[[str], Any]) -> list[Any]:
    """Returns the mean of each list's likeness, standardised, (batch, 1 + attributes); a newer item of a sequence may
    count more.

    Args:
        layout: Columns of the encoded rows.
        likeness: What `likeness_of` returned.
        read: Function of a group's key that returns its input.
    """
    found = []
    for column in (each for each in layout.lists if each.name in likeness):
        pooling: Any = RecencyMean if column.kind == "sequence" else Pooling
        mean = pooling(dtype="float32")([likeness[column.name], read(column.group)])
        variance = [std**2 for std in column.stds]
        found.append(keras.layers.Normalization(mean=list(column.means), variance=variance, dtype="float32")(mean))
    return found


def _layer(layout: Layout, column: ListColumn, item: IdColumn) -> ItemLikeness:
    if not column.attributes:
        return ItemLikeness(item.size, dtype="float32")
    if column.attribute_file is None:
        allowed = "that of an open cache, which holds what items are like"
        raise ConfigError("layout", allowed, f"one of an encoder alone, with the list {column.name!r}")
    known = Attributes.load(column.attribute_file)
    if known.columns != column.attributes:
        raise DataError(f"it holds {known.columns}, not {column.attributes}", file=column.attribute_file)
    # Sizes may be smaller than those of the file: a step is timed with small tables.
    sizes = [layout.ids[layout.position(name)].size for name in column.attributes]
    shares = [each[:size] for each, size in zip(known.shares, sizes)]
    return ItemLikeness(item.size, sizes, (known.values[: item.size], shares), dtype="float32")
