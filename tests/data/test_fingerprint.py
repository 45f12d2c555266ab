"""Fingerprints of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from autorec.data import fingerprint
from autorec.data.fingerprint import of_files


def file_of(path: Path, size: int, changed: int | None = None) -> Path:
    content = bytearray(i % 251 for i in range(1_000)) * (size // 1_000)
    if changed is not None:
        content[changed] ^= 1
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [100_000, 2_000_000, 5_000_000])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.51, 0.999])
def test_a_byte_that_is_edited_in_place_changes_it(size: int, share: float, tmp_path: Path) -> None:
    first, copy = file_of(tmp_path / "a", size), file_of(tmp_path / "b", size)
    edited = file_of(tmp_path / "c", size, int(size * share))
    assert of_files([first]) == of_files([copy]) != of_files([edited])


def test_of_files_that_are_large_together_pieces_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "_WHOLE", 7_000_000)
    first, edited = file_of(tmp_path / "a", 5_000_000), file_of(tmp_path / "b", 5_000_000, 100_000)
    longer, last = file_of(tmp_path / "c", 5_001_000), file_of(tmp_path / "d", 5_000_000, 4_999_999)
    assert of_files([first]) != of_files([edited])
    assert of_files([first, first]) == of_files([edited, first])
    assert of_files([first, first]) not in (of_files([longer, first]), of_files([last, first]))
