"""Points of a space with switches: complete, mutated, listed."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import keras_tuner as kt
import numpy as np

from autorec.searchers.points import Points


def switched() -> Any:
    """Returns a space with a switch, numbers on both scales, and one name under two conditions."""
    hps = kt.HyperParameters()
    hps.Choice("part/kind", ["a", "b"])
    with hps.conditional_scope("part/kind", ["a"]):
        hps.Int("part/dim", 1, 4)
    with hps.conditional_scope("part/kind", ["b"]):
        hps.Int("part/dim", 8, 9, default=9)
        hps.Boolean("part/bias")
    hps.Float("train/rate", 1e-4, 1e-1, sampling="log", default=1e-3)
    hps.Fixed("train/epochs", 3)
    return hps


def test_what_is_active_gets_defaults_and_what_is_not_is_left_out() -> None:
    points = Points(switched().space)
    assert points.complete({"part/kind": "b", "part/dim": 3, "tuner/epochs": 2}) == {
        "part/kind": "b",
        "part/dim": 9,  # 3 is none of its values here
        "part/bias": False,
        "train/rate": 1e-3,
        "train/epochs": 3,
    }


def test_a_point_is_sampled_as_keras_tuner_would() -> None:
    hps, draw = switched(), random.Random(1)
    for _ in range(50):
        point = Points(hps.space).sample(draw)
        assert Points(hps.space).complete(point) == point
        assert 1e-4 <= point["train/rate"] <= 1e-1


def test_a_mutation_changes_one_hyperparameter_and_what_that_switches() -> None:
    points, draw = Points(switched().space), random.Random(2)
    for _ in range(200):
        parent = points.sample(draw)
        child = points.mutate(parent, draw)
        assert child is not None
        changed = {name for name in {*parent, *child} if parent.get(name) != child.get(name)}
        assert changed
        assert len(changed) == 1 or ("part/kind" in changed and "train/rate" not in changed)
        assert points.complete(child) == child


def test_parts_are_drawn_alike_however_many_hyperparameters_they_have() -> None:
    hps = kt.HyperParameters()
    for number in range(6):
        hps.Boolean(f"dag/3/skip_{number}")
    hps.Boolean("dag/3/dense")
    hps.Boolean("train/plateau")
    points, draw = Points(hps.space), random.Random(3)
    parent = points.complete({})
    drawn = Counter(
        next(name for name, value in (points.mutate(parent, draw) or {}).items() if value) for _ in range(2000)
    )
    assert abs(drawn["train/plateau"] / 2000 - 1 / 2) < 0.05
    assert abs(drawn["dag/3/dense"] / 2000 - 1 / 4) < 0.05


def test_half_of_a_numbers_mutations_are_local_on_its_own_scale() -> None:
    hps = kt.HyperParameters()
    hps.Float("rate", 1e-6, 1.0, sampling="log")
    points, draw = Points(hps.space), random.Random(4)
    children = [points.mutate({"rate": 1e-3}, draw) or {} for _ in range(2000)]
    decades = np.abs(np.log10([child["rate"] for child in children]) + 3)
    # A step deviates by .15 of 6 decades, so 68% are nearer than .9; of uniform draws 30% are.
    assert abs(np.mean(decades < 0.9) - 0.49) < 0.04
    assert np.max(decades) > 2.5


def test_mutated_numbers_stay_within_their_range_and_on_their_steps() -> None:
    hps = kt.HyperParameters()
    hps.Int("a", 4, 64, step=4)
    hps.Int("b", 1, 1024, step=2, sampling="log")
    hps.Float("c", 0.0, 1.0, step=0.25)
    points, draw, point = Points(hps.space), random.Random(5), {"a": 4, "b": 1024, "c": 1.0}
    for _ in range(300):
        point = points.mutate(point, draw) or {}
        assert point["a"] in range(4, 65, 4)
        assert point["b"] in [2**power for power in range(11)]
        assert point["c"] in (0.0, 0.25, 0.5, 0.75, 1.0)


def test_all_points_of_a_space_are_listed_once() -> None:
    hps = kt.HyperParameters()
    hps.Choice("kind", ["a", "b", "c"])
    hps.Int("a/x", 1, 3, parent_name="kind", parent_values=["a"])
    hps.Boolean("bc/y", parent_name="kind", parent_values=["b", "c"])
    found = list(Points(hps.space).all() or ())
    assert len(found) == len({tuple(point.items()) for point in found}) == 3 + 2 + 2


def test_a_space_with_a_number_of_any_value_cannot_be_listed_and_one_without_anything_has_a_point() -> None:
    assert Points(switched().space).all() is None
    assert list(Points([]).all() or ()) == [{}]


def test_a_space_of_one_point_has_no_mutation() -> None:
    hps = kt.HyperParameters()
    hps.Fixed("a", 1)
    hps.Choice("b", [5])
    hps.Float("c", 2.0, 2.0)
    points = Points(hps.space)
    assert points.mutate(points.complete({}), random.Random(1)) is None
    assert len(list(points.all() or ())) == 1
