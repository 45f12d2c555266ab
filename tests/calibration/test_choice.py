"""The choice of a calibrator: it helps on rows that it did not see, or nothing is changed."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.calibration.choice import check_rows, choose
from autorec.calibration.curve import IDENTITY
from autorec.calibration.fitting import Scored
from autorec.errors import ConfigError
from autorec.training import metrics
from tests.calibration.made import scored, sigmoid


def test_what_is_calibrated_stays_as_it_is() -> None:
    taken = [choose("auto", scored(3000, 1.0, 0.0, seed=seed)).method for seed in range(12)]
    assert taken.count("none") >= 10


@pytest.mark.parametrize("rows", [150, 1000, 20_000])
def test_it_never_makes_fresh_rows_much_worse(rows: int) -> None:
    for seed in range(5):
        fresh = scored(20_000, 1.0, 0.0, seed=99)
        found = choose("auto", scored(rows, 1.0, 0.0, seed=seed)).calibrator(fresh.logits)
        loss = [metrics.log_loss(fresh.labels, sigmoid(logits)) for logits in (found, fresh.logits)]
        assert loss[0] < loss[1] + 1.5 / rows  # of two fitted numbers, 1/rows is to be expected


@pytest.mark.parametrize(("slope", "shift", "method"), [(0.4, 0.0, "temperature"), (1.0, -2.0, "platt")])
def test_the_method_that_fits_is_taken(slope: float, shift: float, method: str) -> None:
    assert choose("auto", scored(20_000, slope, shift)).method in (method, "platt")


def test_a_curve_that_no_line_is_needs_isotonic() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=20_000)
    rows = Scored(z, (rng.random(len(z)) < np.where(z < 0, 0.1, 0.6)).astype(float))
    assert choose("auto", rows).method == "isotonic"


def test_few_rows_leave_isotonic_out() -> None:
    assert choose("auto", scored(150)).method in ("platt", "temperature")


def test_held_out_answers_are_of_curves_that_did_not_see_the_row() -> None:
    rows = scored(600, 1.0, 0.0)
    chosen = choose("isotonic", rows)
    inside = metrics.log_loss(rows.labels, sigmoid(chosen.calibrator(rows.logits)))
    assert metrics.log_loss(rows.labels, sigmoid(chosen.held_out)) > inside


def test_the_same_seed_gives_the_same_choice() -> None:
    rows = scored(1000)
    one, same, other = (choose("platt", rows, seed=seed).held_out for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


# Segments


def by_segment() -> tuple[Scored, np.ndarray]:
    """Rows of the segments 2 to 4 that are off in different ways, and 40 rows of 5."""
    rng = np.random.default_rng(0)
    segments = np.r_[rng.integers(2, 5, 6000), np.full(40, 5)]
    z = rng.normal(size=len(segments))
    shift = np.array([0.0, 0.0, -2.0, 0.0, 2.0, 0.0])[segments]
    return Scored(z, (rng.random(len(z)) < sigmoid(z + shift)).astype(float)), segments


@pytest.mark.parametrize("method", ["platt", "isotonic", "auto"])
def test_segments_that_differ_get_curves_of_their_own(method: str) -> None:
    rows, segments = by_segment()
    chosen = choose(method, rows, segments, column=3)
    assert {2, 4} <= set(chosen.calibrator.segments) <= {2, 3, 4}
    assert chosen.calibrator.column == 3
    found = sigmoid(chosen.calibrator(rows.logits, segments))
    for number in (2, 4):
        rows_of = segments == number
        assert metrics.ece(rows.labels[rows_of], found[rows_of]) < 0.04


def test_auto_gives_equal_segments_no_curve() -> None:
    rows = scored(6000)
    segments = np.random.default_rng(1).integers(2, 5, 6000)
    chosen = choose("auto", rows, segments, column=0)
    assert len(chosen.calibrator.segments) <= 1
    assert chosen.method == "platt"


def test_values_out_of_vocabulary_are_no_segment() -> None:
    rows, segments = by_segment()
    assert 1 not in choose("platt", rows, np.where(segments == 2, 1, segments), column=0).calibrator.segments


# Rows


def test_too_few_rows_say_how_many_are_needed() -> None:
    with pytest.raises(ConfigError, match="validation rows with 500 labels of 'like' or more.*'isotonic', got 499"):
        check_rows("isotonic", scored(499), "like", "validation rows")
    with pytest.raises(ConfigError, match="100 labels of 'like' or more for the method 'auto', got 60"):
        check_rows("auto", scored(60), "like", "rows")


def test_one_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="rows in which 'like' is 0 and 1, got '200 labels that are all 0'"):
        check_rows("platt", Scored(np.zeros(200), np.zeros(200)), "like", "rows")


def test_a_class_of_a_few_rows_is_refused() -> None:
    with pytest.raises(ConfigError, match="10 of either class of 'like', got 9"):
        check_rows("platt", Scored(np.zeros(200), np.r_[np.ones(9), np.zeros(191)]), "like", "rows")


def test_an_unknown_method_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'platt'"):
        choose("plat", scored(200))
    assert IDENTITY(np.ones(1))[0] == 1.0
