"""Where a process that only trains leaves the files of its trials."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autorec.files import new_folder


@dataclass(frozen=True)
class TrialFiles:
    """What a trainer sees of a run in another process: a folder of its own, and no journal.

    Args:
        place: The folder.
    """

    place: Path

    def trial_directory(self, number: int) -> Path:
        """Returns where the files of a trial go."""
        return self.place / f"{number:04d}"

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Returns nothing: the journal is not read here."""
        return []

    def left(self, number: int) -> str | None:
        """Returns the folder that a trial has left, None if it left none."""
        folder = self.trial_directory(number)
        return str(folder) if folder.is_dir() else None

    def content(self, number: int) -> dict[str, bytes] | None:
        """Returns the files that a trial has left by name, for a machine that does not see them, and removes them."""
        folder = self.trial_directory(number)
        if not folder.is_dir():
            return None
        found = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        shutil.rmtree(folder)
        return found


def deliver(files: str | Mapping[str, bytes], folder: Path) -> None:
    """Puts what a trial left in another process into its folder of the run, where it is whole or not at all.

    Args:
        files: A folder on the same disk, or files by name.
        folder: The folder, such as `trials/0007`; what was there is replaced.
    """
    with new_folder(folder) as place:
        if isinstance(files, str):
            for path in Path(files).iterdir():
                path.replace(place / path.name)
        else:
            for name, content in files.items():
                (place / name).write_bytes(content)
    if isinstance(files, str):
        shutil.rmtree(files, ignore_errors=True)
