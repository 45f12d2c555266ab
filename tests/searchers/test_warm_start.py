"""Trials of another run come first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras_tuner as kt
import pytest

from autorec.errors import ConfigError
from autorec.run import Run
from autorec.searchers.oracles import SEARCHERS, get_oracle
from autorec.searchers.runner import Job, search
from autorec.searchers.testing import OBJECTIVE, SearcherContract, planted_space, planted_trial
from autorec.searchers.warm_start import VIEWS, distinct, propose_first
from autorec.spaces.values import carry_over

TRIALS = [
    {"kind": "deep", "deep/layers": 4, "deep/dropout": 0.0, "train/learning_rate": 0.7, "of/another": 3},
    {"kind": "deep", "deep/layers": 4, "deep/dropout": 0.0, "train/learning_rate": 0.7},
    {"kind": "flat", "field_embedding/dim": 64},
    {"of/another": 3},
]


def run_of(folder: Path, searcher: Any, trials: list[dict[str, Any]], said: list[str], count: int = 4) -> Run:
    oracle = propose_first(get_oracle(searcher, objective=OBJECTIVE, seed=1), trials, said.append)
    with Run(folder) as run:
        search(run, oracle=oracle, space_build=planted_space, evaluate=planted_trial, max_trials=count)
    return run


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_any_searcher_tries_them_first_and_then_goes_on(tmp_path: Path, searcher: str) -> None:
    values = [row["values"] for row in run_of(tmp_path, searcher, TRIALS[:1], []).trials()]
    assert TRIALS[0].items() - {("of/another", 3)} <= values[0].items()
    assert values[0]["field_embedding/dim"] == 4
    assert len({str(sorted(one.items())) for one in values}) == 4


def test_hyperband_trains_them_for_as_many_epochs_as_its_longest_trials(tmp_path: Path) -> None:
    first = run_of(tmp_path, "hyperband", TRIALS[:1], []).trials()[0]
    assert (first["values"]["fidelity/epochs"], first["fidelity"]) == (9, {})


def test_what_is_the_same_or_unknown_here_is_left_out_and_what_is_not_allowed_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    values = [row["values"] for row in run_of(tmp_path, "random", TRIALS, said).trials()]
    assert [one["kind"] for one in values[:2]] == ["deep", "flat"]
    assert said == [
        "warm start: not allowed here and left at the default: field_embedding/dim=64",
        "warm start: 2 of 4 trials of the other run are distinct points of this space",
    ]


def test_the_default_values_come_behind_them(tmp_path: Path) -> None:
    values = [row["values"] for row in run_of(tmp_path, "random", TRIALS[:1], []).trials()]
    assert (values[1]["kind"], values[1]["train/learning_rate"], values[1]["train/table_l2"]) == ("flat", 0.1, 0.9)


def test_hyperparameters_that_trials_bring_get_the_other_runs_values_also_behind_a_kill(tmp_path: Path) -> None:
    def evaluate(job: Job) -> dict[str, Any]:
        return {"metrics": {"score": job.hp.Int("late", 0, 9) / 10}}

    trials = [{"early": early, "late": early} for early in (2, 4, 6)]
    for name, counts in (("whole", (5,)), ("killed", (1, 2, 5))):
        for count in counts:
            oracle = propose_first(get_oracle("evolution", objective=OBJECTIVE, seed=1), trials)
            with Run(tmp_path / name) as run:
                space_build = lambda hp: hp.Int("early", 0, 9)  # noqa: E731
                search(run, oracle=oracle, space_build=space_build, evaluate=evaluate, max_trials=count)
    runs = (Run(tmp_path / name, read_only=True) for name in ("whole", "killed"))
    whole, killed = ([row["values"] for row in run.trials()] for run in runs)
    assert whole == killed
    assert whole[1:3] == trials[1:]


def test_the_default_values_are_not_tried_twice_in_another_form() -> None:
    hps = kt.HyperParameters()
    hps.Choice("kind", ["flat", "deep"])
    hps.Int("dead", 0, 9)
    trials = [{"kind": "flat", "dead": 5}]
    assert distinct(hps.space, trials, print, lambda values: {"kind": values["kind"]}) == trials


def test_views_come_behind_the_default_values_and_nothing_is_said_of_them() -> None:
    hps = kt.HyperParameters()
    hps.Boolean("features/margins", default=True)
    hps.Choice("kind", ["flat", "deep"])
    said: list[str] = []
    found = distinct(hps.space, [], said.append, views=VIEWS)
    assert [carry_over(hps.space, one)[0]["features/margins"] for one in found] == [True, False]
    assert said == []


def test_a_grid_is_gone_through_in_its_own_order() -> None:
    oracle = get_oracle(kt.oracles.GridSearchOracle(objective=OBJECTIVE), objective=OBJECTIVE)
    with pytest.raises(ConfigError, match="`warm_start` must be left out with an oracle that goes through a grid"):
        propose_first(oracle, TRIALS)


def _make(searcher: str) -> Any:
    def make(seed: int) -> kt.Oracle:
        return propose_first(get_oracle(searcher, objective=OBJECTIVE, seed=seed), TRIALS)

    return staticmethod(make)


class TestWarmRandom(SearcherContract):
    """Random search, warm."""

    make = _make("random")
    trials = 8


class TestWarmBayesian(SearcherContract):
    """Bayesian optimisation, warm: it is replayed by what was recorded."""

    make = _make("bayesian")
    trials = 8
