"""Limits of a cheap trial reach what the features make."""

from __future__ import annotations

import keras
import keras_tuner as kt

from autorec.data.layout import Layout
from autorec.spaces import Features
from autorec.spaces.limits import limited_cap, limited_dim, using_limits


def table_of(layout: Layout, **arguments: object) -> tuple[int, ...]:
    features = Features(layout, kt.HyperParameters(), **arguments)
    (table,) = keras.Model(features.inputs, features.fields()).weights
    return tuple(table.shape)


def test_a_vocabulary_limit_makes_each_table_smaller(layouts: dict[str, Layout]) -> None:
    rows, dim = table_of(layouts["ids"])
    with using_limits(vocabulary=6):
        assert table_of(layouts["ids"]) == (6 + 6 + 5, dim)
    assert table_of(layouts["ids"]) == (rows, dim) == (12 + 9 + 5, 16)


def test_a_width_limit_makes_the_fields_narrower_and_declares_what_it_did(layouts: dict[str, Layout]) -> None:
    with using_limits(dim=4):
        assert table_of(layouts["ids"])[1] == 4
        assert table_of(layouts["ids"], dim=2)[1] == 2
        hp = kt.HyperParameters()
        assert Features(layouts["ids"], hp).dim == 4
    assert hp.values == {"features/dim": 16}


def test_the_lower_limit_wins_and_a_table_keeps_its_reserved_rows() -> None:
    with using_limits(vocabulary=100, dim=8):
        assert (limited_cap(None), limited_cap(50), limited_cap(200)) == (100, 50, 100)
        assert (limited_dim(4), limited_dim(16)) == (4, 8)
        with using_limits(vocabulary=1):
            assert limited_cap(None) == 2
    assert limited_cap(None) is None
    assert limited_dim(16) == 16
