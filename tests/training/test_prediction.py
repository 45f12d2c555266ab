"""Predictions equal the model's own outputs."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from autorec.data.cache import Part
from autorec.data.lists import Lists
from autorec.training import predict
from autorec.training.prediction import compiled
from tests.training import small


@pytest.mark.parametrize("batch_size", [7, 50, 8192])
def test_predictions_are_the_models_outputs(batch_size: int) -> None:
    model, part = small.model("click", "like", dropout=0.5), small.part(50)
    found = predict(model, part, batch_size)
    for name, output in model(part.arrays, training=False).items():
        np.testing.assert_allclose(found[name], output.numpy()[:, 0], rtol=1e-5, atol=1e-7)
        assert found[name].dtype == np.float32


def test_no_rows_give_no_predictions() -> None:
    assert predict(small.model(), small.part(0))["click"].shape == (0,)


def test_lists_of_any_length_are_read_with_one_trace() -> None:
    ids = keras.Input((None,), dtype="int32", name="list_0")
    total = keras.ops.sum(keras.ops.cast(ids, "float32"), axis=1, keepdims=True)
    model = keras.Model({"list_0": ids}, {"sum": total})
    lists = Lists(np.array([0, 1, 4, 4, 9]), np.arange(9, dtype=np.int32))
    part = Part({"list_0": lists}, np.full((4, 1), np.nan, np.float32))
    np.testing.assert_array_equal(predict(model, part, batch_size=1)["sum"], [0, 6, 0, 30])
    assert compiled(model).experimental_get_tracing_count() == 1


def test_a_model_with_one_tensor_in_and_out_is_named_by_its_output() -> None:
    ids = keras.Input((2,), dtype="int32", name="ids")
    model = keras.Model(ids, keras.layers.Lambda(lambda x: keras.ops.sum(x, 1, keepdims=True), name="total")(ids))
    part = small.part(5)
    np.testing.assert_array_equal(predict(model, part)["total"], part.arrays["ids"].sum(axis=1))


def test_inputs_are_matched_by_name_not_by_order() -> None:
    b, a = (keras.Input((1,), dtype="float32", name=name) for name in "ba")
    model = keras.Model({"b": b, "a": a}, {"click": b - a})
    part = Part(
        {"a": np.full((3, 1), 1, np.float32), "b": np.full((3, 1), 5, np.float32)}, np.zeros((3, 1), np.float32)
    )
    np.testing.assert_array_equal(predict(model, part)["click"], [4, 4, 4])


def test_new_weights_are_seen() -> None:
    model, part = small.model(), small.part(20)
    before = predict(model, part)["click"]
    model.set_weights([weight * 2 for weight in model.get_weights()])
    assert not np.allclose(predict(model, part)["click"], before)
