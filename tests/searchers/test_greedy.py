"""Greedy search resamples one group around the best trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.run import Run
from autorec.searchers.greedy import Greedy, group_of
from autorec.searchers.oracles import get_oracle
from autorec.searchers.runner import search
from autorec.searchers.testing import OBJECTIVE, planted_space, planted_trial


def searched(folder: Path, searcher: Any, seed: int, trials: int = 25) -> list[dict[str, Any]]:
    oracle = get_oracle(searcher, objective=OBJECTIVE, seed=seed)
    with Run(folder) as run:
        search(run, oracle=oracle, space_build=planted_space, evaluate=planted_trial, max_trials=trials, seed=seed)
        return run.trials()


def oracle_of(*names: str) -> Greedy:
    hps = kt.HyperParameters()
    for name in names:
        hps.Float(name, 0.0, 1.0)
    return Greedy(objective=OBJECTIVE, hyperparameters=hps, seed=1)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("train/learning_rate", "optimisation"),
        ("training_set", "architecture"),
        ("field_embedding/dim", "preprocess"),
        ("numeric_embedding_1/kind", "preprocess"),
        ("mlp/units", "architecture"),
        ("interaction_0/type", "hyper"),
    ],
)
def test_a_hyperparameter_belongs_to_the_group_of_its_name(name: str, group: str) -> None:
    assert group_of(name, {"interaction_0/type"}) == group


def test_the_first_trial_has_the_default_values(tmp_path: Path) -> None:
    hps = kt.HyperParameters()
    planted_space(hps)
    assert searched(tmp_path, "greedy", 1, trials=1)[0]["values"] == hps.values


def test_a_trial_differs_from_the_best_before_it_in_one_group_alone(tmp_path: Path) -> None:
    rows = searched(tmp_path, "greedy", 3)
    for place in range(1, len(rows)):
        best = max(rows[:place], key=lambda row: row["score"])["values"]
        mine = rows[place]["values"]
        changed = {name for name in {*best, *mine} if best.get(name) != mine.get(name)}
        groups = {group_of(name, {"kind"}) for name in changed if not ("kind" in changed and "/" in name)}
        assert len(groups) == 1, changed


def test_inactive_hyperparameters_are_left_out(tmp_path: Path) -> None:
    for row in searched(tmp_path, "greedy", 1):
        prefix = row["values"]["kind"]
        assert all(name.startswith(prefix) for name in row["values"] if name.startswith(("flat/", "deep/")))


def test_groups_are_drawn_by_the_square_of_their_size() -> None:
    oracle = oracle_of("train/a", "train/b", "mlp/c")
    best = oracle.hyperparameters.copy()
    oracle.trials["0"] = trial = kt.engine.trial.Trial(best, "0", "COMPLETED")
    trial.score = 1.0
    drawn = [oracle.populate_space("1")["values"]["mlp/c"] == best.values["mlp/c"] for _ in range(1000)]
    assert np.mean(drawn) == pytest.approx(4 / 5, abs=0.05)


def test_a_group_without_anything_new_makes_room_for_the_next() -> None:
    oracle = oracle_of("mlp/c")
    oracle.hyperparameters.Fixed("train/a", 1)
    oracle.hyperparameters.Choice("train/b", [5])
    oracle.trials["0"] = trial = kt.engine.trial.Trial(oracle.hyperparameters.copy(), "0", "COMPLETED")
    trial.score = 1.0
    oracle._record_values(trial)
    assert oracle.groups(trial.hyperparameters) == {"architecture": ["mlp/c"], "optimisation": ["train/b"]}
    values = [oracle.populate_space("1")["values"] for _ in range(20)]
    assert all(found["train/b"] == 5 and found["mlp/c"] != 0.0 for found in values)


def test_a_value_of_the_same_name_under_another_condition_is_not_kept() -> None:
    hps = kt.HyperParameters()
    hps.Choice("kind", ["a", "b"])
    hps.Int("dim", 1, 2, parent_name="kind", parent_values=["a"])
    hps.Int("dim", 8, 9, parent_name="kind", parent_values=["b"])
    oracle = Greedy(objective=OBJECTIVE, hyperparameters=hps, seed=1)
    values = [oracle._resample(hps, {"kind"}) for _ in range(20)]
    assert {found["kind"] for found in values} == {"a", "b"}
    assert all((found["dim"] > 2) == (found["kind"] == "b") for found in values)


def test_after_failed_trials_alone_it_samples_the_whole_space() -> None:
    oracle = oracle_of("train/a", "mlp/c")
    oracle.trials["0"] = kt.engine.trial.Trial(oracle.hyperparameters.copy(), "0", "FAILED")
    values = oracle.populate_space("1")["values"]
    assert values["train/a"] > 0
    assert values["mlp/c"] > 0


def test_greedy_beats_random_over_20_seeds_on_a_separable_objective(tmp_path: Path) -> None:
    best = {
        searcher: [
            max(row["score"] for row in searched(tmp_path / searcher / str(seed), searcher, seed)) for seed in range(20)
        ]
        for searcher in ("greedy", "random")
    }
    assert np.mean(best["greedy"]) > np.mean(best["random"]) + 0.02
    assert np.sum(np.array(best["greedy"]) > np.array(best["random"])) >= 14
