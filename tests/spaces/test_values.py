"""Values that are carried from one search to another."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import pytest

from autorec.spaces.values import allows, architecture, carry_over, in_words


def space() -> list[Any]:
    hp = kt.HyperParameters()
    hp.Choice("kind", ["flat", "deep"])
    with hp.conditional_scope("kind", ["deep"]):
        hp.Int("layers", 1, 4, default=2)
    hp.Float("train/rate", 0.1, 1.0, default=0.5)
    return hp.space


@pytest.mark.parametrize(
    ("values", "found", "refused"),
    [
        ({}, {"kind": "flat", "train/rate": 0.5}, {}),
        ({"kind": "deep", "layers": 3}, {"kind": "deep", "layers": 3, "train/rate": 0.5}, {}),
        ({"kind": "flat", "layers": 3}, {"kind": "flat", "train/rate": 0.5}, {}),
        ({"other": 1, "train/rate": 1}, {"kind": "flat", "train/rate": 1}, {}),
        ({"kind": "wide", "train/rate": 0.7}, {"kind": "flat", "train/rate": 0.7}, {"kind": "wide"}),
        ({"kind": "deep", "layers": 9}, {"kind": "deep", "layers": 2, "train/rate": 0.5}, {"layers": 9}),
    ],
)
def test_known_and_allowed_values_are_carried_over(
    values: dict[str, Any], found: dict[str, Any], refused: dict[str, Any]
) -> None:
    assert carry_over(space(), values) == (found, refused)


@pytest.mark.parametrize(("value", "allowed"), [(1, True), (2, True), (True, False), ("1", False), (3, False)])
def test_a_choice_of_numbers_is_no_truth_value(value: Any, allowed: bool) -> None:
    hp = kt.HyperParameters()
    hp.Choice("a", [1, 2])
    assert allows(hp.space[0], value) is allowed


@pytest.mark.parametrize(("value", "allowed"), [(3, True), (3.0, False), (True, False), (0, False), ("3", False)])
def test_a_whole_number_stays_in_its_range(value: Any, allowed: bool) -> None:
    hp = kt.HyperParameters()
    hp.Int("a", 1, 4)
    assert allows(hp.space[0], value) is allowed


def test_switches_and_fixed_values_are_told_apart() -> None:
    hp = kt.HyperParameters()
    hp.Boolean("a")
    hp.Fixed("b", 3)
    switch, fixed = hp.space
    assert [allows(switch, False), allows(switch, 0)] == [True, False]
    assert [allows(fixed, 3), allows(fixed, 4)] == [True, False]


def test_an_architecture_has_no_recipe_and_no_fidelity() -> None:
    values = {"train/learning_rate": 0.1, "fidelity/rows": 10, "tuner/epochs": 3, "dag/0/type": "mlp", "trainer": 1}
    assert architecture(values) == {"dag/0/type": "mlp", "trainer": 1}


def test_many_values_are_shown_in_short() -> None:
    assert in_words({"a": 1, "b": "x"}) == "a=1, b='x'"
    assert in_words(dict.fromkeys("abcde", 0)) == "a=0, b=0, c=0 and 2 more"
