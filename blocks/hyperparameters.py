"""The search space of an argument, as data on the block that takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: Sequence[Any]
    default: Any

    def draw(self, hp: Any, name: str) -> Any:
        """Returns the value that `hp` (a `keras_tuner.HyperParameters`) has for `name`."""
        return hp.Choice(name, list(self.values), default=self.default)

    def dividing(self, *widths: int) -> Choice:
        """Returns the choice of those whole numbers that divide all of some widths; 1 has to be one of them.

        Example:
            >>> Choice((1, 2, 4), default=2).dividing(25)
            Choice(values=(1,), default=1)
        """
        values = [value for value in self.values if all(width % value == 0 for width in widths)]
        return Choice(tuple(values), self.default if self.default in values else max(values))


@dataclass(frozen=True)
class Int:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int
    default: int
    step: int = 1

    def draw(self, hp: Any, name: str) -> int:
        """Returns the value that `hp` has for `name`."""
        return int(hp.Int(name, self.low, self.high, step=self.step, default=self.default))


@dataclass(frozen=True)
class Float:
    """A number from `low` to `high`; `sampling` is `linear` or `log`."""

    low: float
    high: float
    default: float
    step: float | None = None
    sampling: str = "linear"

    def draw(self, hp: Any, name: str) -> float:
        """Returns the value that `hp` has for `name`."""
        return float(hp.Float(name, self.low, self.high, self.step, sampling=self.sampling, default=self.default))


@dataclass(frozen=True)
class Boolean:
    """True or False."""

    default: bool

    def draw(self, hp: Any, name: str) -> bool:
        """Returns the value that `hp` has for `name`."""
        return bool(hp.Boolean(name, default=self.default))


Hyperparameter = Choice | Int | Float | Boolean
