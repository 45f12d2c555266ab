"""All inputs side by side."""

from __future__ import annotations

import numpy as np

from autorec.blocks import Concatenate
from autorec.blocks.testing import check_block

VECTOR = np.array([[1, 2], [3, 4]], "float32")
FIELDS = np.arange(12, dtype="float32").reshape(2, 3, 2)


def test_it_holds_what_every_block_holds() -> None:
    check_block(Concatenate, {}, [VECTOR, FIELDS], output_shape=(2, 8), learns=False)


def test_fields_are_flattened_and_the_order_is_kept() -> None:
    np.testing.assert_array_equal(Concatenate()([FIELDS, VECTOR])[0], [0, 1, 2, 3, 4, 5, 1, 2])


def test_one_vector_stays_what_it_is() -> None:
    np.testing.assert_array_equal(Concatenate()(VECTOR), VECTOR)
