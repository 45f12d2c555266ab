"""Trials in several processes at a time, wherever these run: who trains what, and what is done when one is lost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from autorec.errors import DataError, SearchAborted
from autorec.run import Run
from autorec.searchers.executor import Ended
from autorec.searchers.job import Job, seconds_until
from autorec.searchers.outcome import OVERRUN, failed, lost
from autorec.searchers.transport import cannot_load
from autorec.searchers.trial_files import deliver

_TRIES = 2  # a trial whose process is lost is begun so many times
_POLL = 0.5  # seconds
_SILENT = 120.0  # seconds without a sign of life, behind which a process is hung
_LOADING = 600.0  # seconds in which a process has to be ready
_PATIENCE = 60.0  # seconds behind its deadline, in which a process is waited for if it may give the only result
_LATE = 1.0  # seconds behind its forced end, in which a trial may still end by itself
_STARTS = 3  # processes in a row that are lost before they are ready end the search
_GROWTH, _LEAST_GROWTH = 1.5, 256 * 2**20  # of its memory behind its first trial, with which a process is renewed

Message = tuple[str, Any]


class Seat(Protocol):
    """A process that trains one trial at a time, see `TrialProcess`.

    Args:
        placed: Whether a machine has taken it, and it is expected to answer.
    """

    placed: bool

    def send(self, message: dict[str, Any]) -> None:
        """Sends a job."""

    def close(self) -> None:
        """Ends the process at once."""


S = TypeVar("S", bound=Seat)


@dataclass(eq=False)
class Task:
    """A trial that was started: its job, when it is ended by force, and how many processes it has lost."""

    job: Job
    end: float | None
    lost: int = 0
    begin: float | None = None


@dataclass(eq=False)
class Place(Generic[S]):
    """One of the processes of a pool, and what is known of it."""

    slot: int
    seat: S
    task: Task | None = None
    ready: bool = False
    silent: float = 0.0  # seconds
    age: float = 0.0  # seconds
    memory: int | None = None  # bytes behind its first trial


class Pool(Generic[S]):
    """Trains trials in other processes; a part of an executor.

    A process that dies, does not answer or has to be ended takes no other one with it. The trial it had is begun once
    more in a fresh process; the second time it is a failed row. A process whose memory has grown is renewed.

    Args:
        run: Where models of trials go; open for writing.
        slots: Number of processes.
        emit: Receives the events of trainings, and a message of each process that is lost.
        costs: Returns what a job's model costs, measured in this process, or None; what it raises fails the trial.
    """

    def __init__(
        self,
        run: Run,
        slots: int,
        emit: Callable[[dict[str, Any]], None],
        costs: Callable[[Job], dict[str, Any] | None] | None = None,
    ) -> None:
        self.slots = slots
        self._run, self._emit, self._costs = run, emit, costs
        self._places: list[Place[S]] = []
        self._queue: deque[Task] = deque()
        self._ended: deque[Ended] = deque()
        self._failed_starts = 0

    # What a kind of pool has of its own

    def open(self, slot: int) -> S:
        """Begins the process of a slot, from 0; does not wait until it is ready."""
        raise TypeError(f"{type(self).__name__} opens no processes")

    def receive(self, seats: Sequence[S], seconds: float) -> list[tuple[S, Message]]:
        """Returns messages that have come, those of `TrialProcess` and `died` with a cause; waits for a first one."""
        raise TypeError(f"{type(self).__name__} receives nothing")

    # What the runner calls

    def begin(self) -> None:
        """Begins the processes, so that they are ready when there is something to train."""
        taken = {place.slot for place in self._places}
        for slot in range(self.slots):
            if slot not in taken:
                self._places.append(Place(slot, self.open(slot)))

    def start(self, job: Job, end: float | None) -> None:
        """Begins a trial as soon as a process is free."""
        try:
            costs = None if self._costs is None else self._costs(job)
        except Exception as error:
            self._ended.append(Ended(job.number, failed(error), 0.0))
            return
        self._queue.append(Task(_with_costs(job, costs), end))

    def wait(self) -> Ended:
        """Returns a trial that ended; its files are in the run."""
        while not self._ended:
            self.begin()
            self._assign()
            began = time.monotonic()
            places = {id(place.seat): place for place in self._places}
            for seat, (word, content) in self.receive([place.seat for place in self._places], self._patience()):
                place = places[id(seat)]
                place.silent = 0.0
                if place in self._places:
                    getattr(self, f"_on_{word}")(place, content)
            self._check(min(time.monotonic() - began, 2 * _POLL))
        return self._ended.popleft()

    def _deliver(self, number: int, files: Any) -> None:
        try:
            deliver(files, self._run.trial_directory(number))
        except OSError as error:
            raise DataError(f"the model of trial {number} cannot be kept: {error}", file=self._run.directory) from error

    def close(self) -> None:
        """Ends all processes at once."""
        for place in self._places:
            place.seat.close()
        self._places = []

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Halts what runs beside this process for as long as something is measured, where that is possible."""
        yield

    # What comes from a process

    def _on_beat(self, place: Place[S], content: None) -> None:
        """A process is alive."""

    def _on_event(self, place: Place[S], content: dict[str, Any]) -> None:
        self._emit(content)

    def _on_ready(self, place: Place[S], content: None) -> None:
        place.ready, self._failed_starts = True, 0

    def _on_broken(self, place: Place[S], cause: str) -> None:
        raise cannot_load(cause)

    def _on_full(self, place: Place[S], error: Exception) -> None:
        raise error

    def _on_ended(self, place: Place[S], content: dict[str, Any]) -> None:
        place.task = None
        ended = Ended(content["number"], content["outcome"], content["seconds"], content["hyperparameters"])
        if content["files"] is not None:
            self._deliver(ended.number, content["files"])  # before its process may go, and its folder with it
        self._ended.append(ended)
        place.memory = place.memory or content["memory"]
        grown = content["memory"] > max(_GROWTH * place.memory, place.memory + _LEAST_GROWTH)
        if grown or ended.outcome.get("error") == OVERRUN:  # what was interrupted anywhere may hold anything
            self._give_up(place)

    def _on_died(self, place: Place[S], cause: str) -> None:
        self._lose(place, cause)

    # Processes and their trials

    def _assign(self) -> None:
        for place in self._places:
            if self._queue and place.ready and place.task is None:
                place.task = task = self._queue.popleft()
                task.begin = time.monotonic()
                place.seat.send({**task.job.to_message(), "end": seconds_until(task.end)})

    def _patience(self) -> float:
        """Returns the seconds until something has to be looked at."""
        ends = [seconds_until(task.end) for task in self._tasks() if task.end is not None]
        return max(0.0, min([_POLL, *(left + _LATE for left in ends if left is not None)]))

    def _tasks(self) -> list[Task]:
        return [*self._queue, *(place.task for place in self._places if place.task is not None)]

    def _check(self, seconds: float) -> None:
        """Ends what is over its time, and gives up processes that do not answer."""
        for place in list(self._places):
            if place.seat.placed:
                place.silent += seconds
                place.age += seconds
            if place.task is not None and _over(place.task, _LATE):
                self._fail(place.task, OVERRUN)
                self._give_up(place)
            elif place.silent > _SILENT:
                self._lose(place, f"its process did not answer for {_SILENT:.0f} s")
            elif not place.ready and place.age > _LOADING:
                self._lose(place, f"its process was not ready within {_LOADING:.0f} s")
        for task in [task for task in self._queue if _behind(task)]:
            if self._hope(task):
                continue
            self._queue.remove(task)
            self._fail(task, OVERRUN)

    def _hope(self, task: Task) -> bool:
        """Returns whether a trial that waits is all that may give the search a result: it is then begun too late."""
        if task is not self._queue[0] or self._ended or any(place.task is not None for place in self._places):
            return False
        if not any(place.seat.placed for place in self._places) or _behind(task, _PATIENCE):
            return False  # nobody is there who could begin it
        return not any(row["status"] == "completed" for row in self._run.trials())

    def _lose(self, place: Place[S], cause: str) -> None:
        """Gives up a process that is lost; its trial is begun once more, or fails."""
        self._give_up(place)
        if not place.ready and not any(other.ready for other in self._places):
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                raise SearchAborted(f"no process to train trials in can be started: {cause}")
        task = place.task
        if task is None:
            return
        task.lost += 1
        if task.lost < _TRIES:
            self._emit({"event": "message", "text": f"trial {task.job.number}: {cause}; it is begun once more"})
            self._queue.appendleft(task)
        else:
            self._fail(task, f"TrialFailed: {cause}, {task.lost} times")

    def _fail(self, task: Task, cause: str) -> None:
        seconds = 0.0 if task.begin is None else time.monotonic() - task.begin
        self._ended.append(Ended(task.job.number, lost(cause), seconds))

    def _give_up(self, place: Place[S]) -> None:
        self._places.remove(place)
        place.seat.close()


def _over(task: Task, late: float) -> bool:
    left = seconds_until(task.end)
    return left is not None and left < -late


def _behind(task: Task, late: float = 0.0) -> bool:
    """Returns whether a trial that waits for a process has no time left, by so many seconds."""
    left = seconds_until(task.job.deadline)
    return left is not None and left < -late


def _with_costs(job: Job, costs: dict[str, Any] | None) -> Job:
    return job if costs is None else replace(job, costs=costs)
