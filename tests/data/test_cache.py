"""The cache's files: written in pieces, mapped again, and named when they are damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from autorec.data.cache import FORMAT, Cache, Part, PartWriter, open_part, rows_of
from autorec.data.encode import encode
from autorec.data.lists import Lists
from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import DataError

IDS = np.arange(10, dtype=np.int32).reshape(5, 2)
LISTS = Lists(np.array([0, 1, 1, 4, 4, 6]), np.arange(2, 8, dtype=np.int32))
LABELS = np.array([[0], [1], [np.nan], [1], [0]], np.float32)
WEIGHTS = np.array([1, 2, 3, 4, 5], np.float32)


def piece(rows: slice) -> tuple[dict[str, object], np.ndarray, np.ndarray, np.ndarray]:
    chosen = np.arange(5)[rows]
    return {"ids": IDS[rows], "list_0": LISTS.rows(chosen)}, LABELS[rows], WEIGHTS[rows], chosen


def written(folder: Path) -> Part:
    writer = PartWriter(folder)
    for rows in (slice(0, 2), slice(2, 2), slice(2, 5)):
        writer.append(*piece(rows))
    return open_part(folder, writer.close())


def test_pieces_are_read_back_as_one_part(tmp_path: Path) -> None:
    part = written(tmp_path)
    np.testing.assert_array_equal(part.arrays["ids"], IDS)
    np.testing.assert_array_equal(part.labels, LABELS)
    np.testing.assert_array_equal(part.weights, WEIGHTS)
    np.testing.assert_array_equal(part.users, np.arange(5))
    assert part.rows == 5


def test_lists_of_several_pieces_have_running_offsets(tmp_path: Path) -> None:
    lists = written(tmp_path).arrays["list_0"]
    np.testing.assert_array_equal(lists.offsets, LISTS.offsets)
    np.testing.assert_array_equal(lists.values, LISTS.values)


def test_a_part_gives_some_rows_of_some_groups(tmp_path: Path) -> None:
    found = written(tmp_path).take(np.array([4, 0]), ["list_0", "ids"])
    assert list(found) == ["list_0", "ids"]
    assert found["list_0"].tolist() == [[6, 7], [2, 0]]
    assert found["ids"].tolist() == [[8, 9], [0, 1]]


@pytest.mark.parametrize("rows", [slice(1, 4), np.array([3, 0, 3])])
def test_rows_of_an_array_are_those_of_an_index(rows: slice | np.ndarray) -> None:
    np.testing.assert_array_equal(rows_of(IDS, rows), IDS[rows])


def test_the_size_of_a_row_is_that_of_its_values(tmp_path: Path) -> None:
    part = written(tmp_path)
    assert part.row_bytes(["ids"]) == 8
    assert part.row_bytes(["ids", "list_0"]) == (5 * 8 + 6 * 4) // 5


def test_a_part_without_values_in_its_lists_can_be_read(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    writer.append({"list_0": Lists(np.zeros(3, np.int64), np.zeros(0, np.int32))}, LABELS[:2], None, None)
    part = open_part(tmp_path, writer.close())
    assert part.take(np.array([0, 1]), ["list_0"])["list_0"].tolist() == [[0], [0]]
    assert part.weights is None


def test_a_part_of_no_rows_has_no_labels(tmp_path: Path) -> None:
    assert open_part(tmp_path, PartWriter(tmp_path).close()).rows == 0


@pytest.mark.parametrize("name", ["ids", "labels", "list_0.offsets", "list_0.values"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    writer = PartWriter(tmp_path)
    writer.append(*piece(slice(0, 5)))
    description = writer.close()
    path = tmp_path / f"{name}.bin"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=f"{name}.bin'.*delete the cache"):
        open_part(tmp_path, description)


@pytest.fixture(scope="module")
def source_cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    frame = pl.DataFrame({"c": ["a", "b"] * 20, "x": range(40), "y": [0, 1, 1, 0] * 10})
    features = [Feature("c", "categorical"), Feature("x", "numeric", "int")]
    return encode(as_source(frame), Schema(features, targets=["y"]), tmp_path_factory.mktemp("cache") / "c")


@pytest.fixture
def directory(source_cache: Cache, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    for path in source_cache.directory.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(source_cache.directory)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def test_an_opened_cache_is_the_one_that_was_written(source_cache: Cache, directory: Path) -> None:
    cache = Cache.open(directory)
    assert cache.layout == source_cache.layout
    assert cache.schema == source_cache.schema
    assert cache.fingerprint == source_cache.fingerprint != ""
    np.testing.assert_array_equal(cache.train.arrays["ids"], source_cache.train.arrays["ids"])


def read(directory: Path) -> int:
    cache = Cache.open(directory)
    return cache.train.rows + cache.validation.rows


def test_every_damaged_file_of_a_cache_is_named(directory: Path) -> None:
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    assert (len(paths), read(directory)) == (12, 40)
    for path in paths:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError) as caught:
            read(directory)
        assert caught.value.file == str(path)
        path.write_bytes(whole)


def test_a_file_that_is_gone_is_named(directory: Path) -> None:
    (directory / "train" / "numbers.bin").unlink()
    with pytest.raises(DataError, match=r"train/numbers\.bin"):
        assert Cache.open(directory).train


def test_a_folder_without_a_finished_cache_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a finished cache"):
        Cache.open(tmp_path)


def test_a_cache_of_another_format_is_refused(directory: Path) -> None:
    path = directory / "cache.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', '"format": 99'))
    with pytest.raises(DataError, match=f"cache of format 99, this version reads {FORMAT}"):
        Cache.open(directory)
