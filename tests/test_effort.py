"""What an effort fills in."""

from __future__ import annotations

import keras_tuner as kt
import pytest

from autorec.effort import EFFORTS, fill
from autorec.errors import ConfigError
from autorec.searchers.ensemble import Ensemble
from autorec.searchers.oracles import SEARCHERS
from autorec.spaces import Auto
from autorec.spaces.space import as_space

NAMES = ("space", "searcher", "max_trials", "time_limit", "fidelity", "trees", "refit", "ensemble", "keep")
NOTHING = dict.fromkeys(NAMES)


def test_without_an_effort_the_defaults_are_filled_in() -> None:
    found = fill(None, NOTHING)
    expected = {"space": "auto", "searcher": "evolution", "trees": False, "refit": False, "ensemble": False, "keep": 5}
    assert found == {**NOTHING, **expected}


@pytest.mark.parametrize("effort", list(EFFORTS))
def test_every_effort_names_what_there_is_and_ends(effort: str) -> None:
    found = fill(effort, NOTHING)
    assert set(found) == set(NOTHING)
    assert isinstance(as_space(found["space"]), kt.HyperModel)
    assert found["searcher"] in SEARCHERS
    assert found["time_limit"] > 0


@pytest.mark.parametrize("effort", list(EFFORTS))
def test_what_is_given_wins(effort: str) -> None:
    given = {
        "space": "lr",
        "searcher": "greedy",
        "max_trials": 2,
        "trees": False,
        "time_limit": 5.0,
        "fidelity": "full",
        "refit": False,
        "ensemble": False,
        "keep": 2,
    }
    assert fill(effort, given) == given


def test_an_effort_may_name_a_space_by_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EFFORTS, "best", {"space": Auto(dim=4).get_config(), "epochs": 3})
    found = fill("best", {**NOTHING, "epochs": None})
    assert found["space"].arguments == {"dim": 4}
    assert found["epochs"] == 3
    assert fill("best", {**NOTHING, "space": "lr"})["space"] == "lr"


def test_the_best_effort_ends_in_an_ensemble_and_keeps_trials_to_choose_from() -> None:
    found = fill("best", NOTHING)
    assert found["ensemble"]
    assert found["keep"] > fill(None, NOTHING)["keep"]


@pytest.mark.parametrize("searcher", ["ensemble", Ensemble(pruning="pap", seed=1)])
def test_a_growing_search_has_a_space_of_depths_unless_one_is_given(searcher: object) -> None:
    found = fill("best", {**NOTHING, "searcher": searcher})
    assert (found["space"], found["fidelity"]) == ("dnn", None)
    assert fill(None, {**NOTHING, "searcher": searcher, "space": "auto"})["space"] == "auto"


@pytest.mark.parametrize("budget", [{"max_trials": 3}, {"time_limit": 7.0}])
def test_a_budget_that_is_given_is_the_only_one(budget: dict[str, float]) -> None:
    found = fill("best", {**NOTHING, **budget})
    assert {name: found[name] for name in ("max_trials", "time_limit") if found[name] is not None} == budget


def test_an_unknown_effort_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="`effort` must be one of .*got 'beste'.*Did you mean 'best'"):
        fill("beste", NOTHING)
