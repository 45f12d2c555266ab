"""Which files of a folder are one Parquet table."""

from __future__ import annotations

from pathlib import Path

from autorec.errors import DataError

_SUFFIXES = (".parquet", ".pq")


def parquet_files(path: Path) -> tuple[list[Path], dict[str, str]]:
    """Returns the Parquet files at a path, in the order of their names, and a note on a folder's other files.

    Files and subfolders whose name starts with `.` or `_` do not count.

    Raises:
        DataError: If a folder holds none.
    """
    if not path.is_dir():
        return [path], {}
    found = [p for p in sorted(path.rglob("*")) if _is_shown(p.relative_to(path)) and p.is_file()]
    files = [p for p in found if p.suffix.lower() in _SUFFIXES]
    if not files:
        raise DataError("the folder holds no .parquet file", file=path)
    return files, _note([p for p in found if p.suffix.lower() not in _SUFFIXES], path)


def _is_shown(path: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in path.parts)


def _note(skipped: list[Path], folder: Path) -> dict[str, str]:
    if not skipped:
        return {}
    more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    note = f"this file was not read{more}: of a folder only .parquet and .pq files are"
    return {str(skipped[0].relative_to(folder)): note}
