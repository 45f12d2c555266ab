"""Gates on inputs: where they start, what sets them."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.blocks import FeatureGate
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
VECTOR = RANDOM.normal(size=(5, 4)).astype("float32")
FIELDS = RANDOM.normal(size=(5, 2, 3)).astype("float32")
START = np.concatenate([VECTOR, FIELDS.reshape(5, 6)], axis=1)


def test_it_holds_what_every_block_holds() -> None:
    check_block(FeatureGate, {"hidden": 3}, [VECTOR, FIELDS], output_shape=(5, 10))


def test_it_holds_so_with_a_context() -> None:
    check_block(FeatureGate, {"hidden": 3}, FIELDS, keywords={"context": [VECTOR]}, output_shape=(5, 6))


def test_gates_start_at_one() -> None:
    np.testing.assert_array_equal(FeatureGate()([VECTOR, FIELDS]), START)


def test_gates_are_the_papers_formula() -> None:
    block = FeatureGate(hidden=3)
    block(FIELDS, context=VECTOR)
    random = np.random.default_rng(1)
    block.set_weights([random.normal(size=weight.shape) for weight in block.weights])
    first, bias, second, shift = block.get_weights()
    scores = np.maximum(VECTOR @ first + bias, 0) @ second + shift
    expected = 2 / (1 + np.exp(-scores)) * FIELDS.reshape(5, 6)
    np.testing.assert_allclose(block(FIELDS, context=VECTOR), expected, rtol=1e-4, atol=1e-5)


def test_the_width_of_the_hidden_layer_is_positive() -> None:
    with pytest.raises(ConfigError, match="`hidden` must be a whole number of 1 or more, got 0"):
        FeatureGate(hidden=0)
