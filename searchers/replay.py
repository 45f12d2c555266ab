"""An oracle whose every question and answer is an event of the journal, so that it can be rebuilt from there."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import keras_tuner as kt

from autorec.errors import ConfigError
from autorec.training.fidelity import PREFIX, read


class ReplayedOracle:
    """Asks a `keras_tuner.Oracle` and tells it results, live or from the events of an earlier process.

    Several trials may run at a time; the oracle takes each for that of another tuner.

    Replaying makes the calls of the first time in their order; an oracle with a method `replay(values, seed_state)`
    is told its proposal instead. Where a proposal differs from the recorded one (an oracle without a seed), the
    recorded values win.

    Args:
        oracle: An oracle of `get_oracle`.
    """

    def __init__(self, oracle: kt.Oracle) -> None:
        self.oracle = oracle
        self.trials: dict[int, Any] = {}
        self._exhausted: int | None = None  # size of the space in which the oracle found nothing new to try

    def ask(self) -> dict[str, Any] | None:
        """Returns the event `started` of the next trial.

        Returns:
            None when the oracle has nothing more to try, or wants to hear of trials that run before it goes on. Where
            it has nothing more it is not asked again, unless its space grows.
        """
        if self._exhausted == len(self.oracle.hyperparameters.space):
            return None
        trial = self._create()
        if trial is None:
            return None
        values = dict(trial.hyperparameters.values)
        return {"event": "started", "number": len(self.trials) - 1, **self._recorded(values), **self._state()}

    def replay(self, event: Mapping[str, Any]) -> None:
        """Makes the call that led to an event `started`, or tells an event `finished`."""
        if event["event"] == "finished":
            self.tell(event)
            return
        values = event.get("asked", event["values"])
        if hasattr(self.oracle, "replay"):
            self.oracle.replay(values, event["seed_state"])
        trial = self._create()
        if trial is None:
            raise ConfigError(
                "searcher", "the one that the run was made with", type(self.oracle).__name__, "It ends earlier."
            )
        self.oracle._seed_state = event["seed_state"]  # whatever questions without an answer left behind
        if trial.hyperparameters.values != values:
            trial.hyperparameters.values = dict(values)
            self.oracle._record_values(trial)

    def result(self, number: int) -> dict[str, Any]:
        """Returns what the build added to trial `number`, as entries of its event `finished`."""
        hps = self.trials[number].hyperparameters
        known = self.oracle.hyperparameters
        new = kt.HyperParameters()
        new.merge([hp for hp in hps.space if not known._exists(hp.name, hp.conditions)])
        found = {**self._recorded(dict(hps.values)), "space": new.get_config()["space"]}
        if hasattr(self.oracle, "ranker_correlation"):
            found["ranker"] = self.oracle.ranker_correlation
        return found

    def tell(self, event: Mapping[str, Any]) -> None:
        """Tells the oracle how a trial ended."""
        trial = self.trials[event["number"]]
        hps = trial.hyperparameters
        hps.merge(parse_space(event["space"]), overwrite=False)
        hps.values = dict(event.get("asked", event["values"]))
        if event["status"] == "completed":
            self.oracle.update_trial(trial.trial_id, self._metrics(event))
        trial.status = "COMPLETED" if event["status"] == "completed" else "FAILED"
        trial.message = event.get("error")
        self.oracle.end_trial(trial)

    def _metrics(self, event: Mapping[str, Any]) -> dict[str, float]:
        """Returns the objective and, where the event has them, the operations of a row (less is better)."""
        found: dict[str, float] = {self.oracle.objective.name: event["score"]}
        if event.get("operations") is not None:
            found.setdefault("operations", event["operations"])
        return found

    def _create(self) -> Any:
        trial = self.oracle.create_trial(f"trial-{len(self.trials)}")
        if trial.status != "RUNNING":
            if trial.status == "STOPPED":
                self._exhausted = len(self.oracle.hyperparameters.space)
            return None
        self.trials[len(self.trials)] = trial
        return trial

    def _state(self) -> dict[str, Any]:
        return {"seed_state": self.oracle._seed_state}

    def _recorded(self, values: dict[str, Any]) -> dict[str, Any]:
        """Splits what the oracle asked for into values and fidelity; Hyperband's names become `fidelity/epochs`."""
        shown = {name: value for name, value in values.items() if not name.startswith("tuner/")}
        if "tuner/epochs" in values:
            shown[f"{PREFIX}epochs"] = values["tuner/epochs"]
        fidelity = read(values)
        if fidelity.get("epochs") == getattr(self.oracle, "max_epochs", None):
            fidelity.pop("epochs", None)
        more = {} if shown == values else {"asked": values}
        return {"values": shown, **more, "fidelity": fidelity}


def parse_space(configs: list[dict[str, Any]]) -> list[Any]:
    """Returns the hyperparameters that `HyperParameters.get_config()["space"]` describes."""
    # KerasTuner puts objects into the configurations that it reads.
    return kt.HyperParameters.from_config({"space": copy.deepcopy(configs), "values": {}}).space
