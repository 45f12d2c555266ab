"""Batch size and epochs by the number of rows."""

from __future__ import annotations

import pytest

from autorec.training import default_batch_size, default_epochs


@pytest.mark.parametrize(("rows", "expected"), [(1, 256), (10_000, 256), (80_000, 1024), (10**6, 4096), (10**9, 4096)])
def test_batch_sizes_are_powers_of_two_within_limits(rows: int, expected: int) -> None:
    assert default_batch_size(rows) == expected


def test_more_rows_need_fewer_epochs() -> None:
    assert [default_epochs(rows) for rows in (0, 10_000, 80_000, 10**6)] == [100, 100, 50, 10]
