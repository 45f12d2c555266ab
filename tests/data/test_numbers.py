"""What is learned about number columns, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autorec.data.layout import NumberColumn
from autorec.data.numbers import QUANTILES, SAMPLE, NumberSample, number_columns, spread_of, target_moments

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


def test_quantiles_are_distinct_and_hold_both_ends() -> None:
    assert learned(5.0, 1.0, 1.0, 9.0).quantiles == (1.0, 5.0, 9.0)


def test_many_values_have_65_evenly_spaced_quantiles() -> None:
    column = learned(*range(641))
    assert column.quantiles == tuple(float(10 * i) for i in range(QUANTILES))


def test_infinite_values_count_as_missing() -> None:
    column = learned(2.0, math.inf, -math.inf, 4.0)
    assert (column.mean, column.missing) == (3.0, 0.5)


def test_a_column_without_values_is_neutral() -> None:
    column = learned(NAN, NAN)
    assert (column.mean, column.std, column.quantiles, column.missing) == (0.0, 1.0, (0.0,), 1.0)


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
