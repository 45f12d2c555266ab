"""Fingerprints: short texts that tell one content from another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PIECE = 1 << 16
_PIECES = 32


def of_files(paths: Sequence[Path], *words: str) -> str:
    """Returns the fingerprint of files: their sizes, ends and evenly spread pieces, not their names or times.

    Args:
        paths: The files.
        words: What else belongs to it.
    """
    found = hashlib.blake2b(repr(words).encode() if words else b"", digest_size=16)
    for path in paths:
        size = path.stat().st_size
        found.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            for start in np.unique(np.linspace(0, max(size - _PIECE, 0), _PIECES).astype(int)):
                file.seek(int(start))
                found.update(file.read(_PIECE))
    return found.hexdigest()


def of_batches(batches: Iterable[pa.RecordBatch], *words: object) -> str:
    """Returns the fingerprint of columns' names and values, whatever their chunks and dictionaries."""
    columns: dict[str, Any] = {}
    for batch in batches:
        for name, column in zip(batch.schema.names, batch.columns):
            _add(columns.setdefault(name, hashlib.blake2b(digest_size=16)), column)
    found = hashlib.blake2b(repr(words).encode(), digest_size=16)
    for name, digest in columns.items():
        found.update(name.encode() + b"\0" + digest.digest())
    return found.hexdigest()


def _add(digest: Any, array: pa.Array) -> None:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    digest.update(np.asarray(array.is_null()).tobytes())
    if pa.types.is_list(array.type):
        digest.update(_plain(pc.list_value_length(array)))
        _add(digest, pc.list_flatten(array))
    elif pa.types.is_string(array.type):
        digest.update(_plain(pc.binary_length(array)))
        digest.update(_characters(array.fill_null("")))
    else:
        digest.update(_plain(array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array))


def _plain(array: pa.Array) -> bytes:
    return array.fill_null(0).to_numpy(zero_copy_only=False).tobytes()


def _characters(array: pa.Array) -> memoryview | bytes:
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32)
    low, high = ends[array.offset], ends[array.offset + len(array)]
    return memoryview(data)[low:high] if data is not None else b""
