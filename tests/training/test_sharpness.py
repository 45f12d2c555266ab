"""SAM and mSAM steps: their algebra, what they leave alone, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from autorec.errors import ConfigError
from autorec.training.perturbation import perturbation
from autorec.training.row_sparse import RowSparse
from autorec.training.sharpness import SharpnessAware
from autorec.training.sharpness_gradient import SharpnessGradient
from autorec.training.sharpness_model import SharpnessAwareModel, sharpness_aware
from autorec.training.table_variables import tables
from tests.training import small

RATE = 0.1


def net(dropout: float = 0.0, norm: bool = False, **dense: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(5, activation="tanh", **dense)(inputs)
    hidden = keras.layers.BatchNormalization(momentum=0.5)(hidden) if norm else hidden
    hidden = keras.layers.Dropout(dropout, seed=1)(hidden)
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def rows(count: int = 12, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 3)).astype("float32")
    return x, np.sin(x.sum(axis=1, keepdims=True)).astype("float32")


def sharp(model: keras.Model, optimizer: Any = None, loss: Any = "mse", metrics: Any = None, **settings: Any) -> Any:
    made = sharpness_aware(model, SharpnessAware(**settings))
    optimizer = keras.optimizers.SGD(RATE) if optimizer is None else optimizer
    made.compile(optimizer, loss, metrics=metrics, jit_compile=False)
    return made


def step(model: Any, x: Any, y: Any, weight: Any = None) -> list[Any]:
    """Returns the weights behind a step."""
    model.train_on_batch(x, y, weight)
    return [value.copy() for value in model.get_weights()]


def values_of(variables: Any) -> list[Any]:
    return [keras.ops.convert_to_numpy(v).copy() for v in variables]


def loss_and_gradient(model: Any, x: Any, y: Any, weight: Any = None) -> tuple[float, list[Any]]:
    with tf.GradientTape() as tape:
        errors = tf.reduce_mean(tf.square(model(x, training=True) - y), axis=1)
        loss = tf.reduce_mean(errors if weight is None else errors * weight)
    variables = [v.value for v in model.trainable_variables]
    return float(loss), [np.array(tf.convert_to_tensor(g)) for g in tape.gradient(loss, variables)]


def norm(values: Any) -> float:
    return float(np.sqrt(sum(np.square(value).sum() for value in values)))


def by_hand(model: Any, shards: list[Any], rho: float, adaptive: bool = False) -> list[Any]:
    """Returns the sharpness-aware gradient of shards `(x, y)`, written down anew, with weights that are set."""
    start = values_of(model.trainable_variables)
    count = sum(len(x) for x, *_ in shards)
    total = [np.zeros_like(w) for w in start]
    for x, y, *weight in shards:
        gradients = loss_and_gradient(model, x, y, *weight)[1]
        scaled = [abs(w) * g for w, g in zip(start, gradients)] if adaptive else gradients
        moves = [rho * s / norm(scaled) * (abs(w) if adaptive else 1.0) for w, s in zip(start, scaled)]
        for variable, w, move in zip(model.trainable_variables, start, moves):
            variable.assign(w + move)
        second = loss_and_gradient(model, x, y, *weight)[1]
        total = [t + len(x) / count * g for t, g in zip(total, second)]
        for variable, w in zip(model.trainable_variables, start):
            variable.assign(w)
    return total


def stepped(model: Any, gradient: list[Any]) -> list[Any]:
    return [v - RATE * g for v, g in zip(values_of(model.trainable_variables), gradient)]


def near(a: Any, b: Any, error: float = 1e-6) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, atol=error)


# The algebra


def test_one_micro_batch_is_sam() -> None:
    x, y = rows()
    expected = stepped(net(), by_hand(net(), [(x, y)], rho=0.2))
    near(step(sharp(net(), rho=0.2, micro_batches=1), x, y), expected)


def test_adaptive_perturbations_are_scaled_by_the_weights() -> None:
    x, y = rows()
    expected = stepped(net(), by_hand(net(), [(x, y)], rho=2.0, adaptive=True))
    near(step(sharp(net(), rho=2.0, micro_batches=1, adaptive=True), x, y), expected)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_without_a_perturbation_a_step_is_keras_own(count: int) -> None:
    x, y = rows()
    plain = net(norm=True, dropout=0.5)
    plain.compile(keras.optimizers.Adam(RATE), "mse", jit_compile=False)
    same = sharp(net(norm=True, dropout=0.5), keras.optimizers.Adam(RATE), rho=0.0, micro_batches=count)
    near(step(plain, x, y), step(same, x, y), error=0.0)


def test_a_tiny_perturbation_is_nearly_the_plain_step() -> None:
    x, y = rows(11)
    expected = stepped(net(), loss_and_gradient(net(), x, y)[1])
    near(step(sharp(net(), rho=1e-7, micro_batches=4), x, y), expected)


def test_uneven_shards_are_weighted_by_their_rows() -> None:
    x, y = rows(10)
    shards = [(x[a:b], y[a:b]) for a, b in ((0, 4), (4, 7), (7, 10))]
    expected = stepped(net(), by_hand(net(), shards, rho=0.2))
    near(step(sharp(net(), rho=0.2, micro_batches=3), x, y), expected)


def test_sample_weights_stay_with_their_rows() -> None:
    x, y = rows(10)
    weight = np.linspace(0, 2, 10, dtype="float32")
    shards = [(x[a:b], y[a:b], weight[a:b]) for a, b in ((0, 5), (5, 10))]
    expected = stepped(net(), by_hand(net(), shards, rho=0.2))
    near(step(sharp(net(), rho=0.2, micro_batches=2), x, y, weight), expected)


def test_more_micro_batches_than_rows_are_a_row_each() -> None:
    x, y = rows(3)
    expected = step(sharp(net(), rho=0.2, micro_batches=3), x, y)
    near(step(sharp(net(), rho=0.2, micro_batches=50), x, y), expected)


def test_the_order_of_shards_does_not_matter() -> None:
    x, y = rows()
    order = np.arange(12).reshape(3, 4)[[2, 0, 1]].ravel()
    one = step(sharp(net(), rho=0.2, micro_batches=3), x, y)
    near(one, step(sharp(net(), rho=0.2, micro_batches=3), x[order], y[order]))


def test_equal_shards_make_the_step_of_one_of_them() -> None:
    x, y = rows(4)
    one = step(sharp(net(), rho=0.2, micro_batches=1), x, y)
    near(one, step(sharp(net(), rho=0.2, micro_batches=3), np.tile(x, (3, 1)), np.tile(y, (3, 1))))


def test_on_a_quadratic_loss_the_step_has_its_closed_form() -> None:
    keras.utils.set_random_seed(0)
    matrix = np.diag([3.0, 1.0, 0.5]).astype("float32")  # H, of 1/2 (w - c)' H (w - c)
    centres = rows(4)[0]
    inputs = keras.Input((3,))
    weights = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(inputs, weights(inputs))
    kernel = np.ones((3, 3), "float32") * np.array([[1.0], [0.0], [0.0]])
    weights.kernel.assign(kernel)
    x = np.tile(np.array([[1.0, 0.0, 0.0]], "float32"), (4, 1))

    def loss(true: Any, predicted: Any) -> Any:
        return 0.5 * keras.ops.sum((predicted - true) @ matrix * (predicted - true), axis=-1)

    found = step(sharp(model, loss=loss, rho=0.3, micro_batches=4), x, centres)[0][0]
    gradients = [matrix @ (kernel[0] - centre) for centre in centres]
    expected = np.mean([g + 0.3 * matrix @ g / np.linalg.norm(g) for g in gradients], axis=0)
    np.testing.assert_allclose(found, kernel[0] - RATE * expected, atol=1e-6)


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_perturbation_is_as_long_as_rho_over_all_tensors(adaptive: bool) -> None:
    rng = np.random.default_rng(0)
    values, gradients = ([tf.constant(rng.normal(size=s)) for s in ((3, 4), (5,))] for _ in range(2))
    moves, _ = perturbation(values, gradients, 0.05, adaptive)
    length = norm([m / np.abs(v) for m, v in zip(moves, values)] if adaptive else moves)
    assert length == pytest.approx(0.05, abs=1e-6)
    assert norm(perturbation(values, [0.0 * g for g in gradients], 0.05, adaptive)[0]) == 0.0


def test_the_gradient_is_that_of_the_loss_and_its_shards_slopes() -> None:
    x, y = (each.astype("float64") for each in rows())
    keras.backend.set_floatx("float64")
    try:
        first = net()
        start = values_of(first.trainable_variables)
        rest = []
        for rho in (0.02, 0.01):
            found = np.concatenate([g.ravel() for g in by_rows(x, y, rho, 3)])
            rest.append(norm([found - slope_of_penalised(first, start, x, y, rho, 3)]))
    finally:
        keras.backend.set_floatx("float32")
    assert 3.0 < rest[0] / rest[1] < 5.0


def by_rows(x: Any, y: Any, rho: float, count: int) -> list[Any]:
    """Returns the gradient of a step with so many micro-batches."""
    model = sharp(net(), rho=rho, micro_batches=count)
    start = values_of(model.trainable_variables)
    return [(a - b) / RATE for a, b in zip(start, step(model, x, y))]


def slope_of_penalised(model: Any, start: list[Any], x: Any, y: Any, rho: float, count: int) -> Any:
    """Returns the gradient of `L + rho mean ||grad L_i||` by central differences."""

    def value(flat: Any) -> float:
        places = np.cumsum([w.size for w in start])[:-1]
        for variable, w, part in zip(model.trainable_variables, start, np.split(flat, places)):
            variable.assign(part.reshape(w.shape))
        shards = [loss_and_gradient(model, *each) for each in zip(np.split(x, count), np.split(y, count))]
        return float(np.mean([loss + rho * norm(g) for loss, g in shards]))

    flat, width = np.concatenate([w.ravel() for w in start]), 1e-5
    steps = width * np.eye(flat.size)
    return np.array([(value(flat + each) - value(flat - each)) / (2 * width) for each in steps])


@pytest.mark.parametrize("seed", range(5))
def test_shards_slope_at_least_as_much_as_their_batch(seed: int) -> None:
    x, y = rows(seed=seed)
    parts = [norm(loss_and_gradient(net(), *each)[1]) for each in zip(np.split(x, 4), np.split(y, 4))]
    assert np.mean(parts) >= norm(loss_and_gradient(net(), x, y)[1])


# What a step leaves alone


def test_weights_are_the_same_bit_for_bit_behind_a_perturbation() -> None:
    x, y = rows()
    model = sharp(net(), keras.optimizers.SGD(0.0), rho=0.7, micro_batches=3)
    near(step(model, x, y), net().get_weights(), error=0.0)


def test_variables_are_not_written_while_a_gradient_is_found() -> None:
    x, y = rows()
    model = sharp(net(norm=True, dropout=0.5), rho=0.7, micro_batches=3)
    model._compile_loss.build(y, model.output)
    before = values_of(model.variables)
    SharpnessGradient(model, model.sharpness, x, y, None).find()
    near(values_of(model.variables), before, error=0.0)


def test_moving_statistics_follow_the_first_passes_alone() -> None:
    x, y = rows()
    model = net(norm=True)
    batch_norm = model.layers[2]
    hidden = np.array(model.layers[1](x))
    expected = np.zeros(5, "float32")
    for part in np.split(hidden, 3):
        expected = 0.5 * expected + 0.5 * part.mean(axis=0)
    step(sharp(model, rho=0.5, micro_batches=3), x, y)
    np.testing.assert_allclose(batch_norm.moving_mean, expected, atol=1e-6)


@pytest.mark.parametrize("same", [True, False])
def test_both_passes_have_the_same_dropout_if_so_set(same: bool) -> None:
    seen: list[Any] = []

    class Spy(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            tf.py_function(lambda value: seen.append(np.array(value) == 0), [inputs], [])
            return inputs

    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(1)(Spy()(keras.layers.Dropout(0.5)(inputs)))
    x, y = np.ones((40, 3), "float32"), np.ones((40, 1), "float32")
    step(sharp(keras.Model(inputs, outputs), micro_batches=2, same_dropout=same), x, y)
    (first, again), (second, _) = seen[-4:-2], seen[-2:]
    assert np.array_equal(first, again) == same
    assert not np.array_equal(first, second)


def test_rows_of_a_table_that_no_shard_touches_stay_bit_for_bit() -> None:
    model = small.model()
    before = values_of(tables(model))[0]
    ids = np.arange(10, dtype="int32").reshape(5, 2)
    for settings in ({}, {"tables": True}, {"every": 2}):
        made = sharp(model, RowSparse("adam"), "mse", micro_batches=2, **settings)
        for _ in range(2):
            made.train_on_batch({"ids": ids}, {"click": np.ones((5, 1))})
    touched = np.unique(ids + np.array([0, small.SIZE]))
    changed = np.flatnonzero((values_of(tables(model))[0] != before).any(axis=1))
    assert set(changed) == set(touched)


def test_tables_are_neither_perturbed_nor_in_the_norm_unless_asked() -> None:
    ids = {"ids": np.arange(10, dtype="int32").reshape(5, 2)}
    y = {"click": np.ones((5, 1), "float32")}
    weights = {}
    for asked in (False, True):
        model = sharp(small.model(), rho=1.0, micro_batches=1, tables=asked)
        weights[asked] = step(model, ids, y)
    model = small.model()
    model.layers[1].trainable = False  # its table is then in no norm
    frozen = step(sharp(model, rho=1.0, micro_batches=1), ids, y)
    near(weights[False][1:], frozen[1:])
    assert norm(np.subtract(weights[True][1], frozen[1])) > 1e-4


def test_a_table_used_as_a_whole_gets_its_dense_gradient() -> None:
    class Tied(small.Lookup):
        def call(self, ids: Any) -> Any:
            vectors = keras.ops.take(self.table.value, ids, axis=0)
            return keras.ops.matmul(keras.ops.sum(vectors, axis=1), keras.ops.transpose(self.table))

    def make() -> Any:
        keras.utils.set_random_seed(0)
        ids = keras.Input((2,), dtype="int32")
        return keras.Model(ids, keras.layers.Dense(1)(Tied(rows=6)(ids)))

    ids, y = np.arange(6).reshape(3, 2), np.ones((3, 1), "float32")
    plain = make()
    plain.compile(keras.optimizers.SGD(RATE), "mse", jit_compile=False)
    near(step(sharp(make(), rho=1e-7, micro_batches=2), ids, y), step(plain, ids, y), error=1e-5)


# Losses beside the data's


def test_regularisers_count_once_and_unperturbed() -> None:
    x, y = rows()
    plain = net()
    gradient = by_hand(plain, [(x[:6], y[:6]), (x[6:], y[6:])], rho=0.2)
    gradient[0] = gradient[0] + 2 * 0.3 * values_of(plain.trainable_variables)[0]
    model = sharp(net(kernel_regularizer=keras.regularizers.L2(0.3)), rho=0.2, micro_batches=2)
    near(step(model, x, y), stepped(plain, gradient))


def test_losses_that_layers_add_are_means_over_the_shards_and_unperturbed() -> None:
    x, y = rows()
    plain = net(activity_regularizer=keras.regularizers.L2(0.3))
    plain.compile(keras.optimizers.SGD(RATE), "mse", jit_compile=False)
    model = sharp(net(activity_regularizer=keras.regularizers.L2(0.3)), rho=1e-7, micro_batches=3)
    near([model.train_on_batch(x, y)], [plain.train_on_batch(x, y)])
    near(model.get_weights(), plain.get_weights())


def test_clipping_acts_on_the_final_gradient() -> None:
    x, y = rows()
    gradient = by_hand(net(), [(x, y)], rho=0.2)
    clipped = [g * min(1.0, 0.1 / norm(gradient)) for g in gradient]
    model = sharp(net(), keras.optimizers.SGD(RATE, global_clipnorm=0.1), rho=0.2, micro_batches=1)
    near(step(model, x, y), stepped(net(), clipped))


def test_loss_and_metrics_shown_are_those_of_the_weights_themselves() -> None:
    x, y = rows(10)
    plain = net()
    plain.compile("sgd", "mse", metrics=["mae"], jit_compile=False)
    shown = sharp(net(), rho=5.0, micro_batches=3, metrics=["mae"]).train_on_batch(x, y, return_dict=True)
    expected = plain.evaluate(x, y, return_dict=True, verbose=0)
    assert {name: shown[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_only_each_kth_step_is_perturbed() -> None:
    x, y = rows()
    start = net()
    plain = stepped(start, loss_and_gradient(start, x, y)[1])
    model = sharp(net(), rho=0.5, micro_batches=1, every=2)
    near(step(model, x, y), plain)
    start.set_weights(plain)
    expected = stepped(start, by_hand(start, [(x, y)], rho=0.5))
    near(step(model, x, y), expected)


# Not a number


def test_a_shard_that_is_not_finite_is_left_out_and_counted() -> None:
    x, y = rows()
    y[5] = np.nan  # in the second of three
    kept = np.r_[0:4, 8:12]
    expected = step(sharp(net(), rho=0.2, micro_batches=2), x[kept], y[kept])
    model = sharp(net(), rho=0.2, micro_batches=3, metrics=["mae"])
    with pytest.warns(UserWarning, match="1 micro-batch"):
        logs = model.fit(x, y, batch_size=12, shuffle=False, verbose=0).history
    near(model.get_weights(), expected)
    assert model.skipped_micro_batches == 1
    assert np.isfinite([logs["loss"], logs["mae"]]).all()


def test_a_batch_that_is_nowhere_finite_leaves_the_weights_and_shows_it() -> None:
    x, y = rows()
    for count in (1, 3):
        model = sharp(net(), rho=0.2, micro_batches=count)
        assert np.isnan(model.train_on_batch(x, y * np.nan))
        near(model.get_weights(), net().get_weights(), error=0.0)


# Within Keras


def test_a_compiled_step_by_xla_is_the_same() -> None:
    x, y = rows(10)
    expected = step(sharp(net(), rho=0.2, micro_batches=3, metrics=["mae"]), x, y)
    model = sharp(net(), rho=0.2, micro_batches=3)
    model.compile(keras.optimizers.SGD(RATE), "mse", metrics=["mae"], jit_compile=True)
    model.fit(x, y, batch_size=10, shuffle=False, verbose=0)
    near(model.get_weights(), expected, error=1e-5)


def test_xla_takes_small_tables_too() -> None:
    ids = {"ids": np.arange(10, dtype="int32").reshape(5, 2)}
    y = {"click": np.ones((5, 1), "float32")}
    found = []
    for jit in (False, True):
        model = sharp(small.model(), micro_batches=2)
        model.compile(RowSparse("adam"), "mse", jit_compile=jit)
        found.append(step(model, ids, y))
    near(*found, error=1e-5)


def test_steps_run_several_in_an_execution() -> None:
    x, y = rows(40)
    found = []
    for several in (1, 5):
        model = sharp(net(norm=True), rho=0.2, micro_batches=2)
        model.compile(keras.optimizers.SGD(RATE), "mse", steps_per_execution=several, jit_compile=False)
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0, epochs=2)
        found.append(model.get_weights())
    near(*found)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_float32_weights(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = net()
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = rows(40)
    made = sharp(model, keras.optimizers.SGD(RATE), rho=0.05, micro_batches=4)
    losses = made.fit(x, y, epochs=8, batch_size=40, verbose=0).history["loss"]
    assert isinstance(made.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    assert losses[-1] < losses[0]
    assert {v.dtype for v in model.weights} == {"float32"}


def test_an_image_classifier_trains_with_class_numbers_and_accuracy() -> None:
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 1))
    features = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(images))
    model = sharp(
        keras.Model(images, keras.layers.Dense(3, activation="softmax")(features)),
        keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        ["accuracy"],
        micro_batches=4,
    )
    y = np.arange(60) % 3
    x = np.random.default_rng(0).normal(size=(60, 8, 8, 1)) + y[:, None, None, None]
    assert model.fit(x, y, epochs=10, batch_size=20, verbose=0).history["accuracy"][-1] > 0.8


def test_a_sequential_model_and_a_wrapped_one_are_taken() -> None:
    x, y = rows()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    once = sharpness_aware(model, SharpnessAware(rho=0.1))
    again = sharpness_aware(once, SharpnessAware(rho=0.3))
    assert (once.sharpness.rho, again.sharpness.rho) == (0.1, 0.3)
    step(sharp(model), x, y)
    near(once.predict(x, verbose=0), model.predict(x, verbose=0), error=0.0)


def test_a_saved_model_loads_without_custom_objects_and_goes_on(tmp_path: Path) -> None:
    x, y = rows()
    model = sharp(net(norm=True), keras.optimizers.Adam(RATE), rho=0.2, micro_batches=3, every=2)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is SharpnessAwareModel
    assert loaded.sharpness == model.sharpness
    near(step(model, x, y), step(loaded, x, y))


def test_a_clone_wants_settings_of_its_own() -> None:
    clone = keras.models.clone_model(sharpness_aware(net(), SharpnessAware(rho=0.3)))
    with pytest.raises(ConfigError, match="sharpness_aware"):
        clone.compile("sgd", "mse")
    assert sharpness_aware(clone, SharpnessAware(rho=0.3)).sharpness.rho == 0.3


# Bad input


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"rho": -0.1}, "rho"),
        ({"rho": float("nan")}, "rho"),
        ({"rho": True}, "rho"),
        ({"micro_batches": 0}, "micro_batches"),
        ({"micro_batches": 2.5}, "micro_batches"),
        ({"every": 0}, "every"),
        ({"tables": 1}, "tables"),
    ],
)
def test_settings_name_what_is_wrong(settings: dict[str, Any], argument: str) -> None:
    with pytest.raises(ConfigError, match=f"`{argument}`"):
        SharpnessAware(**settings)


def test_a_bare_m_is_no_argument() -> None:
    with pytest.raises(TypeError, match="'m'"):
        SharpnessAware(m=8)  # type: ignore[call-arg]


def test_settings_come_back_from_json() -> None:
    settings = SharpnessAware(rho=0.1, micro_batches=4, adaptive=True)
    assert SharpnessAware.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    with pytest.raises(ConfigError, match="roh"):
        SharpnessAware.from_dict({"roh": 0.1})


@pytest.mark.parametrize("name", ["train_step", "compute_loss"])
def test_a_model_with_a_step_of_its_own_is_refused_by_name(name: str) -> None:
    kind = type("Mine", (keras.Model,), {name: lambda self, *args, **more: None})
    inputs = keras.Input((3,))
    with pytest.raises(ConfigError, match=f"'Mine'.*{name}"):
        sharpness_aware(kind(inputs, keras.layers.Dense(1)(inputs)))


def test_a_model_without_a_graph_is_refused() -> None:
    class Called(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(ConfigError, match="functional or sequential"):
        sharpness_aware(Called())


def in_batch(true: Any, predicted: Any) -> Any:
    """Each row's score against those of all rows."""
    return keras.ops.logsumexp(predicted) - predicted[:, 0]


def test_a_loss_over_pairs_of_rows_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="in_batch.*micro-batches"):
        sharp(net(), loss=in_batch, micro_batches=2)
    sharp(net(), loss=in_batch, micro_batches=1)


@pytest.mark.parametrize(
    "loss",
    ["mse", "binary_crossentropy", "hinge", "kl_divergence", keras.losses.MeanSquaredError(reduction="sum"), None],
)
def test_a_loss_of_rows_is_not_warned_of(loss: Any) -> None:
    made = sharpness_aware(net(), SharpnessAware())
    made.compile("sgd", loss)


def test_a_layer_that_changes_what_is_not_its_own_is_refused() -> None:
    class Noise(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x + keras.random.normal(keras.ops.shape(x))  # from Keras's global generator

    x, y = rows()
    inputs = keras.Input((3,))
    model = sharp(keras.Model(inputs, keras.layers.Dense(1)(Noise()(inputs))))
    with pytest.raises(ConfigError, match="SeedGenerator"):
        model.train_on_batch(x, y)


# Flatness


def leaves(rho: float, count: int) -> bool:
    """Returns whether training leaves the sharp one of two minima: a narrow one at 0, a wide and no deeper one at 3."""

    def loss(true: Any, w: Any) -> Any:
        return true * w - keras.ops.exp(-50.0 * w**2) - keras.ops.exp(-0.5 * (w - 3.0) ** 2)

    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(inputs))
    made = sharp(model, keras.optimizers.SGD(0.05), loss, rho=rho, micro_batches=count)
    y = tf.tile(tf.constant([[0.3], [-0.4]]), (4, 1))
    step = tf.function(made.train_step, autograph=False)
    for _ in range(400):
        step((tf.ones((8, 1)), y))
    return float(model.get_weights()[0].item()) > 1.5


@pytest.mark.long
def test_solutions_are_flatter_in_the_order_of_the_papers() -> None:
    found: dict[str, list[float]] = {"plain": [], "sam": [], "msam": []}
    for seed in range(5):
        x, y = rows(64, seed)
        y = y + np.random.default_rng(seed).normal(0, 0.3, y.shape).astype("float32")
        for name, (rho, count) in {"plain": (0.0, 1), "sam": (0.2, 1), "msam": (0.2, 8)}.items():
            model = sharp(net(), keras.optimizers.SGD(0.05), rho=rho, micro_batches=count)
            step = tf.function(model.train_step, autograph=False, reduce_retracing=True)
            for number in range(600):
                half = slice(32 * (number % 2), 32 * (number % 2) + 32)
                step((tf.constant(x[half]), tf.constant(y[half])))
            found[name].append(largest_eigenvalue(model, x, y))
    plain, sam, msam = (float(np.mean(found[name])) for name in ("plain", "sam", "msam"))
    assert msam <= sam <= plain


def largest_eigenvalue(model: Any, x: Any, y: Any) -> float:
    """Returns the largest eigenvalue of the Hessian by power iteration, from differences of gradients."""
    start = values_of(model.trainable_variables)
    rng = np.random.default_rng(0)
    vector: list[Any] = [rng.normal(size=w.shape) for w in start]
    value = 0.0
    for _ in range(20):
        vector = [v / norm(vector) for v in vector]
        sides = []
        for sign in (1e-3, -1e-3):
            for variable, w, v in zip(model.trainable_variables, start, vector):
                variable.assign(w + sign * v)
            sides.append(loss_and_gradient(model, x, y)[1])
        image = [(a - b) / 2e-3 for a, b in zip(*sides)]
        value = sum(float((a * b).sum()) for a, b in zip(image, vector))
        vector = image
    return value
