"""Rising curves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from autorec.calibration.curve import IDENTITY, Curve
from autorec.errors import ConfigError

CURVE = Curve((-1.0, 0.0, 2.0), (-3.0, -1.0, 0.0), 0.5, 2.0)


def test_it_is_linear_between_knots_and_has_its_slopes_outside() -> None:
    found = CURVE(np.array([-3.0, -1.0, -0.5, 0.0, 1.0, 2.0, 3.0]))
    np.testing.assert_allclose(found, [-4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 2.0])


def test_a_shift_moves_all_values() -> None:
    z = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(CURVE.shifted(-0.7)(z), CURVE(z) - 0.7)


def test_the_identity_changes_nothing() -> None:
    z = np.linspace(-50, 50, 11)
    np.testing.assert_array_equal(IDENTITY(z), z)


def test_it_survives_json() -> None:
    assert Curve.from_dict(json.loads(json.dumps(CURVE.to_dict()))) == CURVE


@pytest.mark.parametrize(
    "bad",
    [
        {"x": (), "y": ()},
        {"x": (0.0, 0.0), "y": (0.0, 1.0)},
        {"x": (0.0, 1.0), "y": (1.0, 1.0)},
        {"x": (0.0, 1.0), "y": (1.0,)},
        {"x": (0.0,), "y": (np.inf,)},
        {"x": (0.0,), "y": (0.0,), "low": 0.0},
        {"x": (0.0,), "y": (0.0,), "high": -1.0},
    ],
)
def test_what_does_not_rise_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Curve(**bad)
