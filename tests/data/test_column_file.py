"""Files of further columns: described, zero at first, and refused where the disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autorec.data.cache import open_part
from autorec.data.column_file import new_column_file


@pytest.fixture
def description(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "train").mkdir()
    return {"train": {"rows": 3, "files": {}}}


def test_what_is_written_is_read_back_as_a_group_of_the_part(tmp_path: Path, description: dict[str, Any]) -> None:
    file = new_column_file(tmp_path, description, "train", "leaves", "<i4", 2)
    assert not file.any()
    file[1:] = [[3, 4], [5, 6]]
    found = open_part(tmp_path / "train", description["train"]).arrays["leaves"]
    assert (found.tolist(), found.dtype) == ([[0, 0], [3, 4], [5, 6]], np.int32)


def test_a_full_disk_is_an_error_before_anything_is_written(
    tmp_path: Path, description: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("autorec.data.column_file.os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        new_column_file(tmp_path, description, "train", "margins", "<f4", 1)
