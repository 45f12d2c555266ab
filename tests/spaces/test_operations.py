"""Multiply-adds of models, counted by hand."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from autorec.blocks import (
    MLP,
    AsFields,
    BilinearFusion,
    ClickHead,
    CompressedInteraction,
    Concatenate,
    CrossNetwork,
    DotInteraction,
    Elementwise,
    Experts,
    FactorizationMachine,
    FieldEmbedding,
    GatedDense,
    GatedMLP,
    HistoryTransformer,
    InnerProduct,
    IsotonicCalibration,
    NumericEmbedding,
    ResidualCross,
    SelfAttention,
)
from autorec.data.layout import Layout
from autorec.spaces import DNN, SPACES
from autorec.spaces.operations import dense_parameters, operations

VECTOR, FIELDS = (6,), (5, 4)


def of(layer: Any, *shapes: tuple[int | None, ...]) -> int:
    """Multiply-adds of a layer on inputs of some shapes, the batch left out."""
    inputs = [keras.Input(shape) for shape in shapes]
    return operations(keras.Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0])))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (lambda: keras.layers.Dense(3), 6 * 3),
        (lambda: MLP([8, 2]), 6 * 8 + 8 * 2),
        (lambda: MLP([8], batch_norm=True, dropout=0.1), 6 * 8 + 8),
        (lambda: CrossNetwork("vector", layers=2), 2 * (6 + 6)),
        (lambda: CrossNetwork("matrix", layers=2), 2 * (36 + 6)),
        (lambda: CrossNetwork("low_rank", layers=1, rank=2), 6 * 2 + 2 * 6 + 6),
        (
            lambda: CrossNetwork("mixture", layers=1, rank=2, experts=3),
            3 * (6 * 2 + 2 * 2 + 2 * 6) + 6 * 3 + 3 * 2 + 6,
        ),
        (lambda: ResidualCross(1, 2, parallel=False), 4 * 6 * 2 + 3 * 2 * 2 + 6),
        (lambda: ResidualCross(2, 2), 2 * (4 * 6 * 2 + 3 * 2 * 2 + 6 + 2 * 6 * 2 + 6)),
        (lambda: GatedDense(4), 6 * 8 + 4),
        (lambda: GatedMLP([4, 3], dropout=0.1), 6 * 8 + 4 + 4 * 6 + 3),
        (lambda: Experts(2, "mmoe", units=4, experts=3), 6 * 12 + 2 * (6 * 3 + 3 * 4)),
        (lambda: NumericEmbedding(4, "linear"), 6 * 4),
        (lambda: NumericEmbedding(4, "piecewise"), 6 * 16 + 6 * 16 * 4),
        (lambda: NumericEmbedding(4, "periodic", frequencies=3), 6 * 3 + 6 * 6 * 4),
        (lambda: AsFields(4), 6 * 4),
        (lambda: keras.layers.RMSNormalization(), 2 * 6),
        (lambda: keras.layers.BatchNormalization(), 6),
        (lambda: Concatenate(), 0),
        (lambda: ClickHead(["a", "b"]), 6 * 2),
    ],
)
def test_a_layer_on_a_vector(layer: Any, expected: int) -> None:
    assert of(layer(), VECTOR) == expected


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (lambda: keras.layers.Dense(3), 5 * 4 * 3),
        (lambda: keras.layers.EinsumDense("bfd,fdo->bfo", (5, 2)), 5 * 4 * 2),
        (lambda: keras.layers.EinsumDense("...d,do->...o", 3), 5 * 4 * 3),
        (lambda: keras.layers.Conv1D(3, 2), 4 * 2 * 4 * 3),
        (lambda: FactorizationMachine(), (5 + 1) * 4),
        (lambda: DotInteraction(), 5 * 5 * 4),
        (lambda: SelfAttention(3, heads=2, layers=1), 5 * 4 * (4 * 6) + 2 * 5 * 5 * 6),
        (lambda: CompressedInteraction(1, 3), 25 * 4 + 25 * 3),
        (lambda: CompressedInteraction(2, 3), 4 * (25 + 25 * 3) + 15 * 4 + 15 * 3),
        (lambda: Elementwise("multiply"), 4 * 4),
        (lambda: Elementwise("average"), 4),
        (lambda: InnerProduct(), 4 * 4),
    ],
)
def test_a_layer_on_fields(layer: Any, expected: int) -> None:
    assert of(layer(), FIELDS) == expected


def test_what_brings_inputs_to_one_width_counts_for_each_of_their_fields() -> None:
    assert of(FactorizationMachine(), (5, 4), (2, 7), (9,)) == 2 * 7 * 4 + 9 * 4 + (8 + 1) * 4
    assert of(Elementwise("sum"), (4,), (7,)) == 7 * 4


def test_blocks_of_several_inputs_by_hand() -> None:
    assert of(BilinearFusion(heads=2, outputs=3), (4,), (6,)) == 3 * (4 + 6 + 4 * 6 // 2 + 6)
    assert of(CompressedInteraction(1, 3), (5, 4), (2, 7), (9,)) == 2 * 7 * 4 + 9 * 4 + 64 * 4 + 64 * 3
    ids, layer = (None, 3), 3 * (4 * 64 + 2 * 8 * 4) + 2 * 9 * 8
    joined = 3 * (2 * 5 * 8 + 5) + 6 * (8 + 5)
    assert of(HistoryTransformer(8, layers=2), (3, 5), ids[1:], (6,)) == joined + 2 * layer
    assert of(HistoryTransformer(8, layers=2), (3, 5), ids[1:], (6,), (3, 4)) == joined + 3 * 4 * 8 + 2 * layer
    assert of(IsotonicCalibration(4), (1,)) == 4


def test_lookups_cost_nothing_and_are_no_dense_parameters() -> None:
    ids = keras.Input((2,), dtype="int32")
    rows = FieldEmbedding([10, 20], dim=4, columns=[0, 1])(ids)
    model = keras.Model(ids, keras.layers.Dense(3)(keras.layers.Flatten()(rows)))
    assert operations(model) == 2 * 4 * 3
    assert dense_parameters(model) == 2 * 4 * 3 + 3
    assert model.count_params() == 30 * 4 + 27


def test_a_layer_that_is_called_twice_counts_twice() -> None:
    first, second, shared = keras.Input((6,)), keras.Input((6,)), keras.layers.Dense(3)
    model = keras.Model([first, second], keras.layers.Add()([shared(first), shared(second)]))
    assert operations(model) == 2 * 6 * 3
    assert dense_parameters(model) == 6 * 3 + 3


def test_nested_and_sequential_models_count_by_their_layers() -> None:
    inner = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    assert operations(inner) == 6 * 3 + 3 * 2
    assert of(inner, (6,)) == 6 * 3 + 3 * 2


def test_a_product_of_tensors_counts_by_its_sizes() -> None:
    left, right = keras.Input((2, 3)), keras.Input((3, 5))
    assert operations(keras.Model([left, right], keras.ops.matmul(left, right))) == 2 * 3 * 5


def test_an_unknown_layer_counts_by_its_method_or_by_its_weights() -> None:
    class Unknown(keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],))

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

    class Known(Unknown):
        def operations(self, shapes: Any) -> int:
            return 10 * int(shapes[0][-1])

    assert of(Unknown(), VECTOR) == 6
    assert of(Known(), VECTOR) == 60


def test_a_model_that_is_not_functional_counts_by_its_weights() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = keras.layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    model = Own()
    model(np.ones((2, 6), "float32"))
    assert operations(model) == 6 * 3 + 3


@pytest.mark.parametrize("name", ["lr", "deepfm", "dlrm", "dag"])
def test_a_space_s_models_cost_at_most_a_few_times_their_dense_parameters(name: str, layout: Layout) -> None:
    model = SPACES[name]().build_for(layout)
    assert 0 < operations(model) < 4 * dense_parameters(model) + 2000


def test_deepfm_by_hand(layouts: dict[str, Layout]) -> None:
    model = SPACES["deepfm"](dim=4, units=8, layers=1, dropout=0.0, batch_norm=False).build_for(layouts["ids"])
    assert operations(model) == (3 * 4) * 8 + (3 + 1) * 4 + 4 + 8  # the products and their weights


def test_what_is_known_of_items_is_no_dense_parameter(alike: Layout) -> None:
    counts = [
        dense_parameters(DNN(units=7, batch_norm=False, likeness=each).build_for(alike)) for each in (True, False)
    ]
    assert counts[0] - counts[1] == 4 * 7 + 1  # a row of the first kernel for each value, and the decay of the sequence
