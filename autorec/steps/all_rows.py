"""All rows of a run, validation rows too, as training rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autorec.config import SearchConfig
from autorec.data.cache import Cache
from autorec.data.encode import encode_all
from autorec.data.layout import Layout
from autorec.data.schema import Schema
from autorec.data.source import Source
from autorec.errors import TrialFailed
from autorec.identity import CACHE

FOLDER = f"{CACHE}-all"


@dataclass
class AllRows:
    """The cache of all rows, encoded when it is first asked for.

    What is learned from rows before any model is, such as the rate of a value, is learned from all of them. That is
    most of what a refit gains where such columns tell much.

    Args:
        place: The run directory, of a worker its own.
        source: Rows to learn from.
        validation: Rows to validate on, or None where they were split off.
        schema: Their schema.
        config: Which statistics, and the seed.
        like: The cache of the trials.
        emit: Receives events.
        deadline: Returns `time.monotonic()` at which to end, or None.
    """

    place: Path
    source: Source
    validation: Source | None
    schema: Schema
    config: SearchConfig
    like: Cache
    emit: Callable[[dict[str, Any]], None]
    deadline: Callable[[], float | None]
    _cache: Cache | None = None

    def __call__(self) -> Cache:
        """Returns the cache.

        Raises:
            TrialFailed: If there is no time for columns that the trials read.
        """
        if self._cache is None:
            self.clear()
            cache = encode_all(
                [self.source, *([] if self.validation is None else [self.validation])],
                self.schema,
                self.place / FOLDER,
                like=self.like,
                seed=self.config.seed,
                statistics=self.config.statistics,
                progress=self.emit,
                deadline=self.deadline(),
            )
            missing = [name for name in _columns(self.like.layout) if name not in _columns(cache.layout)]
            if missing:
                raise TrialFailed(f"there is no time to make the columns {', '.join(missing)} of all rows")
            self._cache = cache
        return self._cache

    def clear(self) -> None:
        """Removes the cache from disk."""
        self._cache = None
        for folder in (self.place / FOLDER, *self.place.glob(f".{FOLDER}.*")):
            shutil.rmtree(folder, ignore_errors=True)


def _columns(layout: Layout) -> list[str]:
    """Returns the names of the columns that are made for as long as there is time."""
    made = [column.name for column in (*layout.pairs, *layout.margins)]
    return [*made, "leaves"] if layout.leaves else made
