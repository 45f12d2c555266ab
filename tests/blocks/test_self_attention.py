"""Self-attention: it reaches the output, and is what the formula says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autorec.blocks import SelfAttention
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

FIELDS = np.random.default_rng(0).normal(size=(6, 4, 3)).astype("float32")


@pytest.mark.parametrize("residual", [False, True])
def test_it_holds_what_every_block_holds(residual: bool) -> None:
    arguments = {"dim": 4, "heads": 2, "layers": 2, "residual": residual}
    check_block(SelfAttention, arguments, FIELDS, output_shape=(6, 4, 8))


def test_rows_of_the_attention_sum_to_one() -> None:
    block = SelfAttention(dim=4, heads=3)
    block(FIELDS)
    found = np.asarray(block.attention(FIELDS))
    assert found.shape == (6, 3, 4, 4)
    np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-5)


def test_one_head_is_the_formula() -> None:
    block = SelfAttention(dim=2, heads=1, layers=1, scaled=False)
    found = block(FIELDS)
    q, k, v, r = np.split(block.kernels[0].numpy(), 4, axis=1)
    scores = np.exp((FIELDS @ q) @ (FIELDS @ k).transpose(0, 2, 1))
    attention = scores / scores.sum(-1, keepdims=True)
    np.testing.assert_allclose(found, np.maximum(attention @ (FIELDS @ v) + FIELDS @ r, 0), rtol=1e-3, atol=1e-5)


def test_heads_stand_side_by_side() -> None:
    block = SelfAttention(dim=2, heads=2, layers=1, residual=False)
    found = np.asarray(block(FIELDS))
    one = SelfAttention(dim=2, heads=1, layers=1, residual=False)
    one(FIELDS)
    kernel = block.kernels[0].numpy()
    one.kernels[0].assign(np.concatenate([kernel[:, part * 4 + 2 : part * 4 + 4] for part in range(3)], 1))
    np.testing.assert_allclose(found[:, :, 2:], one(FIELDS), rtol=1e-4, atol=1e-5)


def test_the_attention_reaches_the_output() -> None:
    block = SelfAttention(dim=4, heads=1, layers=1)
    before = np.asarray(block(FIELDS))
    kernel = block.kernels[0].numpy()
    kernel[:, :4] += 1.0  # the queries
    block.kernels[0].assign(kernel)
    assert np.abs(np.asarray(block(FIELDS)) - before).max() > 1e-3


def test_one_field_attends_to_itself() -> None:
    block = SelfAttention(dim=2, heads=1, layers=1, residual=False)
    found = block(FIELDS[:, :1])
    values = block.kernels[0].numpy()[:, 4:6]
    np.testing.assert_allclose(found, np.maximum(FIELDS[:, :1] @ values, 0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bad", [{"dim": 0}, {"heads": 0}, {"layers": True}])
def test_a_wrong_argument_is_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(bad))}`"):
        SelfAttention(**bad)
