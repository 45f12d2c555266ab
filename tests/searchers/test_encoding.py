"""Points as rows of numbers."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.searchers.encoding import Encoding


def columns(hps: Any, point: dict[str, Any]) -> dict[str, float]:
    encoding = Encoding(hps.space)
    return dict(zip(encoding.columns, encoding([point])[0].tolist()))


def test_a_number_is_its_place_on_the_scale_it_is_sampled_on() -> None:
    hps = kt.HyperParameters()
    hps.Float("rate", 1e-4, 1.0, sampling="log")
    hps.Float("dropout", 0.0, 0.5)
    found = columns(hps, {"rate": 1e-2, "dropout": 0.125})
    assert found["rate=number"] == pytest.approx(0.5)
    assert found["dropout=number"] == pytest.approx(0.25)


def test_a_choice_is_one_column_for_each_value_and_its_place_if_it_is_ordered() -> None:
    hps = kt.HyperParameters()
    hps.Choice("type", ["mlp", "fm", "dot"])
    hps.Choice("dim", [32, 8, 16])
    found = columns(hps, {"type": "fm", "dim": 16})
    assert [found[f"type={value}"] for value in ("mlp", "fm", "dot")] == [0, 1, 0]
    assert [found[f"dim={value}"] for value in (8, 16, 32)] == [0, 1, 0]
    assert found["dim=place"] == 0.5
    assert "type=place" not in found


def test_what_is_inactive_is_marked_and_has_no_value() -> None:
    hps = kt.HyperParameters()
    hps.Boolean("deep")
    hps.Int("deep/units", 8, 64, parent_name="deep", parent_values=[True])
    assert columns(hps, {"deep": False})["deep/units=absent"] == 1
    assert columns(hps, {"deep": False})["deep/units=number"] == 0
    assert columns(hps, {"deep": True, "deep/units": 64})["deep/units=absent"] == 0


def test_hyperparameters_that_differ_in_numbers_alone_have_sums_too() -> None:
    hps = kt.HyperParameters()
    for number in range(4):
        hps.Choice(f"dag/{number}/type", ["mlp", "fm"])
    found = columns(hps, {"dag/0/type": "fm", "dag/1/type": "mlp", "dag/2/type": "fm", "dag/3/type": "fm"})
    assert found["dag/*/type=fm"] == 3 / 2  # over the root of 4
    assert found["dag/*/type=mlp"] == 1 / 2


def test_a_name_under_two_conditions_has_the_values_of_both() -> None:
    hps = kt.HyperParameters()
    hps.Choice("kind", ["a", "b"])
    hps.Int("dim", 1, 3, parent_name="kind", parent_values=["a"])
    hps.Choice("dim", ["wide", "narrow"], parent_name="kind", parent_values=["b"])
    wide, number = columns(hps, {"kind": "b", "dim": "wide"}), columns(hps, {"kind": "a", "dim": 2})
    assert (wide["dim=wide"], wide["dim=number"]) == (1, 0)
    assert (number["dim=wide"], number["dim=number"]) == (0, 0.5)


def test_different_points_have_different_rows_and_unknown_names_do_not_count() -> None:
    hps = kt.HyperParameters()
    hps.Boolean("a")
    hps.Fixed("b", 1)
    encoding = Encoding(hps.space)
    rows = encoding([{"a": True, "b": 1}, {"a": False, "b": 1}, {"a": True, "fidelity/rows": 100}])
    assert rows.shape == (3, len(encoding.columns))
    assert not np.array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])
