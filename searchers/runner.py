"""The runner: trains what a searcher asks for, and writes down all that happens."""

from __future__ import annotations

import errno
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
from autorec.searchers.explore import explore
from autorec.searchers.oracles import spread
from autorec.searchers.replay import ReplayedOracle, parse_space

# So many trials that all fail of the same cause end a search that has no completed one.
_HOPELESS = 10

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """What a trial has to be trained with.

    Args:
        number: Number of the trial, from 0.
        hp: Its `keras_tuner.HyperParameters`.
        seed: Its seed, from the search's seed and its number alone.
        deadline: `time.monotonic()` at which it has to end, or None.
        epochs: Most epochs that the searcher allows, or None.
        fidelity: Other limits that the searcher sets, such as `{"rows": 10000}`; empty at full fidelity.
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
) -> str:
    """Runs a search, or goes on with the one in `run`.

    The journal gets an event `started` before and `finished` behind each trial. Called on a run that has some, the
    oracle is rebuilt from them, trials that had started are trained again with the same number, values and seed, and
    the next proposals are those of a search that was never disturbed.

    Args:
        run: Open for writing.
        oracle: A fresh oracle of `get_oracle`.
        space_build: Function of `hp` that declares the hyperparameters, called on a new run only.
        evaluate: Trains a job and returns a dict with `metrics` (the objective among them) and, where it has them,
            `history`, `best_epoch`, `epochs`, `parameters`, `cut` (True if the deadline cut it). What it raises
            becomes a failed row of the leaderboard.
        max_trials: Number of trials in all, those of earlier calls included; None takes the oracle's.
        deadline: `time.monotonic()` at which to end; no trial starts that has less than half of the usual time.
        seed: Seed of the trials.
        keep: Number of best trials whose files are kept.
        emit: Receives the events `trial_started` and `trial_finished`.

    Returns:
        Why it ended: `max_trials`, `time_limit` or `exhausted` (nothing new to try).

    Raises:
        SearchAborted: If no trial can be trained, with the cause.
        ConfigError: If the run was made with another searcher, objective or seed.
        DataError: If the disk is full.
    """
    limit = oracle.max_trials if max_trials is None else max_trials
    running = _Search(run, oracle, evaluate, limit, deadline, seed, keep, emit or _silent)
    running.restore(space_build)
    reason = running.go_on()
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

    def __post_init__(self) -> None:
        self.asked = ReplayedOracle(self.oracle)

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
            self.asked.replay(event)

    def _identity(self) -> dict[str, Any]:
        return {
            "event": "search",
            "searcher": type(self.oracle).__name__,
            "objective": self.oracle.objective.name,
            "direction": self.oracle.objective.direction,
            "seed": self.seed,
            "oracle_seed": self.oracle.seed,
            "space": self.oracle.hyperparameters.get_config()["space"],
        }

    def _check_same(self, begun: Mapping[str, Any]) -> None:
        mine = self._identity()
        for key in ("searcher", "objective", "direction", "seed"):
            if begun[key] != mine[key]:
                raise ConfigError(
                    key, f"{begun[key]!r} as in the run {self.run.directory}", mine[key], "Use another directory."
                )

    # Trials

    def go_on(self) -> str:
        """Trains trials until there is a reason to stop."""
        waiting = self.run.pending()
        while True:
            event = waiting[0] if waiting else None
            number = event["number"] if event else len(self.asked.trials)
            if self.max_trials is not None and number >= self.max_trials:
                return "max_trials"
            if self._too_late():
                return "time_limit"
            if event is None:
                event = self.asked.ask()
                if event is None:
                    return "exhausted"
                event["seed"] = spread(self.seed, number)
                self.run.append(event)
            self._run_trial(event)
            waiting = waiting[1:]

    def _run_trial(self, event: Mapping[str, Any]) -> None:
        number = event["number"]
        self.emit(
            {"event": "trial_started", "number": number, "values": event["values"], "remaining": self._remaining()}
        )
        begin = time.monotonic()
        finished: dict[str, Any] = {"event": "finished", "number": number}
        finished |= self._outcome(self._job(event))
        finished |= self.asked.result(number)
        finished["seconds"] = round(time.monotonic() - begin, 3)
        self.run.append(finished)
        self.asked.tell(self.run.events("finished")[-1])
        self.run.retain(self.keep)
        self._emit_finished(finished)
        self._check_hopeless()

    def _job(self, event: Mapping[str, Any]) -> Job:
        return Job(
            number=event["number"],
            hp=self.asked.trials[event["number"]].hyperparameters,
            seed=event["seed"],
            deadline=self.deadline,
            epochs=event["values"].get("fidelity/epochs"),
            fidelity=event["fidelity"],
        )

    def _outcome(self, job: Job) -> dict[str, Any]:
        try:
            result = dict(self.evaluate(job))
            return {"status": "completed", "score": self._score(result), **result}
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DataError(f"the disk is full: {error}", file=self.run.directory) from error
            return {
                "status": "failed",
                "score": None,
                "error": f"{type(error).__name__}: {error}",
                "traceback": traceback.format_exc(),
            }

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

    def _too_late(self) -> bool:
        remaining = self._remaining()
        if remaining is None:
            return False
        past = [row["seconds"] for row in self.run.trials() if row["status"] == "completed" and not row["cut"]]
        return remaining <= (statistics.median(past) / 2 if past else 0.0)

    def _check_hopeless(self) -> None:
        rows = self.run.trials()
        if len(rows) < _HOPELESS or any(row["status"] == "completed" for row in rows):
            return
        if len({_cause(row) for row in rows}) == 1:
            raise SearchAborted(f"the first {len(rows)} trials all failed: {_cause(rows[0])}")

    def check_any_completed(self) -> None:
        """Raises the first cause if there are trials and none was completed."""
        rows = self.run.trials()
        if rows and all(row["status"] == "failed" for row in rows):
            raise SearchAborted(f"all {len(rows)} trials failed; trial {rows[0]['number']}: {_cause(rows[0])}")


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
