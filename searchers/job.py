"""A trial as something to be trained, and how it travels to another process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras_tuner as kt


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
        costs: What is known of its model's costs before it is trained, or None.
    """

    number: int
    hp: Any
    seed: int
    deadline: float | None
    epochs: int | None
    fidelity: dict[str, Any]
    costs: Mapping[str, Any] | None = None

    def to_message(self) -> dict[str, Any]:
        """Returns the job as plain values; other machines have other clocks, so the time that is left is told."""
        return {
            "number": self.number,
            "hyperparameters": self.hp.get_config(),
            "seed": self.seed,
            "left": seconds_until(self.deadline),
            "epochs": self.epochs,
            "fidelity": self.fidelity,
            "costs": self.costs,
        }

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Job:
        """Returns the job that `to_message` wrote."""
        names = ("number", "seed", "epochs", "fidelity", "costs")
        hp = kt.HyperParameters.from_config(message["hyperparameters"])
        return cls(hp=hp, deadline=time_in(message["left"]), **{name: message[name] for name in names})


Evaluate = Callable[[Job], Mapping[str, Any]]


def seconds_until(moment: float | None) -> float | None:
    """Returns the seconds until a `time.monotonic()`, which another clock can count; None of none."""
    return None if moment is None else moment - time.monotonic()


def time_in(seconds: float | None) -> float | None:
    """Returns the `time.monotonic()` in so many seconds; None of none."""
    return None if seconds is None else time.monotonic() + seconds
