"""Which rows of a table an update goes over."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from autorec.training import rows

DIM = 16
MIDDLE = 60_000  # rows of a table of middling size


def kind(table_rows: int, ids: int) -> str:
    found: list[Any] = []
    gradient = tf.IndexedSlices(tf.ones((ids, DIM)), tf.range(ids), tf.constant([table_rows, DIM]))
    rows.update_rows(tf.Variable(tf.zeros((table_rows, DIM))), gradient, found.append)
    return type(found[0]).__name__


@pytest.mark.parametrize(
    ("table_rows", "ids", "expected"),
    [
        (100, 1, "DenseRows"),
        (20_000, 1, "DenseRows"),
        (MIDDLE, MIDDLE // 2, "DenseRows"),
        (MIDDLE, MIDDLE // 2 - 1, "SparseRows"),
        (250_001, 200_000, "SparseRows"),
    ],
)
def test_a_table_is_gone_over_whole_if_small_or_if_the_batch_has_half_its_rows(
    table_rows: int, ids: int, expected: str
) -> None:
    assert kind(table_rows, ids) == expected
