"""What a model falls back on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autorec.training import good_weights, tables
from autorec.training.good_weights import GoodWeights
from tests.training import small


def spoil(model: Any) -> None:
    """Moves every trainable weight, and makes one of each not finite."""
    for weight in model.trainable_variables:
        values = weight.numpy() + 1.0
        values.flat[0] = np.nan
        weight.assign(values)


def test_all_weights_come_back() -> None:
    model = small.model(dropout=0.5)  # with a random state, which is not of floats
    before, good = model.get_weights(), GoodWeights(model)
    spoil(model)
    good.restore(model)
    for mine, kept in zip(model.get_weights(), before):
        np.testing.assert_array_equal(mine, kept)


def test_a_large_table_loses_only_the_rows_that_are_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(good_weights, "SMALL", 0)
    model = small.model()
    kernel, good = model.layers[-1].kernel.numpy(), GoodWeights(model)
    spoil(model)
    moved = tables(model)[0].numpy()
    good.restore(model)
    np.testing.assert_array_equal(tables(model)[0].numpy(), [np.zeros(4), *moved[1:]])
    np.testing.assert_array_equal(model.layers[-1].kernel.numpy(), kernel)


def test_a_large_table_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(good_weights, "SMALL", 0)
    model = small.model()
    held = [value for value in GoodWeights(model)._values if value is not None]
    assert len(held) == len(model.weights) - 1


def test_weights_that_are_not_finite_are_not_kept() -> None:
    model = small.model()
    before, good = model.get_weights(), GoodWeights(model)
    spoil(model)
    assert not good.keep(model)
    good.restore(model)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
