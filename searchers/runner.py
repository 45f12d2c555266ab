"""The runner: trains what a searcher asks for, and writes down all that happens."""

from __future__ import annotations

import errno
import gc
import math
import statistics
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras_tuner as kt

from autorec.errors import ConfigError, DataError, SearchAborted, TrialFailed
from autorec.run import Run
from autorec.searchers.alarm import Overrun, alarm
from autorec.searchers.explore import explore
from autorec.searchers.fidelity import Fidelity, Schedule
from autorec.searchers.oracles import spread
from autorec.searchers.raising import Raising
from autorec.searchers.replay import ReplayedOracle, parse_space

# So many trials that all fail of the same cause end a search that has no completed one.
_HOPELESS = 10
_UNAFFORDABLE = 300  # so many models that all are over a budget do so too
_FIRST_SHARE, _SHARE = 2 / 3, 1 / 3  # of the time left, for a trial before and behind the first completed one
_PATIENCE = 1.5  # a trial gets so many times the usual time in any case
_GRACE = 5.0  # seconds behind the end of its share, after which a trial is ended by force
_REFUSED = 10  # so many trials over a budget do not count, for each that counts
_LATE = 0.01  # of the time limit, by which the search may be late for the sake of a trial's grace
_LEAST_LATE = 0.1  # seconds, the same at least

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """What a trial has to be trained with.

    Args:
        number: Number of the trial, from 0.
        hp: Its `keras_tuner.HyperParameters`.
        seed: Its seed, from the search's seed and its number alone.
        deadline: `time.monotonic()` at which it has to end, or None.
        epochs: Most epochs that it may take, or None.
        fidelity: All limits, such as `{"rows": 10000, "epochs": 3}`; empty at full fidelity.
    """

    number: int
    hp: Any
    seed: int
    deadline: float | None
    epochs: int | None
    fidelity: dict[str, Any]


Evaluate = Callable[[Job], Mapping[str, Any]]


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
        keep: Number of best trials whose files are kept.
        emit: Receives the events `trial_started` and `trial_finished`, and a `message` of each part of a schedule.
        schedule: Fidelities of the trials, and what follows them; None trains all at full fidelity, once.

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
    running = _Search(run, oracle, evaluate, limit, deadline, seed, keep, emit or _silent, schedule)
    running.restore(space_build)
    reason = running.go_on()
    run.retain(keep)
    running.check_any_completed()
    return reason


def _silent(event: dict[str, Any]) -> None:
    """Takes events that nobody wants."""


@dataclass
class _Search:
    run: Run
    oracle: kt.Oracle
    evaluate: Evaluate
    max_trials: int | None
    deadline: float | None
    seed: int
    keep: int
    emit: Emit
    schedule: Schedule | None

    def __post_init__(self) -> None:
        self.asked = ReplayedOracle(self.oracle)
        self.order: dict[int, int] = {}  # number of a trial -> its place among those that the oracle knows
        self.trusted = bool(getattr(self.evaluate, "trusted", False))
        self.interruptible = bool(getattr(self.evaluate, "interruptible", True))
        self.begin = time.monotonic()
        self.low: dict[str, int] = {}
        self.raising: Raising | None = None
        if self.schedule is not None:
            self._schedule(self.schedule)

    def _schedule(self, schedule: Schedule) -> None:
        full = getattr(self.evaluate, "full", Fidelity())
        schedule = schedule.settled(full)
        if schedule.reduced and isinstance(self.oracle, kt.oracles.HyperbandOracle):
            raise ConfigError(
                "searcher", "one that leaves the fidelity to the schedule", type(self.oracle).__name__, _TWO_FIDELITIES
            )
        self.low = schedule.low.to_dict()
        self.raising = Raising(
            self.run,
            schedule,
            full,
            self.oracle.objective.direction,
            self.deadline,
            self._train_again,
            self._seed_of,
            lambda text: self.emit({"event": "message", "text": text}),
        )

    # Begin, or begin again

    def restore(self, space_build: Callable[[Any], object]) -> None:
        """Brings the oracle to where the journal ends."""
        begun = self.run.events("search")
        if begun:
            self._check_same(begun[0])
            _reseed(self.oracle, begun[0]["oracle_seed"])
            self.oracle.hyperparameters.merge(parse_space(begun[0]["space"]), overwrite=False)
        else:
            explore(self.oracle, space_build)
            self.run.append(self._identity())
        for event in self.run.events("started", "finished"):
            if event["event"] == "started" and "parent" not in event:
                self.order[event["number"]] = len(self.order)
            if event["number"] in self.order:
                self.asked.replay(self._as_asked(event))

    def _as_asked(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Returns an event with the number by which the oracle knows its trial."""
        return {**event, "number": self.order[event["number"]]}

    def _identity(self) -> dict[str, Any]:
        return {
            "event": "search",
            "searcher": type(self.oracle).__name__,
            "objective": self.oracle.objective.name,
            "direction": self.oracle.objective.direction,
            "seed": self.seed,
            "oracle_seed": self.oracle.seed,
            "space": self.oracle.hyperparameters.get_config()["space"],
            **({"fidelity": self.low} if self.low else {}),
        }

    def _check_same(self, begun: Mapping[str, Any]) -> None:
        mine = self._identity()
        for key in ("searcher", "objective", "direction", "seed"):
            if begun[key] != mine[key]:
                raise ConfigError(
                    key, f"{begun[key]!r} as in the run {self.run.directory}", mine[key], "Use another directory."
                )
        if begun.get("fidelity", {}) != self.low:
            raise ConfigError(
                "schedule",
                f"one with the low fidelity {begun.get('fidelity', {})} as in the run {self.run.directory}",
                self.low,
                "Use another directory.",
            )

    # Trials

    def go_on(self) -> str:
        """Trains trials until there is a reason to stop."""
        for event in self.run.pending():
            if "parent" in event and not self._over():
                end = self._share_again(self.deadline, Fidelity.from_dict(event["fidelity"]))
                self._run_trial(event, self._hyperparameters(event), end)
        if self.raising is not None and self.raising.open:
            self.raising.round()
        while True:
            reason = self._search_part()
            trained = self.raising is not None and self.raising.round()
            if reason != "time_limit" or not trained:
                return reason

    def _search_part(self) -> str:
        """Trains what the oracle asks for."""
        waiting = [event for event in self.run.pending() if "parent" not in event]
        while True:
            event = waiting[0] if waiting else None
            place = self.order[event["number"]] if event else len(self.order)
            counted = place - self._refused()
            if self.max_trials is not None and counted >= self.max_trials:
                return "max_trials"
            if self._too_late():
                return "time_limit"
            if event is None:
                event = self._ask(place)
                if event is None:
                    return "exhausted"
            hp = self.asked.trials[place].hyperparameters
            self._run_trial(event, hp, self._share(last=counted + 1 == self.max_trials))
            waiting = waiting[1:]

    def _refused(self) -> int:
        """Returns how many trials cost too much to be trained: they do not count, up to ten for each that does."""
        found = sum(bool(row.get("refused")) for row in self.run.trials() if row["parent"] is None)
        return found if self.max_trials is None else min(found, _REFUSED * self.max_trials)

    def _ask(self, place: int) -> dict[str, Any] | None:
        event = self.asked.ask()
        if event is None:
            return None
        if self.low:
            if event["fidelity"]:
                raise ConfigError("fidelity", "set by the schedule alone", event["fidelity"], _TWO_FIDELITIES)
            event["fidelity"] = self.low
        event["number"] = len(self.run.events("started"))
        event["seed"] = spread(self.seed, place)
        self.order[event["number"]] = place
        self.run.append(event)
        return event

    def _train_again(self, number: int, fidelity: Fidelity, repetition: int, deadline: float | None) -> None:
        """Trains the values of a finished trial once more."""
        row = next(row for row in self.run.trials() if row["number"] == number)
        event = {
            "event": "started",
            "number": len(self.run.events("started")),
            "parent": number,
            "values": row["values"],
            "fidelity": fidelity.to_dict(),
            "seed": self._seed_of(number, repetition),
        }
        self.run.append(event)
        self._run_trial(event, self._hyperparameters(event), self._share_again(deadline, fidelity))

    def _share_again(self, end: float | None, fidelity: Fidelity) -> float | None:
        """Returns the time at which such a training has to end: one that could hang leaves time for another."""
        if end is None or self.trusted or self.raising is None:
            return end
        now = time.monotonic()
        share = max(_FIRST_SHARE * (end - now), _PATIENCE * (self.raising.seconds(fidelity) or 0.0))
        return min(end, now + share)

    def _seed_of(self, number: int, repetition: int) -> int:
        more = (repetition,) if repetition else ()
        return spread(self.seed, self.order[number], *more)

    def _hyperparameters(self, event: Mapping[str, Any]) -> Any:
        hp = kt.HyperParameters()
        hp.values = dict(event["values"])
        return hp

    def _run_trial(self, event: Mapping[str, Any], hp: Any, deadline: float | None) -> None:
        number = event["number"]
        told = {"number": number, "values": event["values"], "fidelity": event["fidelity"]}
        self.emit({"event": "trial_started", **told, "remaining": self._remaining()})
        begin = time.monotonic()
        finished: dict[str, Any] = {"event": "finished", "number": number}
        finished |= self._outcome(self._job(event, hp, deadline))
        finished |= self.asked.result(self.order[number]) if number in self.order else {"values": dict(hp.values)}
        finished["fidelity"] = event["fidelity"]
        finished["seconds"] = round(time.monotonic() - begin, 3)
        self.run.append(finished)
        if number in self.order:
            self.asked.tell(self._as_asked(self.run.events("finished")[-1]))
        self.run.retain(self.keep, () if self.raising is None else self.raising.contenders())
        self._emit_finished(finished)
        self._check_hopeless()

    def _job(self, event: Mapping[str, Any], hp: Any, deadline: float | None) -> Job:
        return Job(
            number=event["number"],
            hp=hp,
            seed=event["seed"],
            deadline=deadline,
            epochs=event["fidelity"].get("epochs", event["values"].get("fidelity/epochs")),
            fidelity=event["fidelity"],
        )

    def _outcome(self, job: Job) -> dict[str, Any]:
        try:
            with alarm(self._end_by_force(job.deadline)):
                result = dict(self.evaluate(job))
            return {"status": "completed", "score": self._score(result), **result}
        except (Exception, Overrun) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DataError(f"the disk is full: {error}", file=self.run.directory) from error
            failed: dict[str, Any] = {
                "status": "failed",
                "score": None,
                "error": _described(error),
                "traceback": traceback.format_exc(),
            }
            if hasattr(error, "costs"):  # over a budget, before any training
                failed |= {**error.costs, "refused": True}
        if failed["error"].startswith(_OUT_OF_MEMORY):
            gc.collect()  # what the error's frames held
        return failed

    def _score(self, result: Mapping[str, Any]) -> float:
        name = self.oracle.objective.name
        if name not in result["metrics"]:
            raise TrialFailed(f"the objective {name!r} is none of the metrics {sorted(result['metrics'])}")
        score = float(result["metrics"][name])
        if not math.isfinite(score):
            raise TrialFailed(f"the objective {name!r} is {score}")
        return score

    def _emit_finished(self, finished: Mapping[str, Any]) -> None:
        keys = ("number", "status", "score", "seconds", "values", "error")
        best = self.run.best
        self.emit(
            {
                "event": "trial_finished",
                **{key: finished.get(key) for key in keys},
                "best": best["score"] if best else None,
                "remaining": self._remaining(),
            }
        )

    # Ends

    def _remaining(self) -> float | None:
        return None if self.deadline is None else self.deadline - time.monotonic()

    def _over(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _too_late(self) -> bool:
        end = self._search_end()
        return end is not None and end - time.monotonic() <= (self._usual() or 0.0) / 2

    def _search_end(self) -> float | None:
        """Returns the time at which the search part has to end; until there is a result it has half of what is left."""
        if self.deadline is None:
            return None
        reserve = 0.0 if self.raising is None else self.raising.reserve()
        if self._usual() is None:
            reserve = min(reserve, max(self.deadline - time.monotonic(), 0.0) / 2)
        return self.deadline - reserve

    def _usual(self) -> float | None:
        """Returns the usual seconds of the searcher's trials, of those that were not cut if there are any."""
        rows = [row for row in self.run.trials() if row["status"] == "completed" and row["parent"] is None]
        past = [row["seconds"] for row in rows if not row["cut"]] or [row["seconds"] for row in rows]
        return statistics.median(past) if past else None

    def _share(self, last: bool) -> float | None:
        """Returns the time at which the next trial has to end."""
        end, usual = self._search_end(), self._usual()
        if end is None or last or (usual is None and self.trusted):
            return end
        now = time.monotonic()
        share = (end - now) * (_FIRST_SHARE if usual is None else _SHARE)
        return min(end, now + max(share, _PATIENCE * (usual or 0.0)))

    def _end_by_force(self, deadline: float | None) -> float | None:
        """Returns the time at which a trial is ended that has not come back by its deadline.

        One that is trusted to come back is let go on to the end of the time limit, and beyond it without a result.
        """
        if deadline is None or self.deadline is None or not self.interruptible:
            return None
        late = max(_LATE * (self.deadline - self.begin), _LEAST_LATE)
        if self._usual() is None:
            return None if self.trusted else deadline + _GRACE
        if self.trusted:
            return self.deadline + late
        return deadline + min(_GRACE, max(self.deadline + late - deadline, _LEAST_LATE))

    def _check_hopeless(self) -> None:
        rows = self.run.trials()
        if any(row["status"] == "completed" for row in rows):
            return
        refused = [row for row in rows if row.get("refused")]
        # Those that ran over their share do not count: the time limit ends them all.
        trained = [row for row in rows if not row.get("refused") and _cause(row) != _OVERRUN]
        if len(trained) >= _HOPELESS and len({_cause(row) for row in trained}) == 1:
            raise SearchAborted(f"the first {len(trained)} trials all failed: {_cause(trained[0])}")
        if len(refused) >= _UNAFFORDABLE:
            raise SearchAborted(f"the first {len(rows)} models all cost more than they may: {_cause(rows[-1])}")

    def check_any_completed(self) -> None:
        """Raises the first cause if there are trials and none was completed."""
        rows = self.run.trials()
        if rows and all(row["status"] == "failed" for row in rows):
            raise SearchAborted(f"all {len(rows)} trials failed; trial {rows[0]['number']}: {_cause(rows[0])}")


_OUT_OF_MEMORY = "out of memory: "
_OVERRUN = "TrialFailed: ran over its share of the time and was ended"
_TWO_FIDELITIES = "Leave out the schedule, or take another searcher."


def _described(error: BaseException) -> str:
    """Returns the cause of a failed trial."""
    if isinstance(error, Overrun):
        return _OVERRUN
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return _OUT_OF_MEMORY + text
    return text


def _cause(row: Mapping[str, Any]) -> str:
    return str(row["error"]).strip().splitlines()[0]


def _reseed(oracle: kt.Oracle, seed: int) -> None:
    """Gives an oracle that was made without a seed the one of the run."""
    if oracle.seed == seed:
        return
    import numpy as np

    oracle.seed = oracle._seed_state = seed
    if hasattr(oracle, "_random_state"):
        oracle._random_state = np.random.RandomState(seed)
    if hasattr(oracle, "_make_gpr"):
        oracle.gpr = oracle._make_gpr()
