"""Curves of segments."""

from __future__ import annotations

import json

import numpy as np

from autorec.calibration.calibrator import Calibrator
from autorec.calibration.curve import IDENTITY, Curve

HALF, UP = Curve((0.0,), (0.0,), 0.5, 0.5), Curve((0.0,), (3.0,))
CALIBRATOR = Calibrator(HALF, {4: UP, 2: IDENTITY}, column=1)


def test_a_segment_without_a_curve_has_that_of_all_rows() -> None:
    found = CALIBRATOR(np.full(5, 2.0), np.array([0, 2, 4, 3, 99]))
    assert found.tolist() == [1.0, 2.0, 5.0, 1.0, 1.0]
    assert CALIBRATOR(np.full(1, 2.0)).tolist() == [1.0]


def test_the_table_has_a_place_for_each_local_id() -> None:
    curves, places = CALIBRATOR.table()
    assert [curves[place] for place in places] == [HALF, HALF, IDENTITY, HALF, UP]


def test_a_shift_moves_all_curves() -> None:
    assert CALIBRATOR.shifted(1.0)(np.full(2, 2.0), np.array([0, 4])).tolist() == [2.0, 6.0]


def test_it_survives_json() -> None:
    assert Calibrator.from_dict(json.loads(json.dumps(CALIBRATOR.to_dict()))) == CALIBRATOR


def test_it_knows_whether_it_changes_anything() -> None:
    assert CALIBRATOR.changes
    assert not Calibrator(IDENTITY, {3: IDENTITY}, 0).changes
