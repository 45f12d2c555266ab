"""Which files of a folder are one table."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autorec.data.inference import infer
from autorec.data.parquet_folder import parquet_files
from autorec.data.table import as_source

TABLE = pa.table({"city": ["a", "b"], "click": [0, 1]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "more").mkdir()
    for name in ("a.parquet", "b.PARQUET", "c.Pq", "more/d.pq", ".e.parquet", "_f.parquet"):
        pq.write_table(TABLE, tmp_path / name)
    return tmp_path


def test_suffixes_may_be_written_in_capitals(folder: Path) -> None:
    files, notes = parquet_files(folder)
    assert [str(file.relative_to(folder)) for file in files] == ["a.parquet", "b.PARQUET", "c.Pq", "more/d.pq"]
    assert not notes
    assert as_source(folder).rows == 8


def test_files_that_are_not_read_are_named_in_a_warning(folder: Path) -> None:
    (folder / "more" / "x.csv").write_text("city,click\na,0\n")
    (folder / "_SUCCESS").write_text("")
    warning = "`more/x.csv`: this file was not read: of a folder only .parquet and .pq files are"
    assert warning in infer(folder, target="click").warnings
    (folder / "x.csv").write_text("city,click\na,0\n")
    assert "this file was not read (and 1 more): of a folder" in parquet_files(folder)[1]["more/x.csv"]
