"""Tables: made in one way, found in every model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from autorec.blocks import FieldEmbedding
from autorec.blocks.tables import add_table
from autorec.training import tables


class TwoTables(keras.layers.Layer):
    def build(self, input_shape: Any) -> None:
        self.users = add_table(self, "users", (5, 2))
        self.items = add_table(self, "items", (7, 2), "ones")
        self.built = True

    def call(self, inputs: Any) -> Any:
        return keras.ops.take(self.users, inputs, axis=0) + keras.ops.take(self.items, inputs, axis=0)


def embedding(**kwargs: Any) -> FieldEmbedding:
    return FieldEmbedding(sizes=[5], dim=2, columns=[0, 0], **kwargs)


def test_a_layer_may_have_several_tables() -> None:
    layer = TwoTables()
    layer(np.array([[0, 1]]))
    assert tables(layer) == [layer.users, layer.items]
    assert layer.users.is_table
    np.testing.assert_array_equal(layer.items, np.ones((7, 2)))


def test_a_table_is_tracked_once_and_trained() -> None:
    layer = TwoTables()
    layer(np.array([[0, 1]]))
    assert [weight.name for weight in layer.trainable_variables] == ["users", "items"]


@pytest.mark.parametrize("policy", ["bfloat16", "mixed_bfloat16", "float32"])
def test_a_table_is_float32_under_any_policy(policy: str) -> None:
    layer = TwoTables(dtype=policy)
    layer(np.array([[0, 1]]))
    assert layer.users.dtype == "float32"


def test_tables_are_found_through_nested_models_and_wrappers_in_order() -> None:
    inputs = keras.Input((2,), dtype="int32")
    first, second = embedding(name="first"), embedding(name="second")
    inner = keras.Model(inputs, first(inputs))
    lists = keras.Input((3, 2), dtype="int32")
    outputs = keras.layers.TimeDistributed(second)(lists)
    model = keras.Model([inputs, lists], [inner(inputs), outputs])
    assert {id(table) for table in tables(model)} == {id(first.table), id(second.table)}


def test_a_table_shared_by_two_calls_is_found_once() -> None:
    a, b = keras.Input((2,), dtype="int32"), keras.Input((2,), dtype="int32")
    layer = embedding()
    assert len(tables(keras.Model([a, b], [layer(a), layer(b)]))) == 1


def test_a_model_without_tables_has_none() -> None:
    inputs = keras.Input((2,))
    assert tables(keras.Model(inputs, keras.layers.Dense(3)(inputs))) == []


def test_tables_of_a_loaded_model_are_found(tmp_path: Any) -> None:
    inputs = keras.Input((2,), dtype="int32")
    keras.Model(inputs, embedding()(inputs)).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [tuple(table.shape) for table in tables(loaded)] == [(5, 2)]
