"""Self-attention between fields against the paper's formula; that it reaches the output."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import SelfAttention
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
FIELDS = RANDOM.normal(size=(5, 4, 3)).astype("float32")
VECTOR = RANDOM.normal(size=(5, 3)).astype("float32")


def made(fields: int = 4, **arguments: Any) -> SelfAttention:
    """A block with random weights that let fields attend to others unevenly."""
    block = SelfAttention(**{"dim": 2, "heads": 3, "layers": 1, **arguments})
    block.build((None, fields, 3))
    random = np.random.default_rng(1)
    for weight in block.weights:
        weight.assign(random.normal(size=weight.shape))
    return block


def attended(x: np.ndarray, kernel: np.ndarray, dim: int, heads: int, *, scaled: bool, residual: bool) -> np.ndarray:
    """One layer, head by head and field by field."""
    query, key, value, *rest = np.split(kernel, 4 if residual else 3, axis=1)
    found = x @ rest[0] if residual else np.zeros((*x.shape[:2], dim * heads))
    for h in range(heads):
        part = slice(h * dim, (h + 1) * dim)
        for i in range(x.shape[1]):
            match = np.stack([((x[:, i] @ query[:, part]) * (v @ key[:, part])).sum(1) for v in x.swapaxes(0, 1)], 1)
            weights = np.exp(match / np.sqrt(dim) if scaled else match)
            weights /= weights.sum(1, keepdims=True)
            found[:, i, part] += np.einsum("bf,bfd->bd", weights, x @ value[:, part])
    return np.maximum(found, 0)


@pytest.mark.parametrize(
    ("arguments", "width"),
    [({"dim": 4, "heads": 2, "layers": 2}, 8), ({"dim": 5, "heads": 1, "layers": 1, "residual": False}, 5)],
)
def test_it_holds_what_every_block_holds(arguments: dict[str, Any], width: int) -> None:
    check_block(SelfAttention, arguments, [VECTOR, FIELDS], output_shape=(5, 5, width))


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
def test_layers_are_the_papers_formula(scaled: bool, residual: bool) -> None:
    block = made(layers=2, scaled=scaled, residual=residual)
    x = FIELDS
    for kernel in block.get_weights():
        x = attended(x, 0.5 * kernel, 2, 3, scaled=scaled, residual=residual)
    block.set_weights([0.5 * kernel for kernel in block.get_weights()])
    np.testing.assert_allclose(block(FIELDS), x, rtol=1e-3, atol=1e-4)


def test_what_a_field_attends_to_sums_to_one() -> None:
    attention = made(layers=2).attention(FIELDS)
    assert [weights.shape for weights in attention] == [(5, 3, 4, 4)] * 2
    for weights in attention:
        np.testing.assert_allclose(np.sum(weights, axis=-1), 1, rtol=1e-5)


def test_one_field_attends_to_itself_and_keeps_its_value() -> None:
    block = made(fields=1, residual=False)
    value = block.get_weights()[0][:, 12:]
    np.testing.assert_allclose(block(VECTOR)[:, 0], np.maximum(VECTOR @ value, 0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("part", range(4), ids=["query", "key", "value", "residual"])
def test_every_part_of_a_kernel_reaches_the_output(part: int) -> None:
    block = made()
    before = np.array(block(FIELDS))
    kernel = block.get_weights()[0]
    kernel[:, 6 * part : 6 * part + 6] *= -1
    block.set_weights([kernel])
    assert np.abs(block(FIELDS) - before).max() > 0.1


def test_a_field_depends_on_the_others() -> None:
    block, changed = made(), FIELDS.copy()
    changed[:, 3] += 1
    assert np.abs(block(changed)[:, 0] - block(FIELDS)[:, 0]).max() > 0.01


def test_without_a_residual_it_is_false_has_no_kernel_and_leaves_the_space() -> None:
    hp = kt.HyperParameters()
    block = SelfAttention.tune(hp, residual=False, layers=1, dim=4, heads=1)
    block.build((None, 2, 3))
    assert block.residual is False
    assert [tuple(weight.shape) for weight in block.weights] == [(3, 12)]
    assert hp.space == []


def test_inputs_of_several_widths_are_projected_to_the_least() -> None:
    block = SelfAttention(dim=4, layers=1)
    assert block([FIELDS, np.ones((5, 7), "float32")]).shape == (5, 5, 8)
    assert [tuple(weight.shape) for weight in block.weights] == [(3, 32), (7, 3)]


@pytest.mark.parametrize(
    ("argument", "value"), [("dim", 0), ("heads", 1.5), ("layers", 0), ("residual", None), ("scaled", "yes")]
)
def test_what_is_not_allowed_is_named(argument: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"`{argument}` must be .* got {value!r}"):
        SelfAttention(**{argument: value})
