"""The encoded rows on a node that does not see the run directory: fetched once, removed by the last who used them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import pytest

from autorec.searchers import remote_process as module
from autorec.searchers.remote_process import RemoteProcess, content_digest


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    (folder / "train").mkdir(parents=True)
    (folder / "cache.json").write_text("{}")
    (folder / "train" / "labels.bin").write_bytes(b"0123")
    return folder


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A node with a folder for temporary files of its own; what it fetches from the object store."""
    fetched: list[str] = []

    def get(reference: tuple[str, bytes]) -> np.ndarray:
        fetched.append(reference[0])
        return np.frombuffer(reference[1], np.uint8)

    (tmp_path / "node").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "node"))
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(get=get))
    return fetched


def stored(cache: Path) -> dict[str, tuple[str, bytes]]:
    return {str(path.relative_to(cache)): (path.name, path.read_bytes()) for path in cache.rglob("*") if path.is_file()}


def test_a_node_sees_rows_only_if_they_are_the_same(cache: Path, tmp_path: Path) -> None:
    process, digest = RemoteProcess(), content_digest(cache / "cache.json")
    assert process.sees(str(cache), digest)
    assert not process.sees(str(cache), "other")
    assert not process.sees(str(tmp_path / "elsewhere"), digest)


def test_rows_are_fetched_once_a_node_and_are_whole_in_each_process(
    cache: Path, node: list[str], tmp_path: Path
) -> None:
    for name in ("first", "second"):
        module._fetch(stored(cache), "d1", tmp_path / name)
    assert sorted(node) == ["cache.json", "labels.bin"]
    assert stored(tmp_path / "first") == stored(tmp_path / "second") == stored(cache)


def test_no_other_process_can_remove_rows_before_the_one_that_fetched_them_has_them(
    cache: Path, node: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, tried = module._link, []

    def linked(folder: Path, own: Path) -> None:
        with (tmp_path / "node" / "autorec-rows-d1.lock").open("w") as lock:
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tried.append(folder)
        link(folder, own)

    monkeypatch.setattr(module, "_link", linked)
    module._fetch(stored(cache), "d1", tmp_path / "own")
    assert tried == [tmp_path / "node" / "autorec-rows-d1"]
    assert stored(tmp_path / "own") == stored(cache)


def test_the_last_process_removes_the_rows_of_its_node(cache: Path, node: list[str], tmp_path: Path) -> None:
    shared = tmp_path / "node" / "autorec-rows-d1"
    first, second = RemoteProcess(), RemoteProcess()
    for name, process in (("first", first), ("second", second)):
        process._own = tmp_path / name
        module._fetch(stored(cache), "d1", process._own / "cache")
    first.close("d1")
    assert shared.exists()
    second.close("d1")
    assert not shared.exists()


def test_what_a_killed_search_left_on_a_node_is_removed(cache: Path, node: list[str], tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    shared = tmp_path / "node" / "autorec-rows-d1"
    left = [tmp_path / "node" / f"autorec-rows-{number}-abc" for number in (gone.pid, os.getpid())]
    for folder in left:
        module._fetch(stored(cache), "d1", folder / "cache")
    module._sweep("d1")
    assert [folder.exists() for folder in left] == [False, True]
    assert shared.exists()  # a process that lives has its rows
    shutil.rmtree(left[1])
    module._sweep("d1")
    assert not shared.exists()
