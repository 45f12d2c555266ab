"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def absolute(path: str | Path) -> Path:
    """Returns a path with `~` as the home folder, from the root on: it holds when the working folder changes."""
    return Path(path).expanduser().absolute()


def write_json(path: Path, value: Any) -> None:
    """Writes JSON aside, then renames it over `path`."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def remove_beside(path: Path) -> None:
    """Removes all folders that stand beside a folder."""
    for other in path.parent.iterdir():
        if other.name != path.name:
            shutil.rmtree(other, ignore_errors=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Gives an empty folder to fill, which takes the place of `path` when the block ends without an error.

    What was at `path` stays until then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        if path.exists():
            path.replace(old)
        aside.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
