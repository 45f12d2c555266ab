"""A space's hyperparameters are found by building it."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import pytest

from autorec.errors import ConfigError
from autorec.searchers.explore import explore
from autorec.searchers.oracles import get_oracle


def fresh() -> kt.Oracle:
    return get_oracle("random", objective=kt.Objective("score", "max"))


def names(oracle: kt.Oracle) -> list[str]:
    return [hp.name for hp in oracle.hyperparameters.space]


def test_hyperparameters_behind_conditions_are_found() -> None:
    def build(hp: Any) -> None:
        kind = hp.Choice("kind", ["a", "b", "c"])
        for option in "abc":
            with hp.conditional_scope("kind", [option]):
                if kind == option:
                    more = hp.Boolean(f"{option}/more", default=False)
                    with hp.conditional_scope(f"{option}/more", [True]):
                        if more:
                            hp.Int(f"{option}/dim", 1, 5)

    oracle = fresh()
    explore(oracle, build)
    assert sorted(names(oracle)) == sorted(["kind", *(f"{o}/{n}" for o in "abc" for n in ("more", "dim"))])


def test_scopes_that_fit_together_share_a_build() -> None:
    builds = []

    def build(hp: Any) -> None:
        builds.append(dict(hp.values))
        for slot in range(6):
            kind = hp.Choice(f"{slot}/kind", ["a", "b", "c"])
            for option in "abc":
                with hp.conditional_scope(f"{slot}/kind", [option]):
                    if kind == option:
                        hp.Int(f"{slot}/{option}", 1, 5)

    oracle = fresh()
    explore(oracle, build)
    assert len(names(oracle)) == 24
    assert len(builds) == 3


def test_a_space_that_declares_everything_is_built_once() -> None:
    builds = []

    def build(hp: Any) -> None:
        builds.append(1)
        hp.Choice("kind", ["a", "b"])
        for option in "ab":
            with hp.conditional_scope("kind", [option]):
                hp.Int(f"{option}/dim", 1, 5)

    explore(fresh(), build)
    assert len(builds) == 1


def test_a_point_that_cannot_be_built_is_left_to_the_trials() -> None:
    def build(hp: Any) -> None:
        kind = hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["b"]):
            if kind == "b":
                raise ValueError("no b")

    oracle = fresh()
    explore(oracle, build)
    assert names(oracle) == ["kind"]


def test_a_wrong_configuration_is_told_at_once() -> None:
    def build(hp: Any) -> None:
        raise ConfigError("user", "named, for this preset", None)

    with pytest.raises(ConfigError, match="user"):
        explore(fresh(), build)


def test_a_scope_that_never_becomes_active_ends() -> None:
    builds = []

    def build(hp: Any) -> None:
        builds.append(1)
        hp.Choice("kind", ["a"])
        with hp.conditional_scope("kind", ["never"]):
            pass

    explore(fresh(), build)
    assert len(builds) <= 3
