"""How much a trial may cost, and how the best of a cheap search are raised to the full data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from autorec.errors import ConfigError, unknown_name
from autorec.training.fidelity import NAMES

_SMALL = 200_000  # training rows up to which fewer rows save little time and cost much certainty
_LARGE = 2_000_000  # training rows from which on there is a step between the cheap trials and the full ones
_ROWS = 100_000
_VOCABULARY = 10_000
_BRIEF, _SHORT = 120, 600  # seconds


@dataclass(frozen=True)
class Fidelity:
    """Limits of a trial that make it cheap; what is None is not limited, and all None is full fidelity.

    Args:
        rows: Training rows, at most; as many validation rows, or all if those cannot judge. The same rows for all
            trials of a run.
        vocabulary: Ids that each table keeps, at most: the most frequent ones.
        dim: Width of the embedded fields, at most.
        epochs: Epochs, at most.

    Raises:
        ConfigError: If one is no whole number of 1 or more.

    Example:
        >>> Fidelity(rows=100_000, vocabulary=10_000).to_dict()
        {'rows': 100000, 'vocabulary': 10000}
    """

    rows: int | None = None
    vocabulary: int | None = None
    dim: int | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None:
                _check_whole(name, value, "a whole number of 1 or more, or None")

    @property
    def full(self) -> bool:
        """Whether nothing is limited."""
        return not self.to_dict()

    def to_dict(self) -> dict[str, int]:
        """Returns the limits that there are, as in a row of the leaderboard."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Returns the fidelity that `to_dict` wrote.

        Raises:
            ConfigError: If a name is not known or a value is not allowed.
        """
        for name in values:
            if name not in NAMES:
                raise unknown_name("fidelity", name, NAMES)
        return cls(**values)

    def within(self, full: Fidelity) -> Fidelity:
        """Returns the same without the limits that do not limit.

        Args:
            full: What there is at full fidelity, such as the training rows; None where it is not known.
        """
        there = asdict(full)
        return Fidelity(
            **{n: v for n, v in self.to_dict().items() if there[n] is None or v < there[n]}  # type: ignore[arg-type]
        )

    def covers(self, other: Fidelity) -> bool:
        """Returns whether no limit is below that of `other`."""
        mine, theirs = asdict(self), asdict(other)
        return all(mine[n] is None or (theirs[n] is not None and mine[n] >= theirs[n]) for n in NAMES)

    def work(self, base: Fidelity, full: Fidelity, epochs: int | None = None) -> float:
        """Returns how many times as much a training reads as one of another fidelity: by rows and epochs.

        Args:
            base: The other's fidelity.
            full: As in `within`; what it does not know counts as equal.
            epochs: Epochs that the other took. If it stopped before its last one, so will this one.
        """
        rows = _ratio(self.rows or full.rows, base.rows or full.rows)
        mine, last = self.epochs or full.epochs, base.epochs or full.epochs
        if epochs and last and epochs < last:
            return rows * _ratio(min(mine or epochs, epochs), epochs)
        return rows * _ratio(mine, epochs or last)


@dataclass(frozen=True)
class Schedule:
    """The course of a search: cheap trials, then the best of them step by step at less and less reduced fidelity.

    After the search part, whose trials all have the fidelity `low`, the best `survivors[0]` are trained at `steps[0]`,
    the best `survivors[1]` of these at `steps[1]` and so on; the best `finalists` of the last step are trained at full
    fidelity, `seeds` times each. The winner has the best mean score over its seeds.

    Args:
        low: Fidelity of the search part; full by default, so that only the finals are added to a search.
        steps: Fidelities between `low` and the full one, rising.
        survivors: Number of trials that reach each step, falling.
        finalists: Number of trials in the finals, at least 1.
        seeds: Trainings of each finalist, at least 1; the first has the seed of its trial.

    Raises:
        ConfigError: If an argument is not allowed, or they do not fit each other.

    Example:
        >>> Schedule(Fidelity(rows=100_000), steps=(Fidelity(rows=1_000_000),), survivors=(10,))
    """

    low: Fidelity = Fidelity()
    steps: tuple[Fidelity, ...] = ()
    survivors: tuple[int, ...] = ()
    finalists: int = 3
    seeds: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", _as_tuple("steps", self.steps))
        object.__setattr__(self, "survivors", _as_tuple("survivors", self.survivors))
        for fidelity in (self.low, *self.steps):
            if not isinstance(fidelity, Fidelity):
                raise ConfigError("low" if fidelity is self.low else "steps", "a Fidelity", fidelity)
        for name in ("finalists", "seeds"):
            _check_whole(name, getattr(self, name))
        self._check_steps()
        self._check_survivors()

    def _check_steps(self) -> None:
        below = self.low
        for step in self.steps:
            if step.full or step == below or not step.covers(below):
                allowed = "fidelities that rise from `low` and stay below the full one, which the finals have"
                raise ConfigError("steps", allowed, [below.to_dict(), step.to_dict()])
            below = step

    def _check_survivors(self) -> None:
        if len(self.survivors) != len(self.steps):
            raise ConfigError("survivors", f"a number for each of the {len(self.steps)} steps", self.survivors)
        for number in self.survivors:
            _check_whole("survivors", number)
        counts = (*self.survivors, self.finalists)
        if any(after > before for before, after in zip(counts, counts[1:])):
            raise ConfigError("survivors", f"numbers that fall to the {self.finalists} finalists", self.survivors)

    @property
    def reduced(self) -> bool:
        """Whether there is any training below full fidelity."""
        return not self.low.full

    def settled(self, full: Fidelity) -> Schedule:
        """Returns the schedule for a log: without limits that do not limit, and without steps that then are none.

        Args:
            full: What there is at full fidelity, such as the training rows; None where it is not known.
        """
        below = self.low.within(full)
        kept: list[tuple[Fidelity, int]] = []
        for step, number in zip(self.steps, self.survivors):
            step = step.within(full)
            if not step.full and step != below:
                kept.append((step, number))
                below = step
        steps, survivors = tuple(zip(*kept)) if kept else ((), ())
        return Schedule(self.low.within(full), steps, survivors, self.finalists, self.seeds)

    @classmethod
    def auto(cls, rows: int, time_limit: float | None = None) -> Schedule:
        """Returns a schedule for a log.

        Up to 200,000 training rows every trial is trained in full, since less of them saves little time and costs much
        certainty; only the finals are added. Above, trials read 100,000 rows and keep 10,000 ids a table; from 2
        million rows on ten of them are raised to a tenth of the rows, at least a million, and 100,000 ids. With less
        than ten minutes there are fewer trainings at the end.

        Args:
            rows: Training rows.
            time_limit: Seconds that the search has, or None.
        """
        _check_whole("rows", rows)
        finalists, seeds = 3, 3
        if time_limit is not None and time_limit < _SHORT:
            finalists, seeds = (2, 1) if time_limit < _BRIEF else (3, 2)
        if rows <= _SMALL:
            return cls(finalists=finalists, seeds=seeds)
        low = Fidelity(rows=_ROWS, vocabulary=_VOCABULARY)
        if rows < _LARGE or (time_limit is not None and time_limit < _BRIEF):
            return cls(low, finalists=finalists, seeds=seeds)
        step = Fidelity(rows=max(rows // 10, 10 * _ROWS), vocabulary=10 * _VOCABULARY)
        return cls(low, (step,), (10,), finalists, seeds)

    def to_dict(self) -> dict[str, Any]:
        """Returns the schedule as plain JSON values."""
        return {
            "low": self.low.to_dict(),
            "steps": [step.to_dict() for step in self.steps],
            "survivors": list(self.survivors),
            "finalists": self.finalists,
            "seeds": self.seeds,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schedule:
        """Returns the schedule that `to_dict` wrote; what is left out has its default.

        Raises:
            ConfigError: If a name is not known or a value is not allowed.
        """
        known = ("low", "steps", "survivors", "finalists", "seeds")
        for name in values:
            if name not in known:
                raise unknown_name("schedule", name, known)
        low = Fidelity.from_dict(values.get("low", {}))
        steps = tuple(Fidelity.from_dict(step) for step in values.get("steps", ()))
        rest = {name: values[name] for name in known[2:] if name in values}
        return cls(low, steps, **rest)


def _ratio(mine: int | None, theirs: int | None) -> float:
    return 1.0 if mine is None or theirs is None else mine / theirs


def _as_tuple(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigError(name, "a tuple", value)
    return tuple(value)


def _check_whole(name: str, value: object, allowed: str = "a whole number of 1 or more") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(name, allowed, value)
