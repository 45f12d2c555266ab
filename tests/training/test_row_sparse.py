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


@pytest.fixture(params=["small", "medium", "large"], autouse=True)
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fact holds for tables of which all rows are gone over, of which it hangs on the batch, or of which none."""
    if request.param != "small":
        monkeypatch.setattr(rows, "SMALL", 0)
    if request.param == "large":
        monkeypatch.setattr(rows, "MEDIUM", 0)


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
def test_moments_outside_the_batch_do_not_move(rule: str) -> None:
    optimizer, table = RowSparse("adam", rule, table_l2=0.1, table_decay=0.1), table_of(START)
    optimizer.build([table])
    optimizer.apply([slices(GRADIENT, [0, 1, 2], 3)], [table])
    before = [slot.numpy() for slot in optimizer._slots[0]]
    optimizer.apply([slices(GRADIENT[:1], [1], 3)], [table])
    for slot, old in zip(optimizer._slots[0], before):
        np.testing.assert_array_equal(slot.numpy()[[0, 2]], old[[0, 2]])
        assert (slot.numpy()[1] != old[1]).all()


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


def test_decay_is_that_of_adamw_where_every_row_is_in_every_batch() -> None:
    sparse = [slices(GRADIENT * scale, [0, 1, 2], 3) for scale in (1.0, -0.5, 2.0)]
    dense = [tf.constant(GRADIENT * scale) for scale in (1.0, -0.5, 2.0)]
    mine = applied(RowSparse(keras.optimizers.Adam(0.01), table_decay=0.3), START, sparse)
    its = applied(keras.optimizers.AdamW(0.01, weight_decay=0.3), START, dense)
    np.testing.assert_allclose(mine, its, rtol=1e-6)


@pytest.mark.parametrize("rule", ["adagrad", "rowwise_adagrad"])
def test_decay_shrinks_a_row_once_a_batch_by_the_tables_rate(rule: str) -> None:
    gradient = slices([GRADIENT[0], GRADIENT[0]], [1, 1], 3)
    plain, decayed = (
        applied(RowSparse(keras.optimizers.SGD(0.01), rule, table_decay=decay, table_scale=2.0), START, [gradient])
        for decay in (0.0, 0.3)
    )
    np.testing.assert_allclose(decayed[1], plain[1] - 0.3 * 0.02 * START[1], rtol=1e-5)


def test_the_optimizers_own_decay_and_clipping_act_on_the_dense_part_alone() -> None:
    inner = keras.optimizers.AdamW(0.01, weight_decay=0.5, global_clipnorm=1e-3)
    kernel, table = keras.Variable(START), table_of(START)
    optimizer = RowSparse(inner, "adagrad", table_scale=1.0)
    optimizer.build([kernel, table])
    optimizer.apply([tf.zeros_like(START), slices(GRADIENT[:1], [0], 3)], [kernel, table])
    np.testing.assert_allclose(kernel.numpy(), START * (1 - 0.01 * 0.5), rtol=1e-6)
    np.testing.assert_array_equal(table.numpy()[1:], START[1:])
    np.testing.assert_allclose(table.numpy()[0], START[0] - 0.01 * np.sign(GRADIENT[0]), rtol=1e-5)


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_a_batch_without_ids_moves_nothing(kind: str) -> None:
    none = tf.IndexedSlices(tf.zeros((0, 2)), tf.zeros((0,), kind), tf.constant([3, 2]))
    np.testing.assert_array_equal(applied(RowSparse("adam", table_l2=0.1), START, [none]), START)


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
    model.compile(RowSparse("adam", rule, table_l2=1e-3, table_decay=1e-2), "mse", jit_compile=False)
    data = (part.arrays, {"click": part.labels})
    model.train_on_batch(*data)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        one.train_on_batch(*data)
    for mine, its in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_allclose(mine, its, rtol=1e-6)


def test_a_learning_rate_scheduler_of_keras_moves_the_rate() -> None:
    model, part, start = small.model(), small.part(32), small.model().get_weights()
    model.compile(RowSparse("adam", table_l2=0.1), "mse", jit_compile=False)
    still = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    model.fit(part.arrays, {"click": part.labels}, epochs=1, verbose=0, callbacks=[still])
    for mine, first in zip(model.get_weights(), start):
        np.testing.assert_array_equal(mine, first)


def test_a_training_step_of_ones_own_is_that_of_fit() -> None:
    fitted, own, part = small.model(), small.model(), small.part(32)
    fitted.compile(RowSparse("adam"), "mse", jit_compile=False)
    fitted.fit(part.arrays, {"click": part.labels}, batch_size=32, epochs=2, verbose=0)
    optimizer = RowSparse("adam")

    @tf.function
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(own(x)["click"] - y))
        optimizer.apply_gradients(zip(tape.gradient(loss, own.trainable_variables), own.trainable_variables))

    for _ in range(2):
        step(part.arrays, part.labels)
    for mine, its in zip(own.get_weights(), fitted.get_weights()):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("first", [0, 1])
def test_a_part_of_the_variables_can_be_updated_alone(first: int) -> None:
    variables: list[Any] = [keras.Variable(START), table_of(START)]
    gradients = [tf.constant(GRADIENT), slices(GRADIENT, [0, 1, 2], 3)]
    optimizer = RowSparse(keras.optimizers.SGD(0.5), "adagrad")
    optimizer.build(variables)
    optimizer.apply([gradients[first]], [variables[first]])
    assert (variables[first].numpy() != START).any()
    np.testing.assert_array_equal(variables[1 - first].numpy(), START)


def gathered_twice(optimizer: Any, ids: list[list[int]]) -> np.ndarray:
    """Trains a step on a table that is read once for each list of ids."""
    table = table_of(START)
    with tf.GradientTape() as tape:
        read = [keras.ops.take(table, tf.constant(some), axis=0) for some in ids]
        loss = tf.add_n([tf.reduce_sum(tf.square(rows)) for rows in read])
    optimizer.build([table])
    gradient = tape.gradient(loss, table.value)
    assert isinstance(gradient, tf.IndexedSlices)
    optimizer.apply([gradient], [table])
    return table.numpy()


@pytest.mark.parametrize("rule", RULES)
def test_two_gathers_of_one_table_are_one_batch(rule: str) -> None:
    twice = gathered_twice(RowSparse("adam", rule, table_l2=0.1), [[0, 1], [1]])
    np.testing.assert_allclose(twice, gathered_twice(RowSparse("adam", rule, table_l2=0.1), [[1, 0, 1]]), rtol=1e-6)
    np.testing.assert_array_equal(twice[2], START[2])


def test_under_mixed_precision_rows_stay_sparse_and_float32() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small.model()
    finally:
        keras.config.set_dtype_policy(before)
    table = tables(model)[0]
    first = table.numpy()
    model.compile(RowSparse("adam"), "mse", jit_compile=False)
    model.train_on_batch({"ids": np.array([[3, 5]], np.int32)}, {"click": np.ones((1, 1))})
    assert table.dtype == "float32"
    assert np.flatnonzero((table.numpy() != first).any(axis=1)).tolist() == [3, small.SIZE + 5]


def test_xla_is_refused_by_name_for_a_large_table_alone() -> None:
    model, part = small.model(), small.part(32)
    model.compile(RowSparse("adam"), "mse", jit_compile=True)
    data = (part.arrays, {"click": part.labels})
    if rows.SMALL:
        assert np.isfinite(model.train_on_batch(*data))
        return
    with pytest.raises(ConfigError, match=r"`jit_compile` must be False .* table of 40 rows of 4, got True"):
        model.train_on_batch(*data)


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
        ({"table_l2": "much"}, "table_l2"),
        ({"table_decay": float("nan")}, "table_decay"),
        ({"table_scale": 0.0}, "table_scale"),
        ({"beta_1": 1.0}, "beta_1"),
        ({"beta_2": -0.1}, "beta_2"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"optimizer": tf.Module()}, "keras.optimizers.Optimizer"),
        ({"optimizer": "adamm"}, "keras.optimizers.Optimizer"),
        ({"optimizer": RowSparse()}, "wraps no other"),
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
