"""The runner: has trained what a searcher asks for, and writes down all that happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras_tuner as kt

from autorec.run import Run
from autorec.searchers.executor import Ended, Executor, Sequential
from autorec.searchers.fidelity import Fidelity, Schedule
from autorec.searchers.hopeless import check_any_completed, check_hopeless
from autorec.searchers.job import Evaluate, Job
from autorec.searchers.proposals import Proposals
from autorec.searchers.raising import Again, Raising
from autorec.searchers.replay import parse_space
from autorec.searchers.shares import Shares

__all__ = ["Emit", "Evaluate", "Job", "search"]

_REFUSED = 10  # so many trials over a budget do not count, for each that counts

Emit = Callable[[dict[str, Any]], None]


def search(
    run: Run,
    *,
    oracle: kt.Oracle,
    space_build: Callable[[Any], object],
    evaluate: Evaluate,
    max_trials: int | None = None,
    deadline: float | None = None,
    seed: int = 0,
    keep: int = 5,
    emit: Emit | None = None,
    schedule: Schedule | None = None,
    executor: Executor | None = None,
    lean: Callable[[], int | None] | None = None,
) -> str:
    """Runs a search, or goes on with the one in `run`.

    The journal gets an event `started` before and `finished` behind each trial. Called on a run that has some, the
    oracle is rebuilt from them, trials that had started are trained again with the same number, values and seed, and
    the next proposals are those of a search that was never disturbed.

    With a schedule the searcher's trials have its low fidelity. The best of them are then raised and repeated over
    seeds; these trainings have an event `started` with the `parent` whose values they take, and the oracle does not
    hear of them. With a time limit the search part ends early enough for them, and goes on if they end early.

    With a time limit a trial has to end within its share of the time: a third of what is left, or one and a half
    times the usual time if that is more; two thirds before there is a completed trial. Training ends by itself at
    `Job.deadline`; what has not come back 5 seconds behind it is ended by a signal, if the search runs in the main
    thread, and becomes a failed row. Without a time limit no trial is ended.

    Args:
        run: Open for writing.
        oracle: A fresh oracle of `get_oracle`.
        space_build: Function of `hp` that declares the hyperparameters, called on a new run only.
        evaluate: Trains a job and returns a dict with `metrics` (the objective among them) and, where it has them,
            `history`, `best_epoch`, `epochs`, `parameters`, `cut` (True if the deadline cut it). What it raises
            becomes a failed row of the leaderboard. It may have the attributes `full`, a `Fidelity` of what there is at
            full fidelity, and `trusted`, True if it always comes back: the first trial may then use all of the time,
            and `interruptible`, False if no trial may be ended by force.
        max_trials: Number of trials in all, those of earlier calls included; None takes the oracle's. Trainings of a
            schedule behind the search part come on top, and so do trials that fail by an error with `costs`, which says
            what a model costs that is over a budget.
        deadline: `time.monotonic()` at which to end; no trial starts that has less than half of the usual time.
        seed: Seed of the trials.
        keep: Number of best trials whose files are kept; with `lean` also those that it may choose.
        emit: Receives the events `trial_started` and `trial_finished`, and a `message` of each part of a schedule.
        schedule: Fidelities of the trials, and what follows them; None trains all at full fidelity, once.
        lean: Chooses whose values are repeated over seeds in place of the finalists, see `Raising`.

    Returns:
        Why it ended: `max_trials`, `time_limit` or `exhausted` (nothing new to try).

    Raises:
        SearchAborted: If no trial can be trained, with the cause.
        ConfigError: If the run was made with another searcher, objective, seed or low fidelity, or both searcher and
            schedule set a fidelity.
        DataError: If the disk is full.
    """
    limit = oracle.max_trials if max_trials is None else max_trials
    oracle.max_trials = None  # it would count what is over a budget
    executor = executor or Sequential(evaluate, oracle.objective.name, run.directory)
    full = getattr(evaluate, "full", Fidelity())
    schedule = None if schedule is None else schedule.settled(full)
    proposals = Proposals(run, oracle, seed, {} if schedule is None else schedule.low.to_dict())
    shares = Shares(
        run,
        deadline,
        bool(getattr(evaluate, "trusted", False)),
        bool(getattr(evaluate, "interruptible", True)),
    )
    running = _Search(run, proposals, executor, shares, limit, keep, emit or _silent)
    if schedule is not None:
        running.raise_by(schedule, full, lean)
    proposals.restore(space_build)
    reason = running.go_on()
    run.retain(keep, () if lean is None or running.raising is None else running.raising.contenders())
    check_any_completed(run.trials())
    return reason


def _silent(event: dict[str, Any]) -> None:
    """Takes events that nobody wants."""


@dataclass
class _Search:
    run: Run
    proposals: Proposals
    executor: Executor
    shares: Shares
    max_trials: int | None
    keep: int
    emit: Emit
    raising: Raising | None = None
    running: dict[int, tuple[Mapping[str, Any], Any]] = field(default_factory=dict)  # number -> `started`, hp

    def raise_by(self, schedule: Schedule, full: Fidelity, lean: Callable[[], int | None] | None) -> None:
        """Has the best trials trained at the steps of a schedule behind the search part."""
        self.raising = self.shares.raising = Raising(
            self.run,
            schedule,
            full,
            self.proposals.oracle.objective.direction,
            self.shares.deadline,
            self._train_again,
            self.proposals.seed_of,
            lambda text: self.emit({"event": "message", "text": text}),
            self.executor.slots,
            lean,
            self.max_trials is None,
        )

    def go_on(self) -> str:
        """Trains trials until there is a reason to stop."""
        for event in self.proposals.waiting(again=True):
            if not self.shares.over():
                end = self.shares.again(self.shares.deadline, Fidelity.from_dict(event["fidelity"]))
                self._start(event, end)
                self._take(self.executor.slots - 1)
        self._take()
        if self.raising is not None and self.raising.open:
            self.raising.round()
        while True:
            reason = self._search_part()
            trained = self.raising is not None and self.raising.round()
            if reason != "time_limit" or not trained:
                return reason

    # Parts

    def _search_part(self) -> str:
        """Trains what the oracle asks for."""
        waiting = deque(self.proposals.waiting(again=False))
        while True:
            counted = self._counted(waiting)
            reason = self._reason(counted)
            event = None
            if reason is None:
                event = waiting.popleft() if waiting else self.proposals.ask()
            if event is not None:
                self._start(event, self.shares.next(self._is_last(counted)))
                self._take(self.executor.slots - 1)
            elif self.running:
                self._take(len(self.running) - 1)  # its result may be a reason to go on
            else:
                return reason or "exhausted"

    def _reason(self, counted: int) -> str | None:
        if self.max_trials is not None and counted >= self.max_trials:
            return "max_trials"
        return "time_limit" if self.shares.too_late() else None

    def _is_last(self, counted: int) -> bool:
        """Returns whether no other trial waits for the one that begins, nor for its room before there is a result."""
        beside = self.executor.slots if self.shares.usual() is not None else 1
        return self.max_trials is not None and counted + beside >= self.max_trials

    def _counted(self, waiting: Iterable[Mapping[str, Any]]) -> int:
        """Returns how many trials count that were begun, without those that wait to be trained again.

        Those that cost too much to be trained do not, up to ten for each that does.
        """
        begun = len(self.proposals.order) - sum(1 for _ in waiting)
        found = sum(bool(row.get("refused")) for row in self.run.trials() if row["parent"] is None)
        return begun - (found if self.max_trials is None else min(found, _REFUSED * self.max_trials))

    def _train_again(self, trainings: Iterable[Again]) -> None:
        """Trains values of finished trials once more; the next one is looked for when there is room for it."""
        for number, fidelity, repetition, end in trainings:
            self._start(self.proposals.again(number, fidelity, repetition), self.shares.again(end, fidelity))
            self._take(self.executor.slots - 1)
        self._take()

    # Trials

    def _start(self, event: Mapping[str, Any], deadline: float | None) -> None:
        number, hp = event["number"], self.proposals.hyperparameters(event)
        told = {"number": number, "values": event["values"], "fidelity": event["fidelity"]}
        self.emit({"event": "trial_started", **told, "remaining": self.shares.remaining()})
        epochs = event["fidelity"].get("epochs", event["values"].get("fidelity/epochs"))
        job = Job(number, hp, event["seed"], deadline, epochs, event["fidelity"])
        self.running[number] = event, hp
        self.executor.start(job, self.shares.by_force(deadline))

    def _take(self, most: int = 0) -> None:
        """Takes results until at most so many trials run."""
        while len(self.running) > most:
            self._finish(self.executor.wait())

    def _finish(self, ended: Ended) -> None:
        event, hp = self.running.pop(ended.number)
        if ended.hyperparameters is not None:  # another process built the model
            hp.merge(parse_space(ended.hyperparameters["space"]), overwrite=False)
            hp.values = dict(ended.hyperparameters["values"])
        finished: dict[str, Any] = {"event": "finished", "number": ended.number}
        finished |= ended.outcome | self.proposals.result(ended.number, hp)
        finished |= {"fidelity": event["fidelity"], "seconds": round(ended.seconds, 3)}
        self.run.append(finished)
        self.proposals.tell(ended.number)
        self.run.retain(self.keep, () if self.raising is None else self.raising.contenders())
        self._emit_finished(finished)
        check_hopeless(self.run.trials())

    def _emit_finished(self, finished: Mapping[str, Any]) -> None:
        keys = ("number", "status", "score", "seconds", "values", "error")
        best = self.run.best
        self.emit(
            {
                "event": "trial_finished",
                **{key: finished.get(key) for key in keys},
                "best": best["score"] if best else None,
                "remaining": self.shares.remaining(),
            }
        )
