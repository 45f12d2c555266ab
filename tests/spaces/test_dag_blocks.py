"""The kinds of blocks of the DAG, by their formulas."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from autorec.spaces.dag_blocks import DAG_BLOCKS, BlockInputs, bounded

DIM, ROWS = 4, 5
RANDOM = np.random.default_rng(0)
# The second vector is as wide as fields are; the second fields are not.
DENSE = [RANDOM.normal(size=(ROWS, 3)).astype("float32"), RANDOM.normal(size=(ROWS, DIM)).astype("float32")]
FIELDS = [RANDOM.normal(size=(ROWS, 3, DIM)).astype("float32"), RANDOM.normal(size=(ROWS, 2, 6)).astype("float32")]
PAST = [RANDOM.normal(size=(ROWS, 3, DIM)), np.tile([[2, 3, 0]], (ROWS, 1)), RANDOM.normal(size=(ROWS, DIM))]


def model_of(kind: str, dense: list[Any], fields: list[Any]) -> tuple[keras.Model, np.ndarray]:
    """A model that returns the rows of M and the output of a block on them, and that output for the given arrays."""
    past = PAST if kind == "history" else []
    inputs = [[keras.Input(array.shape[1:]) for array in arrays] for arrays in (dense, fields, past)]
    block = BlockInputs(*inputs[:2], DIM, [inputs[2]] if past else [])
    model = keras.Model([*inputs[0], *inputs[1], *inputs[2]], DAG_BLOCKS[kind].make(block, 7))
    return model, np.array(model([*dense, *fields, *past]))


def by_kind(model: keras.Model, kind: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, kind)]


def matrix(model: keras.Model) -> np.ndarray:
    """M, computed with the weights of a model on DENSE and the first of FIELDS."""
    row = by_kind(model, keras.layers.Dense)[0]
    values = np.concatenate(DENSE, 1) @ row.kernel.numpy() + row.bias.numpy()
    values = values / np.sqrt(1 + (values**2).mean(1, keepdims=True))
    return np.concatenate([values[:, None], FIELDS[0]], axis=1)


@pytest.mark.parametrize("kind", list(DAG_BLOCKS))
@pytest.mark.parametrize(("dense", "fields"), [(DENSE, FIELDS), (DENSE[:1], []), ([], FIELDS[1:])])
def test_every_kind_takes_vectors_fields_or_both(kind: str, dense: list[Any], fields: list[Any]) -> None:
    _, output = model_of(kind, dense, fields)
    assert output.shape[0] == ROWS
    assert output.ndim == (3 if kind in ("self_attention", "field_mlp") else 2)
    assert output.ndim == 2 or output.shape[2] == DIM
    assert np.isfinite(output).all()


def test_an_mlp_is_one_layer_on_everything() -> None:
    model, output = model_of("mlp", DENSE, FIELDS)
    kernel, bias = model.get_weights()
    everything = np.concatenate([*DENSE, *(field.reshape(ROWS, -1) for field in FIELDS)], 1)
    np.testing.assert_allclose(output, np.maximum(everything @ kernel + bias, 0), rtol=1e-4, atol=1e-5)
    assert output.shape == (ROWS, 7)


def test_a_factorization_machine_is_its_sum_over_pairs_and_a_first_order_term() -> None:
    model, output = model_of("fm", DENSE, FIELDS[:1])
    m, first = matrix(model), by_kind(model, keras.layers.Dense)[1].kernel.numpy()[:, 0]
    pairs = sum((m[:, i] * m[:, j]).sum(1) for i in range(4) for j in range(i))
    np.testing.assert_allclose(output[:, 0], m.reshape(ROWS, -1) @ first + pairs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", range(1, 9))
def test_dot_products_are_the_triangle_with_its_diagonal(count: int) -> None:
    fields = RANDOM.normal(size=(ROWS, count, DIM)).astype("float32")
    _, output = model_of("dot", [], [fields])
    whole = np.einsum("bid,bjd->bij", fields, fields)
    assert output.shape == (ROWS, count * (count + 1) // 2)
    upper = whole[:, *np.triu_indices(count)]
    np.testing.assert_allclose(np.sort(output, 1), np.sort(upper, 1), rtol=1e-4, atol=1e-5)


def test_all_vectors_are_one_row_of_the_matrix_and_fields_of_another_width_are_mapped() -> None:
    model, output = model_of("dot", DENSE, FIELDS)
    assert output.shape == (ROWS, 6 * 7 // 2)  # 1 row of vectors, 3 and 2 fields
    assert [tuple(layer.kernel.shape) for layer in by_kind(model, keras.layers.Dense)] == [(7, DIM), (6, DIM)]


def test_a_bounded_vector_keeps_a_short_one_and_ends_at_a_mean_square_of_one() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, bounded(inputs))
    short, long = np.full((1, 4), 0.01, "float32"), np.array([[3e4, -1e4, 2e4, 0]], "float32")
    np.testing.assert_allclose(model(short), short, rtol=1e-3)
    np.testing.assert_allclose((np.array(model(long)) ** 2).mean(), 1.0, rtol=1e-3)


def test_a_history_is_read_with_what_the_block_reads_in_view() -> None:
    changed = [DENSE[0] + 1, DENSE[1]]
    model, output = model_of("history", DENSE, FIELDS)
    assert output.shape == (ROWS, 32 * 4)
    assert np.abs(model([*changed, *FIELDS, *PAST]) - output).max() > 1e-4  # it starts quiet


def test_products_of_products_stay_bounded() -> None:
    vector, fields = keras.Input((3,)), keras.Input((3, DIM))
    outputs: list[Any] = [vector]
    for _ in range(7):
        outputs.append(DAG_BLOCKS["dot"].make(BlockInputs(outputs[-1:], [fields], DIM), 0))
    model = keras.Model([vector, fields], outputs[1:])
    values = model([np.full((1, 3), 1e3, "float32"), FIELDS[0][:1]])
    assert max(float(np.abs(value).max()) for value in values) < 30


def test_a_product_of_two_fields_is_their_inner_product() -> None:
    fields = FIELDS[0][:, :2]
    _, output = model_of("inner_product", [], [fields])
    np.testing.assert_allclose(output[:, 0], (fields[:, 0] * fields[:, 1]).sum(1), rtol=1e-5, atol=1e-6)
    _, whole = model_of("product", [], [fields])
    np.testing.assert_allclose(whole, fields[:, 0] * fields[:, 1], rtol=1e-5)
