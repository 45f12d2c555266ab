"""Pretrained vectors: from the raw values that a user's file names to the rows of an embedding table.

The file is an `.npz` with `ids` (rows,), raw values as the column holds them, and `vectors` (rows, width). When the
vocabularies are known, encoding writes the same vectors under local ids into the cache, and only those files are read
again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa

from autorec.data.encoder import table_of
from autorec.data.fingerprint import of_files
from autorec.data.schema import Feature, Schema
from autorec.data.vocabulary import RESERVED, Vocabulary
from autorec.errors import ConfigError

FOLDER = "pretrained"
_WITH_IDS = ("categorical", "bag", "sequence")


@dataclass(frozen=True)
class Written:
    """Vectors that a cache holds.

    Args:
        feature: The feature that named the file.
        table: Name of the vocabulary's owner.
        file: Path of the local ids and vectors, relative to the cache.
        known: Number of values that have a vector.
        values: Number of values of the vocabulary.
    """

    feature: str
    table: str
    file: str
    known: int
    values: int


def read_arrays(path: str | Path, where: str = "pretrained") -> tuple[np.ndarray, np.ndarray]:
    """Returns the `ids` (rows,) and `vectors` (rows, width), float32, of a file.

    Args:
        path: An `.npz` file.
        where: The argument that an error names.

    Raises:
        ConfigError: If the file is absent or holds something else.
    """
    try:
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            ids, vectors = file["ids"], file["vectors"]
    except (OSError, KeyError, ValueError, TypeError, EOFError, BadZipFile) as error:
        raise ConfigError(where, "an .npz file with `ids` and `vectors`", str(path), f"{error}.") from error
    if ids.ndim != 1 or vectors.ndim != 2 or len(ids) != len(vectors) or vectors.shape[1] < 1:
        shapes = f"It has ids {ids.shape} and vectors {vectors.shape}."
        raise ConfigError(where, "an .npz file with `ids` (rows,) and `vectors` (rows, width)", str(path), shapes)
    if vectors.dtype.kind not in "fiu" or not np.isfinite(vectors).all():
        hint = f"They are {vectors.dtype}." if vectors.dtype.kind not in "fiu" else "Some are NaN or infinite."
        raise ConfigError(where, "an .npz file whose `vectors` are finite numbers", str(path), hint)
    return ids, vectors.astype(np.float32)


def check_pretrained(schema: Schema) -> None:
    """Checks the files that a schema names; reads no rows of data.

    Raises:
        ConfigError: If a feature has no ids, a file is absent or holds something else, its ids are not of the column's
            type or not distinct, two files are named for one vocabulary, or a width is fixed to another than theirs.
    """
    for feature in schema:
        if feature.pretrained is not None and feature.kind not in _WITH_IDS:
            raise ConfigError(_where(feature), f"None for a {feature.kind} feature", feature.pretrained)
    for feature in _first_ones(schema):
        width = _read(feature)[1].shape[1]
        for other in schema:
            if other.kind not in _WITH_IDS or table_of(other) != table_of(feature):
                continue
            if other.pretrained not in (None, feature.pretrained):
                hint = f"It shares its vocabulary with {feature.name!r}."
                raise ConfigError(_where(other), f"{feature.pretrained!r} or None", other.pretrained, hint)
            if other.dim not in (None, width):
                hint = f"{feature.pretrained} holds vectors of that width."
                raise ConfigError(f"schema[{other.name!r}].dim", f"{width} or None", other.dim, hint)


def write_local(schema: Schema, vocabularies: Mapping[str, Vocabulary], cache: Path) -> list[Written]:
    """Writes the vectors under local ids into a cache.

    Raises:
        ConfigError: If a file has none of a vocabulary's values.
    """
    found: list[Written] = []
    for feature in _first_ones(schema):
        ids, vectors = _read(feature)
        vocabulary = vocabularies[table_of(feature)]
        local = vocabulary.lookup(pa.array(ids).dictionary_encode())
        known = local >= RESERVED
        if not known.any():
            shown = f"Its ids are like {ids[:3].tolist()}, the column's values like {vocabulary.values[:3].to_list()}."
            raise ConfigError(_where(feature), "a file with vectors of the column's values", feature.pretrained, shown)
        file = f"{FOLDER}/{len(found)}.npz"
        (cache / FOLDER).mkdir(exist_ok=True)
        np.savez(cache / file, ids=local[known], vectors=vectors[known])
        values = len(vocabulary.values)
        found.append(Written(feature.name, table_of(feature), file, int(known.sum()), values))
    return found


def content(path: str | None) -> str | None:
    """Returns what tells a file's content from another's, None for no file.

    Raises:
        ConfigError: If it is absent.
    """
    try:
        return None if path is None else of_files([Path(path)])
    except OSError as error:
        raise ConfigError("pretrained", "an .npz file with `ids` and `vectors`", path, f"{error}.") from error


def _first_ones(schema: Schema) -> Iterator[Feature]:
    """Gives the first feature with pretrained vectors of each vocabulary."""
    seen = set()
    for feature in schema:
        if feature.pretrained is not None and table_of(feature) not in seen:
            seen.add(table_of(feature))
            yield feature


def _read(feature: Feature) -> tuple[np.ndarray, np.ndarray]:
    path: Any = feature.pretrained
    ids, vectors = read_arrays(path, _where(feature))
    kinds, allowed = ("U", "texts") if feature.dtype == "string" else ("iu", "whole numbers")
    if ids.dtype.kind not in kinds:
        hint = f"They are {ids.dtype}; the column holds {allowed}."
        raise ConfigError(_where(feature), f"an .npz file whose `ids` are {allowed}", path, hint)
    values, counts = np.unique(ids, return_counts=True)
    if len(values) < len(ids):
        hint = f"{values[counts.argmax()].item()!r} stands there {counts.max()} times."
        raise ConfigError(_where(feature), "an .npz file whose `ids` are distinct", path, hint)
    return ids, vectors


def _where(feature: Feature) -> str:
    return f"schema[{feature.name!r}].pretrained"
