"""The layer of calibration curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autorec.blocks.testing import check_block
from autorec.calibration.calibrator import Calibrator
from autorec.calibration.curve import Curve
from autorec.calibration.fitting import fit
from autorec.calibration.layer import CalibrationCurves
from autorec.errors import ConfigError
from tests.calibration.made import scored

ONE = Curve((-1.0, 0.0, 2.0), (-3.0, -1.0, 0.0), 0.5, 2.0)
TWO = Curve((0.0,), (1.0,), 0.5, 0.5)
LOGITS = np.array([[-3.0], [-1.0], [-0.5], [0.0], [1.0], [2.0], [3.0]], "float32")


def layer(*curves: Curve, **more: Any) -> CalibrationCurves:
    return CalibrationCurves([curve.to_dict() for curve in curves], **more)


def test_it_holds_what_every_block_holds() -> None:
    check_block(CalibrationCurves, {"curves": [ONE.to_dict()]}, LOGITS, output_shape=(7, 1), learns=False)


def test_it_holds_it_with_segments_too() -> None:
    ids = np.arange(14, dtype="int32").reshape(7, 2)
    arguments = {"curves": [ONE.to_dict(), TWO.to_dict()], "places": [0, 1, 1], "column": 1}
    block = CalibrationCurves(**arguments)
    found = np.asarray(block(LOGITS, ids=ids))
    assert found.shape == (7, 1)
    assert CalibrationCurves.from_config(block.get_config()).get_config() == block.get_config()


def test_it_is_linear_between_knots_and_has_its_slopes_outside() -> None:
    found = np.asarray(layer(ONE)(LOGITS))[:, 0]
    np.testing.assert_allclose(found, [-4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 2.0], atol=1e-6)


def test_each_row_has_the_curve_of_its_segment() -> None:
    block = layer(ONE, TWO, places=[0, 0, 1], column=1)
    ids = np.array([[9, 2], [2, 0], [2, 1], [2, 2], [0, 3], [2, 1_000_000]], "int32")
    found = np.asarray(block(np.ones((6, 1), "float32"), ids=ids))[:, 0]
    np.testing.assert_allclose(found, [1.5, -0.5, -0.5, 1.5, -0.5, -0.5], atol=1e-6)


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_it_is_the_curve_itself_and_never_falls(method: str) -> None:
    curve = fit(method, scored(5000))
    z = np.sort(np.random.default_rng(0).normal(0, 4, 20_000)).astype("float32")[:, None]
    found = np.asarray(layer(curve)(z))
    np.testing.assert_allclose(found, curve(z), rtol=1e-5, atol=1e-5)
    assert (np.diff(found[:, 0]) >= 0).all()
    assert len(np.unique(found)) > 0.995 * len(np.unique(z))


def test_logits_stay_float32_under_any_policy() -> None:
    z = np.linspace(-1, 1, 1000).astype("float32")[:, None]
    found = layer(TWO, dtype="mixed_bfloat16")(z)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, layer(TWO)(z))


def test_the_table_of_a_calibrator_is_what_it_takes() -> None:
    calibrator = Calibrator(ONE, {3: TWO, 5: TWO}, column=0)
    curves, places = calibrator.table()
    ids = np.array([[0], [3], [4], [5], [6]], "int32")
    found = np.asarray(layer(*curves, places=places, column=0)(np.ones((5, 1), "float32"), ids=ids))[:, 0]
    np.testing.assert_allclose(found, calibrator(np.ones(5), ids[:, 0]), atol=1e-6)


@pytest.mark.parametrize(
    "bad",
    [
        {"curves": []},
        {"curves": [TWO.to_dict()], "places": [1], "column": 0},
        {"curves": [TWO.to_dict()] * 2, "places": [0, 1]},
        {"curves": [{"x": [0.0, 1.0], "y": [1.0, 0.0]}]},
    ],
)
def test_arguments_that_cannot_be_used_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        CalibrationCurves(**bad)
