"""Finds a model's embedding tables."""

from __future__ import annotations

from typing import Any

import keras


def tables(model: keras.layers.Layer) -> list[Any]:
    """Returns the table variables of a model or layer, each once, in the order of its layers.

    A table is a variable that `autorec.blocks.tables.add_table` made. It is found through wrappers and nested models.

    Args:
        model: Model or layer, built.
    """
    found: dict[int, Any] = {}
    layers = model._flatten_layers(include_self=True, recursive=True)
    for layer in layers:
        for table in getattr(layer, "_tables", ()):
            found.setdefault(id(table), table)
    return list(found.values())
