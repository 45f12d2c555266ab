"""A clock that tests set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Clock:
    """Takes the place of the module `time` in another module."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now
