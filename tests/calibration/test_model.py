"""Calibrated models."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from autorec.calibration.calibrator import Calibrator
from autorec.calibration.curve import Curve
from autorec.calibration.model import calibrate
from autorec.ensembles import join
from autorec.errors import ConfigError
from autorec.training.prediction import predict
from tests.training import small

HALF, UP = Curve((0.0,), (0.0,), 0.5, 0.5), Curve((0.0,), (3.0,))
PART = small.part(200)


def test_its_logits_are_those_of_the_curve_and_other_targets_stay() -> None:
    model, part = small.model("click", "like"), small.part(200, targets=2)
    before, found = predict(model, part), predict(calibrate(model, {"like": Calibrator(UP)}), part)
    np.testing.assert_allclose(found["like"], before["like"] + 3.0, atol=1e-6)
    np.testing.assert_array_equal(found["click"], before["click"])


def test_it_shares_the_weights_and_the_model_stays_usable() -> None:
    model = small.model()
    before = predict(model, PART)["click"]
    calibrated = calibrate(model, {"click": Calibrator(HALF)})
    assert {id(v) for v in calibrated.variables} == {id(v) for v in model.variables}
    np.testing.assert_array_equal(predict(model, PART)["click"], before)


def test_segments_are_read_from_the_ids() -> None:
    model = small.model()
    found = predict(calibrate(model, {"click": Calibrator(HALF, {5: UP}, column=1)}), PART)["click"]
    raw, own = predict(model, PART)["click"], PART.arrays["ids"][:, 1] == 5
    np.testing.assert_allclose(found, np.where(own, raw + 3.0, raw / 2), atol=1e-6)


def test_a_model_without_ids_gets_them_as_an_input() -> None:
    numbers = keras.Input((1,), name="numbers")
    model = keras.Model({"numbers": numbers}, {"click": keras.layers.Dense(1)(numbers)})
    calibrated = calibrate(model, {"click": Calibrator(HALF, {2: UP}, column=0)}, columns=2)
    assert set(calibrated.input) == {"numbers", "ids"}
    assert calibrated.input["ids"].shape == (None, 2)


def test_it_loads_as_it_was_bit_for_bit(tmp_path: Path) -> None:
    calibrated = calibrate(small.model(), {"click": Calibrator(HALF, {5: UP}, column=1)})
    calibrated.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(predict(loaded, PART)["click"], predict(calibrated, PART)["click"])


def test_calibrated_models_make_an_ensemble_and_an_ensemble_is_calibrated() -> None:
    one, other = small.model(seed=1), small.model(seed=2)
    expected = 0.25 * predict(one, PART)["click"] + 0.5 * predict(other, PART)["click"] + 3.0
    joined = join([calibrate(one, {"click": Calibrator(HALF)}), other], [0.5, 0.5])
    found = predict(calibrate(joined, {"click": Calibrator(UP)}), PART)["click"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_calibrator_that_changes_nothing_adds_nothing() -> None:
    model = small.model()
    assert len(calibrate(model, {"click": Calibrator()}).layers) == len(model.layers)


def test_an_unknown_target_and_a_model_without_dicts_are_refused() -> None:
    with pytest.raises(ConfigError, match="`calibrators` must be one of"):
        calibrate(small.model(), {"clik": Calibrator()})
    with pytest.raises(ConfigError, match="dicts of inputs and outputs"):
        calibrate(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]), {})
