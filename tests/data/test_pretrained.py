"""Pretrained vectors: checked before rows are read, under local ids in the cache, nowhere in an export."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from autorec.data.cache import Cache
from autorec.data.encode import encode
from autorec.data.encoder import Encoder
from autorec.data.pretrained import check_pretrained, content, read_arrays
from autorec.data.schema import Feature, Schema
from autorec.data.schema_checks import check_schema
from autorec.data.table import as_source
from autorec.errors import ConfigError

VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


def schema(path: Path, **more: Any) -> Schema:
    features = [
        Feature("word", "categorical", pretrained=str(path), **more),
        Feature("number", "categorical", "int"),
        Feature("seen", "bag", vocabulary="word"),
    ]
    return Schema(features, targets=["y"])


def file(folder: Path, ids: Any, vectors: np.ndarray = VECTORS) -> Path:
    path = folder / "users_vectors.npz"
    np.savez(path, ids=np.array(ids), vectors=vectors)
    return path


def frame() -> pl.DataFrame:
    words = ["a", "b", "c", "b", "a", "b"] * 5
    return pl.DataFrame(
        {"word": words, "number": [7, 8, 8] * 10, "seen": [["a"], ["c", "b"]] * 15, "y": [0, 1, 1, 0, 1] * 6}
    )


def encoded(folder: Path, given: Schema, **more: Any) -> Cache:
    return encode(as_source(frame()), given, folder / "cache", statistics=None, **more)


def vectors_of(cache: Cache, column: Any) -> dict[str, list[float]]:
    """Returns the vector of each raw value."""
    ids, vectors = read_arrays(column.pretrained)
    values = cache.encoder.vocabularies[column.table].values
    return {values[int(i) - 2]: vector.tolist() for i, vector in zip(ids, vectors)}


def test_texts_find_their_local_ids(tmp_path: Path) -> None:
    cache = encoded(tmp_path, schema(file(tmp_path, ["c", "nowhere", "b"])))
    assert vectors_of(cache, cache.layout.ids[0]) == {"c": [0, 1], "b": [4, 5]}
    assert cache.layout.ids[1].pretrained is None


def test_whole_numbers_find_their_local_ids(tmp_path: Path) -> None:
    given = schema(tmp_path)
    given["word"].pretrained, given["number"].pretrained = None, str(file(tmp_path, [8, -1, 7]))
    cache = encoded(tmp_path, given)
    assert vectors_of(cache, cache.layout.ids[1]) == {"8": [0, 1], "7": [4, 5]}


def test_columns_that_share_a_vocabulary_share_its_vectors(tmp_path: Path) -> None:
    path = file(tmp_path, ["c", "x", "b"])
    given = schema(path)
    given["word"].pretrained, given["seen"].pretrained = None, str(path)
    cache = encoded(tmp_path, given)
    assert cache.layout.ids[0].pretrained == cache.layout.lists[0].pretrained
    assert vectors_of(cache, cache.layout.ids[0]) == {"c": [0, 1], "b": [4, 5]}


def test_a_message_says_how_many_values_have_a_vector(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    encoded(tmp_path, schema(file(tmp_path, ["c", "x", "b"])), progress=events.append)
    assert {"event": "message", "text": "`word`: pretrained vectors for 2 of 3 values"} in events


def test_a_cache_that_was_moved_finds_its_vectors(tmp_path: Path) -> None:
    path = file(tmp_path, ["c", "x", "b"])
    encoded(tmp_path, schema(path))
    path.unlink()
    shutil.move(tmp_path / "cache", tmp_path / "moved")
    cache = Cache.open(tmp_path / "moved")
    assert vectors_of(cache, cache.layout.ids[0]) == {"c": [0, 1], "b": [4, 5]}


def test_a_saved_encoder_holds_no_path(tmp_path: Path) -> None:
    encoder = encoded(tmp_path, schema(file(tmp_path, ["c", "x", "b"]))).encoder
    assert encoder.layout.ids[0].pretrained is not None
    encoder.save(tmp_path / "saved")
    assert not any(b"vectors" in path.read_bytes() for path in (tmp_path / "saved").iterdir())
    assert Encoder.load(tmp_path / "saved").layout.ids[0].pretrained is None


def test_vectors_of_no_value_are_refused_with_examples_and_leave_nothing(tmp_path: Path) -> None:
    path = file(tmp_path, ["A", "B", "C"])
    with pytest.raises(ConfigError, match=r"schema\['word'\].pretrained.*users_vectors.npz.*'A'.*'b', 'a', 'c'"):
        encoded(tmp_path, schema(path))
    assert list(tmp_path.iterdir()) == [path]


WRONG: list[tuple[Any, Any, str]] = [
    (["a", "b"], VECTORS, r"ids \(2,\) and vectors \(3, 2\)"),
    ([["a"], ["b"], ["c"]], VECTORS, r"ids \(3, 1\)"),
    (["a", "b", "c"], VECTORS[:, :0], r"vectors \(3, 0\)"),
    (["a", "b", "c"], np.where(VECTORS == 3, np.nan, VECTORS), "Some are NaN or infinite"),
    (["a", "b", "c"], VECTORS.astype(str), "finite numbers"),
    ([1, 2, 3], VECTORS, "whose `ids` are texts.*They are int64; the column holds texts"),
    (["a", "b", "a"], VECTORS, "distinct.*'a' stands there 2 times"),
]


@pytest.mark.parametrize(("ids", "vectors", "message"), WRONG)
def test_a_file_of_another_content_is_refused(tmp_path: Path, ids: Any, vectors: np.ndarray, message: str) -> None:
    path = file(tmp_path, ids, vectors)
    with pytest.raises(ConfigError, match=r"`schema\['word'\].pretrained` must be .*users_vectors.npz") as caught:
        check_pretrained(schema(path))
    assert re.search(message, str(caught.value))


def test_texts_are_no_ids_of_a_column_of_numbers(tmp_path: Path) -> None:
    given = schema(tmp_path)
    given["word"].pretrained, given["number"].pretrained = None, str(file(tmp_path, ["7", "8", "9"]))
    with pytest.raises(ConfigError, match=r"`ids` are whole numbers.*They are <U1"):
        check_pretrained(given)


@pytest.mark.parametrize("written", [None, b"", b"PK\x03\x04 cut off", b"text"])
def test_a_file_that_is_absent_or_no_npz_is_refused_before_rows_are_read(tmp_path: Path, written: bytes | None) -> None:
    path = tmp_path / "users_vectors.npz"
    if written is not None:
        path.write_bytes(written)
    with pytest.raises(ConfigError, match=r"`schema\['word'\].pretrained` must be an .npz file.*users_vectors.npz"):
        check_schema(schema(path))


def test_a_single_array_is_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "users_vectors.npy", VECTORS)
    with pytest.raises(ConfigError, match="must be an .npz file with `ids` and `vectors`"):
        check_schema(schema(tmp_path / "users_vectors.npy"))


def test_a_feature_without_ids_has_no_vectors(tmp_path: Path) -> None:
    given = Schema([Feature("x", "numeric", pretrained=str(file(tmp_path, ["a", "b", "c"])))], targets=["y"])
    with pytest.raises(ConfigError, match="must be None for a numeric feature"):
        check_schema(given)


def test_one_vocabulary_has_one_file(tmp_path: Path) -> None:
    given = schema(file(tmp_path, ["a", "b", "c"]))
    given["seen"].pretrained = "others.npz"
    with pytest.raises(ConfigError, match=r"schema\['seen'\].pretrained.*got 'others.npz'.*vocabulary with 'word'"):
        check_schema(given)


def test_a_width_that_is_not_the_vectors_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, ["a", "b", "c"])
    check_schema(schema(path, dim=2))
    with pytest.raises(ConfigError, match=r"`schema\['word'\].dim` must be 2 or None, got 8"):
        check_schema(schema(path, dim=8))


def test_content_tells_files_apart_by_what_they_hold(tmp_path: Path) -> None:
    first = content(str(file(tmp_path, ["a", "b", "c"])))
    shutil.move(tmp_path / "users_vectors.npz", tmp_path / "moved.npz")
    assert content(str(tmp_path / "moved.npz")) == first
    assert content(str(file(tmp_path, ["a", "b", "c"], VECTORS + 1))) != first
    assert content(None) is None
    with pytest.raises(ConfigError, match="gone.npz"):
        content(str(tmp_path / "gone.npz"))
