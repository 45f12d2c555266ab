"""What a search tries: the oracle's proposals in their order, rebuilt from the journal, written there as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras_tuner as kt

from autorec.errors import ConfigError
from autorec.run import Run
from autorec.searchers.explore import explore
from autorec.searchers.fidelity import Fidelity
from autorec.searchers.oracles import spread
from autorec.searchers.replay import ReplayedOracle, parse_space

_TWO_FIDELITIES = "Leave out the schedule, or take another searcher."


def check_fidelity(oracle: kt.Oracle, low: Mapping[str, int]) -> None:
    """Checks that not both an oracle and a schedule say how cheap trials are.

    Args:
        oracle: The oracle.
        low: Fidelity that a schedule gives to its trials; empty without one.

    Raises:
        ConfigError: If both do.
    """
    if low and isinstance(oracle, kt.oracles.HyperbandOracle):
        allowed = "one that leaves the fidelity to the schedule"
        raise ConfigError("searcher", allowed, type(oracle).__name__, _TWO_FIDELITIES)


@dataclass
class Proposals:
    """Asks the oracle, and knows which trial of the run is which of the oracle's.

    Args:
        run: Open for writing.
        oracle: A fresh oracle of `get_oracle`.
        seed: Seed of the trials.
        low: Fidelity that a schedule gives to the searcher's trials; empty without one.
    """

    run: Run
    oracle: kt.Oracle
    seed: int
    low: dict[str, int]
    order: dict[int, int] = field(default_factory=dict)  # number of a trial -> its place among those the oracle knows

    def __post_init__(self) -> None:
        self._asked = ReplayedOracle(self.oracle)
        check_fidelity(self.oracle, self.low)

    def restore(self, space_build: Callable[[Any], object]) -> None:
        """Brings the oracle to where the journal ends; a new run gets an event `search`.

        Args:
            space_build: Function of `hp` that declares the hyperparameters, called on a new run only.

        Raises:
            ConfigError: If the run was made with another searcher, objective, seed or low fidelity.
        """
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
                self._asked.replay(self._as_asked(event))

    def ask(self) -> dict[str, Any] | None:
        """Returns the event `started` of the next trial, which is in the journal then.

        Returns:
            None if there is nothing to try, until a trial that is running ends.
        """
        place = len(self.order)
        event = self._asked.ask()
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

    def again(self, number: int, fidelity: Fidelity, repetition: int) -> dict[str, Any]:
        """Returns the event `started` of another training of a trial's values, which is in the journal then.

        Args:
            number: The trial.
            fidelity: Fidelity of the training.
            repetition: Number of the seed; 0 has the trial's.
        """
        row = next(row for row in self.run.trials() if row["number"] == number)
        event = {
            "event": "started",
            "number": len(self.run.events("started")),
            "parent": number,
            "values": row["values"],
            "fidelity": fidelity.to_dict(),
            "seed": self.seed_of(number, repetition),
        }
        self.run.append(event)
        return event

    def waiting(self, again: bool) -> list[dict[str, Any]]:
        """Returns the events `started` of trials that were cut short: the searcher's, or further trainings of them."""
        return [event for event in self.run.pending() if ("parent" in event) == again]

    def hyperparameters(self, event: Mapping[str, Any]) -> Any:
        """Returns the hyperparameters that a trial is built with; of the searcher's trials those the oracle holds."""
        if event["number"] in self.order:
            return self._asked.trials[self.order[event["number"]]].hyperparameters
        hp = kt.HyperParameters()
        hp.values = dict(event["values"])
        return hp

    def result(self, number: int, hp: Any) -> dict[str, Any]:
        """Returns the values that a trial was built with, and what the build declared for the first time."""
        return self._asked.result(self.order[number]) if number in self.order else {"values": dict(hp.values)}

    def tell(self, number: int) -> None:
        """Tells the oracle how its trial ended; the event `finished` is the last one in the journal."""
        if number in self.order:
            self._asked.tell(self._as_asked(self.run.events("finished")[-1]))

    def seed_of(self, number: int, repetition: int) -> int:
        """Returns the seed of a repetition of a trial; repetition 0 is the trial itself."""
        more = (repetition,) if repetition else ()
        return spread(self.seed, self.order[number], *more)

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
