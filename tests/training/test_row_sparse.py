"""The row-sparse optimizer: which rows move, and how far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from autorec.blocks.tables import add_table
from autorec.errors import ConfigError
from autorec.training import RowSparse, rows, tables
from autorec.training.fused_adam import FusedAdam
from tests.training import small

RULES = ["adam", "adagrad", "rowwise_adagrad"]


@pytest.fixture(params=["small", "large"], autouse=True)
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fact holds on both sides of the size from which rows are gathered."""
    if request.param == "large":
        monkeypatch.setattr(rows, "SMALL", 0)


def table_of(values: Any) -> Any:
    layer = keras.layers.Layer()
    table = add_table(layer, "table", np.shape(values), "zeros")
    table.assign(values)
    return table


def slices(values: Any, ids: Any, rows: int) -> tf.IndexedSlices:
    values = tf.constant(values, tf.float32)
    return tf.IndexedSlices(values, tf.constant(ids), tf.constant([rows, values.shape[1]]))


def applied(optimizer: Any, start: np.ndarray, gradients: list[Any]) -> np.ndarray:
    table = table_of(start)
    optimizer.build([table])
    for gradient in gradients:
        optimizer.apply([gradient], [table])
    return table.numpy()


START = np.array([[1.0, -2.0], [0.5, 0.25], [3.0, 4.0]], np.float32)
GRADIENT = np.array([[0.1, -0.2], [0.3, 0.0], [-0.5, 0.05]], np.float32)


def test_lazy_adam_is_adam_where_every_row_is_in_every_batch() -> None:
    sparse = [slices(GRADIENT * scale, [0, 1, 2], 3) for scale in (1.0, -0.5, 2.0)]
    dense = [tf.constant(GRADIENT * scale) for scale in (1.0, -0.5, 2.0)]
    mine = applied(RowSparse(keras.optimizers.Adam(0.01)), START, sparse)
    np.testing.assert_allclose(mine, applied(keras.optimizers.Adam(0.01), START, dense), rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_rows_outside_the_batch_do_not_move(rule: str) -> None:
    optimizer = RowSparse("adam", rule, table_l2=0.1)
    moved = applied(optimizer, START, [slices(GRADIENT[:1], [1], 3), slices(GRADIENT[:1], [1], 3)])
    np.testing.assert_array_equal(moved[[0, 2]], START[[0, 2]])
    assert (moved[1] != START[1]).all()


@pytest.mark.parametrize("rule", RULES)
def test_duplicates_are_summed_before_the_update(rule: str) -> None:
    twice = slices([[0.1, -0.2], [0.3, 0.1], [0.2, 0.4]], [2, 0, 2], 3)
    once = slices([[0.3, 0.1], [0.3, 0.2]], [0, 2], 3)
    np.testing.assert_allclose(
        applied(RowSparse("adam", rule), START, [twice] * 2), applied(RowSparse("adam", rule), START, [once] * 2)
    )


def test_adagrad_by_hand() -> None:
    moved = applied(
        RowSparse(keras.optimizers.SGD(0.1), "adagrad", table_scale=1.0), START, [slices(GRADIENT, [0, 1, 2], 3)] * 2
    )
    step = np.sign(GRADIENT) * 0.1 * (1 + 1 / np.sqrt(2))
    np.testing.assert_allclose(moved, START - step, rtol=1e-5)


def test_rowwise_adagrad_by_hand() -> None:
    moved = applied(
        RowSparse(keras.optimizers.SGD(0.1), "rowwise_adagrad", table_scale=2.0), START, [slices([[3.0, 4.0]], [1], 3)]
    )
    root = np.sqrt((9.0 + 16.0) / 2)
    np.testing.assert_allclose(moved[1], START[1] - 0.2 * np.array([3.0, 4.0]) / root, rtol=1e-5)


def test_lazy_l2_adds_the_row_once_a_batch() -> None:
    plain = slices(0.5 * START[[1]] + GRADIENT[:1], [1], 3)
    parts = slices([0.25 * GRADIENT[0], 0.75 * GRADIENT[0]], [1, 1], 3)
    with_l2 = applied(RowSparse("adam", "adagrad", table_l2=0.5), START, [parts])
    np.testing.assert_allclose(with_l2, applied(RowSparse("adam", "adagrad"), START, [plain]), rtol=1e-5)


def test_a_dense_gradient_moves_the_rows_in_which_it_is_not_zero() -> None:
    gradient = tf.constant([[0.0, 0.0], [0.3, 0.0], [0.0, 0.0]])
    moved = applied(RowSparse("adam", table_l2=0.1), START, [gradient])
    assert (moved != START).any(axis=1).tolist() == [False, True, False]


def test_the_dense_part_follows_the_inner_optimizer() -> None:
    kernel = keras.Variable(START)
    table = table_of(START)
    optimizer = RowSparse(keras.optimizers.SGD(0.5))
    optimizer.build([kernel, table])
    optimizer.apply([tf.constant(GRADIENT), slices(GRADIENT[:1], [0], 3)], [kernel, table])
    np.testing.assert_allclose(kernel.numpy(), START - 0.5 * GRADIENT)


def test_one_learning_rate_moves_both_parts() -> None:
    kernel, table = keras.Variable(START), table_of(START)
    optimizer = RowSparse(keras.optimizers.SGD(0.5), "adagrad")
    optimizer.build([kernel, table])
    optimizer.learning_rate = 0.0
    optimizer.apply([tf.constant(GRADIENT), slices(GRADIENT, [0, 1, 2], 3)], [kernel, table])
    np.testing.assert_array_equal(kernel.numpy(), START)
    np.testing.assert_array_equal(table.numpy(), START)


def test_a_schedule_moves_tables_even_without_a_dense_part() -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.1, 0.0])
    optimizer = RowSparse(keras.optimizers.SGD(schedule), "adagrad")
    gradient = slices(GRADIENT, [0, 1, 2], 3)
    once = applied(optimizer, START, [gradient])
    again = applied(RowSparse(keras.optimizers.SGD(schedule), "adagrad"), START, [gradient] * 3)
    assert not np.array_equal(once, START)
    np.testing.assert_array_equal(again, once)


def test_reduce_on_plateau_of_keras_moves_the_rate() -> None:
    model = small.model()
    model.compile(RowSparse(keras.optimizers.Adam(0.1)), "mse", jit_compile=False)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=0, min_delta=1e9)
    part = small.part(32)
    model.fit(part.arrays, {"click": part.labels}, epochs=3, verbose=0, callbacks=[plateau])
    assert float(model.optimizer.inner.learning_rate) == pytest.approx(0.025)


@pytest.mark.parametrize("rule", RULES)
def test_a_compiled_model_goes_on_after_loading_as_if_never_saved(rule: str, tmp_path: Path) -> None:
    model, part = small.model(), small.part(64)
    model.compile(RowSparse("adam", rule, table_l2=1e-3), "mse", jit_compile=False)
    data = (part.arrays, {"click": part.labels})
    model.train_on_batch(*data)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        one.train_on_batch(*data)
    for mine, its in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_allclose(mine, its, rtol=1e-6)


def test_variables_hold_the_state_of_both_parts() -> None:
    model = small.model()
    optimizer = RowSparse("adam")
    optimizer.build(model.trainable_variables)
    table_slots = [v for v in optimizer.variables if tuple(v.shape) == tuple(tables(model)[0].shape)]
    assert len(table_slots) == 2
    assert len(optimizer.variables) == 1 + 2 + (2 + 2 * 4)  # iteration, slots; iteration, rate, moments of 4 variables


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"rule": "lazy"}, "rule"),
        ({"table_l2": -1.0}, "table_l2"),
        ({"optimizer": keras.optimizers.Adam(use_ema=True)}, "use_ema"),
        ({"optimizer": keras.optimizers.Adam(gradient_accumulation_steps=2)}, "gradient_accumulation_steps"),
        ({"optimizer": keras.optimizers.Adam(loss_scale_factor=2.0)}, "loss_scale_factor"),
    ],
)
def test_what_cannot_be_combined_with_rows_is_refused(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        RowSparse(**arguments)


def test_fused_adam_is_adam() -> None:
    variables = [keras.Variable(START), keras.Variable(START)]
    for variable, optimizer in zip(variables, (keras.optimizers.Adam(0.01), FusedAdam(0.01))):
        for scale in (1.0, -0.5, 2.0):
            optimizer.apply([tf.constant(GRADIENT * scale)], [variable])
    np.testing.assert_allclose(variables[0].numpy(), variables[1].numpy(), rtol=1e-6)


def test_tables_are_found_through_wrappers_and_nested_models() -> None:
    inner = small.model()
    ids = keras.Input((2,), dtype="int32", name="ids")
    outer = keras.Model(ids, inner({"ids": ids})["click"])
    assert [id(table) for table in tables(outer)] == [id(inner.layers[1].table)]
    assert tables(keras.Sequential([keras.layers.Dense(1)])) == []
