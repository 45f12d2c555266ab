"""A trainer of trials without its rows, for a process that opens them itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from autorec.data.cache import Cache
from autorec.searchers.job import Evaluate
from autorec.searchers.trial import TrialTrainer
from autorec.searchers.trial_files import TrialFiles

Emit = Callable[[dict[str, Any]], None]

# Fields of a trainer that are made anew in the other process.
_MADE_THERE = ("run", "train", "validation", "layout", "emit", "workers", "quiet", "all_rows")


@dataclass(frozen=True)
class PortableTrainer:
    """What another process needs to train trials as a `TrialTrainer` does.

    The encoded rows are not sent: the process opens them by memory map.

    Args:
        cache: Folder of the encoded rows.
        space: As of `TrialTrainer`.
        callbacks: As of `TrialTrainer`.
        settings: All other fields of it.
    """

    cache: str
    space: Any
    callbacks: Any
    settings: dict[str, Any]

    GIVEN: ClassVar = ("space", "callbacks")  # what comes from the user, and may hold anything

    @classmethod
    def of(cls, trainer: TrialTrainer, cache: Path) -> PortableTrainer:
        """Returns a trainer in the form in which it can be sent.

        Args:
            trainer: Its precision is settled.
            cache: Folder of the rows that it trains with.
        """
        names = [field.name for field in fields(trainer) if not field.name.startswith("_")]
        settings = {name: getattr(trainer, name) for name in names if name not in (*_MADE_THERE, *cls.GIVEN)}
        return cls(str(Path(cache).absolute()), trainer.space, trainer.callbacks, settings)

    def open(self, place: Path, emit: Emit, cache: Path | None = None) -> Evaluate:
        """Returns the trainer.

        Args:
            place: Where it leaves model files, `0007/model.keras`.
            emit: Receives its events.
            cache: Folder of the encoded rows, where it is another one on this machine.

        Raises:
            DataError: If the encoded rows are not there.
        """
        rows = Cache.open(self.cache if cache is None else cache)
        return TrialTrainer(
            run=TrialFiles(place),
            train=rows.train,
            validation=rows.validation,
            layout=rows.layout,
            space=self.space,
            callbacks=self.callbacks,
            emit=emit,
            **self.settings,
        )


@dataclass(frozen=True)
class PortableFunction:
    """A function that trains jobs, in the form of a `PortableTrainer`.

    Args:
        function: Takes a `Job`; leaves no files.
    """

    function: Evaluate

    GIVEN: ClassVar = ("function",)

    def open(self, place: Path, emit: Emit, cache: Path | None = None) -> Evaluate:
        """Returns the function."""
        return self.function
