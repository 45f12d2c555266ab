"""Bayesian optimisation finds optima in few trials, repeatably."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_tuner as kt
import pytest

from autorec.run import Run
from autorec.searchers.bayesian import Bayesian
from autorec.searchers.oracles import get_oracle
from autorec.searchers.runner import Job, search


def quadratic(hp: Any) -> float:
    return (hp.Float("x", -2.0, 2.0) - 0.7) ** 2 + 2 * (hp.Float("y", -2.0, 2.0) + 0.4) ** 2


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_optimum_of_a_quadratic_is_found_in_25_trials(tmp_path: Path, seed: int, direction: str) -> None:
    sign = 1 if direction == "min" else -1
    oracle = get_oracle("bayesian", objective=kt.Objective("loss", direction), seed=seed)
    with Run(tmp_path) as run:
        search(
            run,
            oracle=oracle,
            space_build=quadratic,
            evaluate=lambda job: {"metrics": {"loss": sign * quadratic(job.hp)}},
            max_trials=25,
        )
        assert run.best is not None
        assert sign * run.best["score"] < 0.01
        assert run.best["values"]["x"] == pytest.approx(0.7, abs=0.1)
        assert run.best["values"]["y"] == pytest.approx(-0.4, abs=0.1)


def test_replayed_proposals_fit_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def evaluate(job: Job) -> dict[str, Any]:
        return {"metrics": {"loss": quadratic(job.hp)}}

    def run_to(trials: int) -> int:
        oracle = get_oracle("bayesian", objective=kt.Objective("loss", "min"), seed=1)
        with Run(tmp_path) as run:
            search(run, oracle=oracle, space_build=quadratic, evaluate=evaluate, max_trials=trials)
            return len(run.trials())

    assert run_to(15) == 15
    monkeypatch.setattr(Bayesian, "_most_promising", None)
    assert run_to(15) == 15


def test_the_number_of_random_trials_can_be_given() -> None:
    oracle = Bayesian(objective=kt.Objective("loss", "min"), num_initial_points=2, seed=1)
    quadratic(oracle.hyperparameters)
    for trial in (oracle_trial(oracle, str(number)) for number in range(2)):
        oracle.trials[trial.trial_id] = trial
    before = oracle.gpr
    oracle.populate_space("2")
    assert oracle.gpr is not before


def test_a_space_that_has_grown_does_not_stop_it_while_trials_run() -> None:
    oracle = Bayesian(objective=kt.Objective("loss", "min"), num_initial_points=2, seed=1)
    quadratic(oracle.hyperparameters)
    for trial in (oracle_trial(oracle, str(number)) for number in range(3)):
        oracle.trials[trial.trial_id] = trial
    oracle.populate_space("3")
    oracle.hyperparameters.Float("late", 0.0, 1.0)
    oracle.trials["2"].status = "RUNNING"
    oracle.trials["2"].hyperparameters.values["late"] = 0.5
    oracle.ongoing_trials["worker"] = oracle.trials["2"]
    assert set(oracle.populate_space("4")["values"]) == {"x", "y", "late"}


def oracle_trial(oracle: Bayesian, name: str) -> Any:
    hps = oracle.hyperparameters.copy()
    hps.values = oracle._random_values()
    trial = kt.engine.trial.Trial(hps, name, "COMPLETED")
    trial.score = float(name)
    return trial
