"""Cores and GPUs are shared out equally."""

from __future__ import annotations

import os
import sys

import pytest

from autorec.searchers import cores as module
from autorec.searchers.cores import Share, cores, gpus, import_path, shares


@pytest.mark.parametrize(
    ("workers", "count", "expected"),
    [(1, 2, [(0, 1)]), (2, 2, [(0,), (1,)]), (2, 5, [(0, 1), (2, 3)]), (3, 8, [(0, 1), (2, 3), (4, 5)])],
)
def test_each_worker_has_as_many_cores_and_none_has_another_ones(
    workers: int, count: int, expected: list[tuple[int, ...]]
) -> None:
    found = shares(workers, range(count))
    assert [share.cores for share in found] == expected
    assert {share.threads for share in found} == {len(expected[0])}


def test_each_gpu_goes_to_one_worker() -> None:
    found = shares(2, range(4), ("3", "5"))
    assert [share.environment()["CUDA_VISIBLE_DEVICES"] for share in found] == ["3", "5"]
    assert "CUDA_VISIBLE_DEVICES" not in Share(1).environment()


def test_every_library_is_told_its_threads() -> None:
    told = Share(3).environment()
    assert set(told.values()) == {"3"}
    assert {"TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"} <= set(told)


def test_gpus_are_called_as_the_process_itself_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["one", "two"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus() == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-8f")
    assert gpus() == ("4", "GPU-8f")


def test_only_cores_that_this_process_may_use_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 1}, raising=False)
    assert cores() == (1, 3)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert cores() == (0, 1)


def test_another_process_looks_for_modules_in_the_same_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "/somewhere"])
    assert import_path() == os.pathsep.join([os.getcwd(), "/somewhere"])


def test_a_process_keeps_to_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    monkeypatch.setattr(module.os, "sched_setaffinity", lambda *given: kept.append(given), raising=False)
    Share(1, (1,)).keep_to_cores()
    Share(1).keep_to_cores()
    assert kept == [(0, (1,))]
