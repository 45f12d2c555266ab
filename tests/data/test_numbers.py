"""What is learned about number columns, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autorec.data.layout import NumberColumn
from autorec.data.numbers import SAMPLE, NumberSample, knots_of, number_columns, spread_of, target_moments

NAN = float("nan")


def learned(*values: float) -> NumberColumn:
    return number_columns(np.array(values)[:, None], [("x", "x")])[0]


def test_moments_are_those_of_the_present_values() -> None:
    column = learned(1.0, NAN, 3.0, NAN)
    assert (column.mean, column.std, column.missing) == (2.0, 1.0, 0.5)


def test_log_moments_are_of_the_signed_logarithm() -> None:
    column = learned(math.e - 1, -(math.e - 1), math.e**3 - 1)
    assert column.log_mean == pytest.approx(1.0)
    assert column.log_std == pytest.approx(math.sqrt((0 + 4 + 4) / 3))


def test_a_single_absurd_value_leaves_the_moments_of_the_others() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    plain, absurd = learned(*values), learned(1e300, *values[1:])
    assert absurd.log_std == pytest.approx(plain.log_std, rel=0.1)
    assert math.isfinite(absurd.std)
    assert absurd.knots[-1] == 1e300


def test_small_values_have_their_own_spread() -> None:
    assert learned(1e-13, -1e-13).std == pytest.approx(1e-13)
    assert target_moments(np.array([1e-14, -1e-14]))["std"] == pytest.approx(1e-14)


def test_few_values_are_all_knots() -> None:
    assert learned(5.0, 1.0, 1.0, 9.0).knots == (1.0, 5.0, 9.0)
    assert knots_of(np.repeat(np.arange(65), 400)).tolist() == list(range(65))


@pytest.mark.parametrize(("rows", "bins"), [(641, 16), (4096, 16), (5121, 20), (16_385, 64), (100_000, 64)])
def test_knots_have_equally_many_rows_in_between(rows: int, bins: int) -> None:
    knots = knots_of(np.random.default_rng(0).permutation(rows).astype(float))
    assert (len(knots), knots[0], knots[-1]) == (bins + 1, 0.0, rows - 1.0)
    assert np.diff(knots) == pytest.approx(rows / bins, abs=1.01)


def test_what_differs_from_a_frequent_value_shares_the_knots() -> None:
    knots = knots_of(np.concatenate([np.zeros(95_000), np.arange(1, 5001)]))
    assert len(knots) == 65
    assert knots[:2].tolist() == [0.0, pytest.approx(5000 / 64, abs=1)]
    assert np.diff(knots[1:]) == pytest.approx(5000 / 64, abs=1.01)


def test_they_do_so_where_the_frequent_value_is_no_end() -> None:
    knots = knots_of(np.concatenate([np.zeros(95_000), np.arange(-1, 5000)]))
    assert len(knots) >= 64
    assert knots[:2].tolist() == [-1.0, 0.0]
    assert np.diff(knots[2:]) == pytest.approx(5000 / 63, abs=1.01)


def test_what_is_frequent_among_the_others_takes_one_knot_each_once_the_first_has_its_own() -> None:
    """Ten values have fewer rows than lie between two knots at first, and several times as many once 0 is left out."""
    often = np.arange(250, 5000, 500)
    knots = knots_of(np.concatenate([np.arange(-1, 5000), np.zeros(95_000), np.repeat(often, 1500)]))
    assert set(often) <= set(knots)
    assert len(knots) >= 63


def test_each_frequent_value_is_a_knot() -> None:
    values = np.concatenate([np.arange(5000), np.full(20_000, 7), np.full(900, 2500), np.full(300, 4999)])
    knots = knots_of(values)
    assert {7, 2500, 4999} <= set(knots.tolist())
    assert len(knots) <= 65


def test_values_all_but_as_many_as_knots_leave_none_twice() -> None:
    for count in range(18, 80):
        values = np.repeat(np.arange(count), np.random.default_rng(count).integers(1, 60, count))
        knots = knots_of(values)
        assert (np.diff(knots) > 0).all()
        assert len(knots) <= 17
        assert (knots[0], knots[-1]) == (0, count - 1)


def test_infinite_values_count_as_missing() -> None:
    column = learned(2.0, math.inf, -math.inf, 4.0)
    assert (column.mean, column.missing) == (3.0, 0.5)


def test_a_column_without_values_is_neutral() -> None:
    column = learned(NAN, NAN)
    assert (column.mean, column.std, column.knots, column.missing) == (0.0, 1.0, (0.0,), 1.0)


def test_median_and_span_are_those_of_the_rows() -> None:
    values = [*np.repeat(np.arange(10.0), 1000), 9e29, 1e30]
    column = learned(*values)
    assert (column.median, column.span) == (5.0, 9.0)
    assert (learned(4.0, 4.0).median, learned(4.0, 4.0).span) == (4.0, 0.0)


def test_a_constant_has_the_spread_one() -> None:
    assert learned(4.0, 4.0).std == 1.0
    assert spread_of(np.zeros(0)) == 1.0


def test_target_moments_leave_unlabelled_rows_out() -> None:
    found = target_moments(np.array([1, NAN, 5, 3], np.float32))
    assert found == {"mean": 3.0, "std": pytest.approx(math.sqrt(8 / 3)), "low": 1.0, "high": 5.0}


def test_target_moments_without_labels_are_neutral() -> None:
    assert target_moments(np.array([NAN])) == {"mean": 0.0, "std": 1.0, "low": 0.0, "high": 0.0}


def test_a_short_log_is_sampled_whole() -> None:
    sample = NumberSample()
    for start in (0, 10):
        sample.add(np.arange(start, start + 10.0)[:, None])
    assert sample.rows[:, 0].tolist() == list(range(20))


@pytest.mark.parametrize("block", [1_000, 65_536, 700_001])
def test_a_long_log_is_sampled_evenly_whatever_the_blocks(block: int) -> None:
    rows = np.arange(700_001.0)[:, None]
    sample = NumberSample()
    for start in range(0, len(rows), block):
        sample.add(rows[start : start + block])
    found = sample.rows[:, 0]
    assert len(found) <= SAMPLE
    assert set(np.diff(found)) == {8.0}
    assert found[0] == 0


def test_an_empty_sample_has_no_rows() -> None:
    assert NumberSample().rows.shape == (0, 0)
