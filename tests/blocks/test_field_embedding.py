"""One stacked table: offsets, unknown ids, given rows, sparse gradients."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from autorec.blocks import FieldEmbedding
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

IDS = np.array([[0, 2], [3, 1], [4, 4], [1, 0]], "int32")
BAG = np.array([[3, 2, 0], [0, 0, 0], [4, 9, 1], [2, 2, 2]], "int32")


def numbered(layer: FieldEmbedding, inputs: Any) -> Any:
    """Sets each row of the table to its number, and returns which rows the inputs get."""
    layer(inputs)
    rows, dim = layer.table.shape
    layer.table.assign(np.repeat(np.arange(rows, dtype="float32")[:, None], dim, axis=1))
    return [ops.convert_to_numpy(x)[..., 0] for x in layer(inputs)]


def test_ids_alone_hold_what_every_block_holds() -> None:
    check_block(FieldEmbedding, {"sizes": [5, 5], "dim": 4, "columns": [0, 1]}, IDS, output_shape=(4, 2, 4))


def test_ids_with_lists_hold_what_every_block_holds() -> None:
    arguments = {"sizes": [5, 5], "dim": 4, "columns": [0, 1], "lists": [0], "caps": [None, 3]}
    check_block(FieldEmbedding, arguments, [IDS, BAG], output_shape=(4, 2, 4))


def test_each_column_reads_behind_the_tables_before_its_own() -> None:
    layer = FieldEmbedding(sizes=[5, 6], dim=2, columns=[0, 1])
    (found,) = numbered(layer, [IDS])
    np.testing.assert_array_equal(found, [[0, 7], [3, 6], [4, 9], [1, 5]])


def test_columns_and_lists_of_one_table_share_its_rows() -> None:
    layer = FieldEmbedding(sizes=[7, 5], dim=2, columns=[1, 1], lists=[1])
    ids, bag = numbered(layer, [IDS, BAG])
    np.testing.assert_array_equal(ids, IDS + 7)
    np.testing.assert_array_equal(bag[0], [10, 9, 7])


def test_an_id_at_or_above_the_size_is_unknown() -> None:
    (found,) = numbered(FieldEmbedding(sizes=[4], dim=2, columns=[0]), [np.array([[3], [4], [99]], "int32")])
    np.testing.assert_array_equal(found, [[3], [1], [1]])


def test_a_cap_makes_a_smaller_table_and_rarer_ids_unknown() -> None:
    layer = FieldEmbedding(sizes=[100, 5], dim=2, columns=[0, 1], caps=[3, 50])
    (found,) = numbered(layer, [np.array([[2, 2], [3, 4]], "int32")])
    assert layer.table.shape == (3 + 5, 2)
    np.testing.assert_array_equal(found, [[2, 5], [1, 7]])


def test_lists_without_columns_come_back_alone() -> None:
    layer = FieldEmbedding(sizes=[5], dim=2, columns=[], lists=[0])
    (bag,) = layer([BAG])
    assert bag.shape == (4, 3, 2)


def test_lists_of_no_length_are_empty() -> None:
    layer = FieldEmbedding(sizes=[5, 5], dim=2, columns=[0, 1], lists=[0])
    assert layer([IDS, np.zeros((4, 0), "int32")])[1].shape == (4, 0, 2)


def test_given_vectors_stand_in_their_rows_and_first_columns() -> None:
    vectors = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "float32")
    layer = FieldEmbedding(
        sizes=[4, 6], dim=3, columns=[0, 1], caps=[None, 5], initial=[None, (np.array([2, 0, 5]), vectors)]
    )
    layer(IDS)
    table = ops.convert_to_numpy(layer.table)
    np.testing.assert_array_equal(table[[4 + 2, 4 + 0], :2], vectors[:2])
    assert np.abs(table[:, 2]).max() < 0.1
    assert table.shape == (4 + 5, 3)


def test_the_configuration_holds_no_vectors_and_the_file_their_values(tmp_path: Any) -> None:
    initial = [(np.array([2]), np.full((1, 4), 7.0))]
    layer = FieldEmbedding(sizes=[5], dim=4, columns=[0, 0], initial=initial)
    inputs = keras.Input((2,), dtype="int32")
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert layer.get_config()["initial"] is None
    np.testing.assert_array_equal(loaded(np.array([[2, 2]], "int32")), np.full((1, 2, 4), 7.0))


def test_rows_start_small_and_not_at_zero() -> None:
    layer = FieldEmbedding(sizes=[1000], dim=16, columns=[0, 0])
    layer(IDS)
    table = ops.convert_to_numpy(layer.table)
    assert table.std() == pytest.approx(0.05 / np.sqrt(3), rel=0.1)
    assert np.abs(table[0]).max() > 0


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_gradient_has_the_touched_rows_only(policy: str) -> None:
    layer = FieldEmbedding(sizes=[1000, 5], dim=4, columns=[0, 1], lists=[0], dtype=policy)
    with tf.GradientTape() as tape:
        loss = sum(ops.sum(ops.cast(x, "float32")) for x in layer([IDS, BAG]))
    gradient = tape.gradient(loss, layer.table.value)
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.values.shape == (IDS.size + BAG.size, 4)


def test_rows_are_cast_after_they_are_gathered() -> None:
    layer = FieldEmbedding(sizes=[5, 5], dim=4, columns=[0, 1], dtype="mixed_bfloat16")
    assert layer(IDS).dtype == "bfloat16"
    assert layer.table.dtype == "float32"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("sizes", [5, 1]),
        ("sizes", []),
        ("dim", 0),
        ("columns", [0, 2]),
        ("columns", []),
        ("lists", [-1]),
        ("caps", [0, 5]),
        ("caps", [5]),
        ("initial", [None]),
        ("initial", [None, (np.zeros(2), np.zeros((2, 9)))]),
        ("initial", [None, (np.zeros(2), np.zeros((3, 4)))]),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(argument: str, value: Any) -> None:
    good = {"sizes": [5, 5], "dim": 4, "columns": [0, 1]}
    with pytest.raises(ConfigError, match=f"`{argument}` must be"):
        FieldEmbedding(**{**good, argument: value})


def test_inputs_that_do_not_fit_the_columns_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 columns of ids and 1 lists"):
        FieldEmbedding(sizes=[5], dim=4, columns=[0, 0], lists=[0])(IDS)


def test_rows_are_gathered_from_the_variable_without_reading_the_table() -> None:
    layer = FieldEmbedding([50], 4, [0])
    layer.build((None, 1))
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((None, 1), tf.int32)).graph
    operations = {operation.type for operation in graph.get_operations()}
    assert "ResourceGather" in operations
    assert "GatherV2" not in operations
