"""Training with a step compiled by XLA."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from autorec.training import TrainOptions, train, xla
from autorec.training.losses import losses
from autorec.training.optimizers import make_optimizer
from autorec.training.stepper import Stepper
from tests.training import small

BATCH = 64


def compiled(model: keras.Model) -> keras.Model:
    model.compile(make_optimizer(TrainOptions().resolved()), losses(small.layout().targets), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def run(monkeypatch: pytest.MonkeyPatch, after: int) -> keras.Model:
    """Returns a model of a training of 21 steps that goes on with XLA after so many."""
    monkeypatch.setattr(xla, "AFTER", after)
    keras.utils.set_random_seed(3)
    model = small.model()
    train(model, [small.part()], None, layout=small.layout(), batch_size=BATCH, epochs=3)
    return model


def test_a_step_of_xla_trains_as_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = run(monkeypatch, 1000)
    made: list[bool] = []
    compiles = xla._compiles
    monkeypatch.setattr(xla, "_compiles", lambda *arguments: made.append(compiles(*arguments)) or made[-1])
    fast = run(monkeypatch, 8)
    assert made == [True]
    for a, b in zip(usual.get_weights(), fast.get_weights()):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize("a_call", [1, 5, 100])
def test_xla_begins_behind_the_same_step_however_many_fit_into_a_call(
    monkeypatch: pytest.MonkeyPatch, a_call: int
) -> None:
    begun: list[int] = []

    def compile_nothing(stepper: Stepper, iterator: Any) -> None:
        begun.append(stepper.done)
        stepper._may_compile = False

    monkeypatch.setattr(Stepper, "_affordable", lambda stepper: a_call)
    monkeypatch.setattr(Stepper, "_compile", compile_nothing)
    run(monkeypatch, 9)
    assert begun == [9]


def test_full_batches_alone_take_the_compiled_way() -> None:
    part, model = small.part(BATCH), compiled(small.model())
    batch = ({"ids": tf.constant(part.arrays["ids"])}, {"click": tf.constant(part.labels)})
    specs = tf.nest.map_structure(lambda t: tf.TensorSpec((None, *t.shape[1:]), t.dtype), batch)
    step = tf.function(xla.compiled_step(model, BATCH, specs), autograph=False)
    definition = step.get_concrete_function(specs).graph.as_graph_def()
    (branches,) = (node for node in definition.node if node.op == "If")
    fast = {f.signature.name for f in definition.library.function if f.attr["_XlaMustCompile"].b}
    bodies = {f.signature.name: {node.attr["f"].func.name for node in f.node_def} for f in definition.library.function}
    assert bodies[branches.attr["then_branch"].func.name] & fast
    assert not bodies[branches.attr["else_branch"].func.name] & fast


def test_a_training_that_ends_soon_is_not_compiled() -> None:
    model = compiled(small.model())
    assert xla.pays(model, BATCH, 2 * xla.AFTER)
    assert not xla.pays(model, BATCH, 2 * xla.AFTER - 1)


def test_much_arithmetic_is_not_compiled() -> None:
    assert not xla.pays(compiled(small.model()), 10_000_000, 2 * xla.AFTER)


def test_a_large_table_is_not_compiled() -> None:
    ids = keras.Input((1,), dtype="int32", name="ids")
    fields = small.Lookup(100_000)(ids)
    model = keras.Model({"ids": ids}, {"click": keras.layers.Dense(1)(keras.layers.Flatten()(fields))})
    assert not xla.pays(compiled(model), BATCH, 2 * xla.AFTER)


def test_what_xla_cannot_compile_trains_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    step = tf.function(lambda batch: tf.strings.length(tf.strings.as_string(batch)), jit_compile=True)
    assert not xla._compiles(step, 4, tf.TensorSpec((None,), tf.int32))
    monkeypatch.setattr(xla, "_compiles", lambda *_: False)
    assert xla.compiled_step(compiled(small.model()), BATCH, None) is None


def test_lists_of_changing_length_are_not_compiled() -> None:
    step = tf.function(lambda batch: tf.reduce_sum(batch), jit_compile=True)
    assert not xla._compiles(step, 4, tf.TensorSpec((None, None), tf.float32))
    assert xla._compiles(step, 4, tf.TensorSpec((None, 2), tf.float32))
