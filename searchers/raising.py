"""The end of a search with a schedule: its best trials at higher fidelities, then over several seeds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from autorec.run import Run, origin
from autorec.searchers.fidelity import Fidelity, Schedule
from autorec.searchers.warm_start import VIEWS

FULL = Fidelity()
_REDUCED_SHARE, _FULL_SHARE = 0.6, 1 / 3  # of a time limit, the most that is kept for the end of a search
_LEANING_SHARE = 0.45  # the same where all trainings of the end are for an ensemble
_UNKNOWN_SHARE = 0.5  # the same before any trial shows how long one takes
_MARGIN = 1.1  # estimates are off by so much
_SLACK = 2.0  # seconds beyond the usual ones, without which nothing is repeated: cut in its trace it is lost time
_SPARES = 2  # so many times the finalists are tried, should some fail at full fidelity
#: Trainings with other seeds at most that an ensemble is made of; behind them the search goes on.
MOST_REPETITIONS = 40
_REFIT = 10  # trainings that a refit of an ensemble takes about as long as
_LEAST = 0.2  # of the time that it usually takes: a first training at full fidelity with less is not begun

# Number of a trial, fidelity, number of the repetition (0 has the trial's seed), time at which its share ends.
Again = tuple[int, Fidelity, int, float | None]


@dataclass
class Raising:
    """Trains the survivors of a search at the steps of a schedule, and the finalists over several seeds.

    What is trained follows from the finished trials of the run alone, so that a run that was cut anywhere goes on with
    what is missing, and nothing is trained twice.

    Args:
        run: Open for writing.
        schedule: The schedule.
        full: What there is at full fidelity, as far as it is known.
        direction: `max` or `min`: which scores are better.
        deadline: `time.monotonic()` at which all has to be over, or None.
        train: Trains values of trials once more, as many at a time as there is room for; each next one is asked for
            when it can begin, and all have ended when it returns.
        seed_of: Seed of a repetition of a trial: number, number of the repetition.
        say: Receives a line about what begins.
        slots: How many trainings run at a time.
        lean: Where an ensemble is made of all trainings, chooses the trial whose values it gains most from being
            trained again, or None. Then not the finalists are repeated but what it chooses, as often as they would be.
            It may have the method `kept`: of the seconds that are left, how many what follows these repetitions needs.
            They then end early.
        fill: Whether what `lean` chooses is repeated as long as there is time.
    """

    run: Run
    schedule: Schedule
    full: Fidelity
    direction: str
    deadline: float | None
    train: Callable[[Iterable[Again]], None]
    seed_of: Callable[[int, int], int]
    say: Callable[[str], None]
    slots: int = 1
    lean: Callable[[], int | None] | None = None
    fill: bool = False
    _known: dict[tuple[int, Fidelity, int], dict[str, Any]] = field(default_factory=dict)
    _counted: int = 0
    _asked: bool = False  # whether `lean` was

    def __post_init__(self) -> None:
        self.total = None if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)
        events = self.run.events("raise", "raised")
        self.open = bool(events) and events[-1]["event"] == "raise"

    def round(self) -> bool:
        """Trains all that is missing and that there is time for; returns whether it trained anything."""
        before = len(self.run.events("started"))
        order = self._ranked(self.schedule.low, self._own())
        for step, count in zip(self.schedule.steps, self.schedule.survivors):
            order = self._raise(order, count, step)
        if order:
            self._finals(order)
        if self.open:
            self.run.append({"event": "raised"})
            self.open = False
        return len(self.run.events("started")) > before

    # Steps

    def _raise(self, order: list[int], count: int, step: Fidelity) -> list[int]:
        """Trains the first trials of an order at a step; returns the order behind it."""
        missing = [number for number in order[:count] if self._row(number, step) is None]
        self.train(self._steps(missing, step, self._kept_for_finals()))
        return self._behind(order, step)

    def _steps(self, missing: list[int], step: Fidelity, kept: float) -> Iterator[Again]:
        for number in missing:
            if not self._time_for(step, kept=kept):
                return
            if number == missing[0]:
                self._begin()
                self.say(f"raising {len(missing)} trials to {_words(step)}")
            yield number, step, 0, None if self.deadline is None else self.deadline - kept

    def _behind(self, order: list[int], step: Fidelity) -> list[int]:
        """Returns the order of trials behind a step: those that were trained at it by their scores, then the others."""
        ranked = self._ranked(step, order)
        rest = [number for number in order if self._row(number, step) is None]
        return (ranked + rest) or order

    def _finals(self, order: list[int]) -> None:
        finalists = order[: self.schedule.finalists]
        first = self._first_seeds(order)
        if self.lean is not None:
            self.train(self._leaned_on(self.lean))
            return
        for repetition in range(1, self.schedule.seeds):
            missing = [number for number in first if self._row(number, FULL, repetition) is None]
            if missing and not self._time_for(FULL, len(missing)):
                break
            self._announce(finalists, f"seed {repetition + 1} of {self.schedule.seeds}", bool(missing))
            self.train(self._repetitions(missing, repetition))

    def _repetitions(self, missing: list[int], repetition: int) -> Iterator[Again]:
        for number in missing:
            if not self._time_for(FULL):
                return
            yield number, FULL, repetition, self.deadline

    def _leaned_on(self, lean: Callable[[], int | None]) -> Iterator[Again]:
        """Yields trainings with a seed that their values were not trained with in full."""
        while self._filling or self._wanted() > 0:
            self._asked = True
            number = lean() if self._time_for(FULL, kept=_SLACK + self._kept()) else None
            kept = self._kept()
            if number is None or not self._time_for(FULL, kept=_SLACK + kept):
                return
            if not self.open:
                self._begin()
                self.say("training again, with other seeds, what the ensemble leans on")
            yield number, FULL, self._begun().count(number), None if self.deadline is None else self.deadline - kept

    def _kept(self) -> float:
        """Returns the seconds to leave behind repetitions."""
        keep = getattr(self.lean, "kept", None)
        if keep is None or self.lean is None:
            return 0.0
        if not self._asked and self._repetitions_begun() >= MOST_REPETITIONS:  # by an earlier call
            self._asked = True
            self.lean()  # which it keeps the time for
        return float(keep(self._left()))

    @property
    def _filling(self) -> bool:
        return self.fill and self.deadline is not None and self._repetitions_begun() < MOST_REPETITIONS

    def _repetitions_begun(self) -> int:
        begun = self._begun()
        return len(begun) - len(set(begun))

    def _begun(self) -> list[int]:
        """Returns whose values were begun to be trained in full, once for each training."""
        return [origin(event) for event in self.run.events("started") if not event["fidelity"]]

    def _wanted(self) -> int:
        """Returns how many more trainings an ensemble is to get of what it leans on."""
        return max(self.schedule.finalists * (self.schedule.seeds - 1) - self._repetitions_begun(), 0)

    def _first_seeds(self, order: list[int]) -> list[int]:
        """Trains finalists at full fidelity, and for those that fail the next ones; returns those that did not."""
        tried = order[: _SPARES * self.schedule.finalists]
        while True:
            rows = {number: self._row(number, FULL) for number in tried}
            alive = [number for number, row in rows.items() if row is None or row["status"] == "completed"]
            alive = alive[: self.schedule.finalists]
            missing = [number for number in alive if rows[number] is None]
            before = len(self.run.events("started"))
            self.train(self._in_full(missing, tried))
            if len(self.run.events("started")) == before:
                return [number for number in alive if rows[number] is not None]

    def _in_full(self, missing: list[int], tried: list[int]) -> Iterator[Again]:
        for number in missing:
            first = not self._ranked(FULL, tried)  # all others need to end uncut
            if not (self._time_for_first() if first else self._time_for(FULL)):
                return
            new = first and number == missing[0]
            self._announce(tried[: self.schedule.finalists], f"seed 1 of {self.schedule.seeds}", new)
            yield number, FULL, 0, self.deadline

    def _begin(self) -> None:
        if not self.open:
            self.run.append({"event": "raise"})
            self.open = True

    def _announce(self, finalists: list[int], text: str, new: bool) -> None:
        """Writes down who is in the finals, once."""
        if not new:
            return
        self._begin()
        known = self.run.events("finals")
        if not known or known[-1]["numbers"] != finalists:
            self.run.append({"event": "finals", "numbers": finalists})
        self.say(f"finals: trials {', '.join(map(str, finalists))} at full fidelity, {text}")

    # What is there

    def contenders(self) -> list[int]:
        """Returns the trainings at full fidelity that may win yet: means move while further seeds are trained."""
        rows = [row for row in self.run.trials() if row["status"] == "completed" and not row["fidelity"]]
        numbers = {origin(row) for row in rows}
        if not self.schedule.reduced:
            first = self._ranked(FULL, sorted(numbers))[: _SPARES * self.schedule.finalists]
            numbers = {*first, *(number for event in self.run.events("finals") for number in event["numbers"])}
        if self.lean is not None:
            numbers |= {origin(row) for row in self._views(rows)}
            numbers |= {row["parent"] for row in rows if row["parent"] is not None}
        return [row["number"] for row in rows if origin(row) in numbers]

    def _views(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yields of trainings that leave the same columns unread the best one, which need not be among the best."""
        sign = 1.0 if self.direction == "max" else -1.0
        for view in VIEWS:
            same = [row for row in rows if _reads(row["values"], view)]
            if same:
                yield max(same, key=lambda row: sign * row["score"])

    def _own(self) -> list[int]:
        """Returns the numbers of the searcher's own trials."""
        return [row["number"] for row in self.run.trials() if row["parent"] is None]

    def _row(self, number: int, fidelity: Fidelity, repetition: int = 0) -> dict[str, Any] | None:
        """Returns the finished training of a trial's values at a fidelity and with a seed, or None."""
        return self._finished().get((number, fidelity, self.seed_of(number, repetition)))

    def _finished(self) -> dict[tuple[int, Fidelity, int], dict[str, Any]]:
        """Returns the finished trainings, by what was trained."""
        count = len(self.run.events("finished"))
        if count != self._counted:
            rows = self.run.trials()
            self._known = {(origin(row), Fidelity.from_dict(row["fidelity"]), row["seed"]): row for row in rows}
            self._counted = count
        return self._known

    def _ranked(self, fidelity: Fidelity, numbers: list[int]) -> list[int]:
        """Returns the trials that were completed at a fidelity, best first."""
        sign = -1.0 if self.direction == "max" else 1.0
        rows = [(number, self._row(number, fidelity)) for number in numbers]
        done = [(number, row) for number, row in rows if row is not None and row["status"] == "completed"]
        return [number for number, _ in sorted(done, key=lambda pair: (sign * pair[1]["score"], pair[0]))]

    # Time

    def reserve(self) -> float:
        """Returns the seconds that the search part has to leave: what the trainings behind it will take, or a share.

        Those that are done for the present order of trials need no more time; what a newcomer to the finals needs is
        always kept, since a trial that cannot reach them is of no use. Where no final would come to anything,
        nothing is kept.
        """
        if self.total is None:
            return 0.0
        single = self.seconds(FULL)
        if single is None:
            return self.total * _UNKNOWN_SHARE if self.schedule.reduced else 0.0
        seeds = self.schedule.seeds if self.lean is None else 1
        repetitions = range(int(not self.schedule.reduced), seeds)
        newcomer, needed, order = len(repetitions) * single, 0.0, self._ranked(self.schedule.low, self._own())
        for step, count in zip(self.schedule.steps, self.schedule.survivors):
            seconds = self.seconds(step) or 0.0
            newcomer += seconds
            needed += self._rounds(count - self._done(order[:count], step)) * seconds
            order = self._behind(order, step)
        finalists = order[: self.schedule.finalists]
        for repetition in repetitions:
            needed += self._rounds(self.schedule.finalists - self._done(finalists, FULL, repetition)) * single
        if self.lean is not None:
            needed += self._rounds(self._wanted()) * single + (_SLACK if self._wanted() else 0.0)
        most = self.total * (_REDUCED_SHARE if self.schedule.reduced else _FULL_SHARE)
        if self._filling and self.lean is not None:
            trainings = self._rounds(MOST_REPETITIONS - self._repetitions_begun()) + _REFIT
            most = max(most, _LEANING_SHARE * self.total)
            needed = min(most, trainings * single)
        elif self.fill and self.lean is not None:
            needed += self._kept()
            most = max(most, needed)
        return min(_MARGIN * max(needed, newcomer), most) if most >= self._floor() else 0.0

    def _done(self, numbers: list[int], fidelity: Fidelity, repetition: int = 0) -> int:
        return sum(self._row(number, fidelity, repetition) is not None for number in numbers)

    def _rounds(self, count: int) -> int:
        """Returns how many trainings stand behind each other where so many are to be done."""
        return -(-count // self.slots)

    def seconds(self, fidelity: Fidelity) -> float | None:
        """Returns how long a training at a fidelity will take, from the trials of the nearest one; None before any."""
        for base in (fidelity, *reversed((self.schedule.low, *self.schedule.steps))):
            wanted = base.to_dict()
            rows = [row for row in self.run.trials() if row["status"] == "completed" and row["fidelity"] == wanted]
            if rows and (fidelity == base or fidelity.covers(base)):
                return _usual(rows) * fidelity.work(base, self.full, _epochs(rows))
        return None

    def _left(self) -> float | None:
        return None if self.deadline is None else self.deadline - time.monotonic()

    def _kept_for_finals(self) -> float:
        """Returns the seconds that a step leaves: those of a full training, or for all of them half of what is left."""
        left, single = self._left() or 0.0, self.seconds(FULL) or 0.0
        return min(max(single, left / 2), self._rounds(self.schedule.finalists) * single)

    def _time_for(self, fidelity: Fidelity, count: int = 1, kept: float = 0.0) -> bool:
        """Returns whether so many trainings end in time, and some seconds before it."""
        left = self._left()
        return left is None or left >= self._rounds(count) * (self.seconds(fidelity) or 0.0) + kept

    def _time_for_first(self) -> bool:
        """Returns whether a first training at full fidelity has the time to come to something, though it be cut.

        While all trials were cut nobody knows how long one takes; it then needs a part of what the longest one had.
        """
        left = self._left()
        return left is None or left >= self._floor()

    def _floor(self) -> float:
        """Returns the least seconds in which a first training at full fidelity comes to something."""
        rows = [row for row in self.run.trials() if row["status"] == "completed"]
        known = any(not row["cut"] for row in rows)
        usual = self.seconds(FULL) if known else max((row["seconds"] for row in rows), default=None)
        return _LEAST * (usual or 0.0)


def _reads(values: Mapping[str, Any], view: Mapping[str, Any]) -> bool:
    """Returns whether values leave unread what a view does, as far as the space has it."""
    known = [name for name in view if name in values]
    return bool(known) and all(values[name] == view[name] for name in known)


def _usual(rows: list[dict[str, Any]]) -> float:
    """Returns the usual seconds of some trials; where a deadline cut them all, of the longest."""
    whole = [row["seconds"] for row in rows if not row["cut"]]
    return float(statistics.median(whole)) if whole else float(max(row["seconds"] for row in rows))


def _epochs(rows: list[dict[str, Any]]) -> int | None:
    known = [row["epochs"] for row in rows if row["epochs"] and not row["cut"]]
    return round(statistics.median(known)) if known else None


def _words(fidelity: Fidelity) -> str:
    limits: Mapping[str, int] = fidelity.to_dict()
    return ", ".join(f"{value:,} {name}" for name, value in limits.items())
