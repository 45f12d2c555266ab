"""Curves of known truths, closed forms, and rows that would break a fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from autorec.calibration.curve import IDENTITY
from autorec.calibration.fitting import FLATTEST, LEAST, LINE_BINS, Scored, fit
from autorec.errors import ConfigError
from autorec.training import metrics
from tests.calibration.made import scored, sigmoid


def loss(rows: Scored, logits: np.ndarray) -> float:
    return float(rows.mass @ (np.logaddexp(0.0, logits) - rows.labels * logits))


@pytest.mark.parametrize("weights", [False, True])
def test_platt_is_the_line_of_least_log_loss(weights: bool) -> None:
    rows = scored(2000, weights=weights)
    # What holds on to a = 1, b = 0 is part of what is minimised.
    best = minimize(lambda p: loss(rows, p[0] * rows.logits + p[1]) + 0.05 * ((p[0] - 1) ** 2 + p[1] ** 2), [1.0, 0.0])
    curve = fit("platt", rows)
    np.testing.assert_allclose([curve.low, curve.y[0]], best.x, atol=1e-4)


def test_temperature_scales_and_does_not_shift() -> None:
    curve = fit("temperature", scored(20_000, slope=0.5, shift=0.0))
    assert curve(np.zeros(1))[0] == 0.0
    assert curve.low == curve.high == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_planted_miscalibration_is_found(method: str) -> None:
    rows, fresh = scored(50_000), scored(50_000, seed=1)
    before = metrics.ece(fresh.labels, sigmoid(fresh.logits))
    curve = fit(method, rows)
    assert metrics.ece(fresh.labels, sigmoid(curve(fresh.logits))) < 0.01 < 0.1 < before
    z = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(sigmoid(curve(z)), sigmoid(2 * z - 1), atol=0.03)


def test_isotonic_finds_what_no_line_is() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=40_000)
    truth = np.where(z < 0, 0.1, 0.6)
    rows = Scored(z, (rng.random(len(z)) < truth).astype(float))
    fresh = np.abs(sigmoid(fit("isotonic", rows)(z)) - truth)[np.abs(z) > 0.1]
    assert fresh.mean() < 0.02
    assert np.abs(sigmoid(fit("platt", rows)(z)) - truth)[np.abs(z) > 0.1].mean() > 0.05


@pytest.mark.parametrize("method", LEAST)
@pytest.mark.parametrize("rows", [500, 20_000])
def test_no_two_rows_are_tied_and_the_order_stays(method: str, rows: int) -> None:
    found = scored(rows)
    calibrated = fit(method, found)(found.logits)
    assert (np.diff(calibrated[np.argsort(found.logits)]) > 0.0).all()
    assert abs(metrics.auc(found.labels, calibrated) - metrics.auc(found.labels, found.logits)) < 1e-12


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_the_mean_prediction_is_the_rate_of_ones(method: str) -> None:
    rows = scored(5000, weights=True)
    predicted = sigmoid(fit(method, rows)(rows.logits))
    assert np.average(predicted, weights=rows.mass) == pytest.approx(
        np.average(rows.labels, weights=rows.mass), abs=1e-3
    )


@pytest.mark.parametrize("method", LEAST)
def test_a_weight_counts_as_so_many_rows(method: str) -> None:
    rows = scored(2000)
    times = np.random.default_rng(1).integers(1, 4, 2000)
    repeated = Scored(np.repeat(rows.logits, times), np.repeat(rows.labels, times))
    weighted = fit(method, Scored(rows.logits, rows.labels, times.astype(float)))
    z = np.linspace(-1.0, 1.5, 6)  # at the ends pseudo-rows count, of which there are no more
    np.testing.assert_allclose(weighted(z), fit(method, repeated)(z), atol=0.05)


@pytest.mark.parametrize("method", LEAST)
def test_separated_classes_give_a_finite_curve(method: str) -> None:
    z = np.r_[-np.ones(300), np.ones(300)]
    curve = fit(method, Scored(z, (z > 0).astype(float)))
    assert np.isfinite(curve(np.array([-100.0, 100.0]))).all()
    assert curve.high < 40.0


@pytest.mark.parametrize("method", LEAST)
def test_a_model_that_is_wrong_way_round_ends_nearly_flat_and_still_rises(method: str) -> None:
    rows = scored(2000, slope=-2.0, shift=0.0)
    curve = fit(method, rows)
    assert curve.low == FLATTEST
    np.testing.assert_allclose(sigmoid(curve(rows.logits)), rows.labels.mean(), atol=0.1)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_slope_that_is_held_above_0_has_a_shift_of_its_own(method: str) -> None:
    wrong = scored(2000, slope=-2.0, shift=0.0)
    rows = Scored(wrong.logits - 3.0, wrong.labels)  # far from 0, where a slope moves the mean
    assert sigmoid(fit(method, rows)(rows.logits)).mean() == pytest.approx(rows.labels.mean(), abs=1e-3)


def test_one_logit_for_all_rows_is_moved_to_their_rate() -> None:
    rows = Scored(np.zeros(1000), np.r_[np.ones(100), np.zeros(900)])
    for method in ("platt", "isotonic"):
        assert sigmoid(fit(method, rows)(np.zeros(1)))[0] == pytest.approx(0.1, abs=1e-3)


def test_bins_change_a_line_by_next_to_nothing() -> None:
    rows = scored(LINE_BINS + 1)
    exact, binned = fit("platt", rows.take(np.arange(LINE_BINS))), fit("platt", rows)
    assert exact.low == pytest.approx(binned.low, abs=2e-3)


def test_none_is_the_identity_and_others_are_refused() -> None:
    assert fit("none", scored(10)) == IDENTITY
    with pytest.raises(ConfigError, match="Did you mean 'isotonic'"):
        fit("isotnic", scored(10))
