"""The interaction DAG: what it builds, what it declares, and that it can be searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest
import tensorflow as tf

from autorec.blocks import MLP
from autorec.data.layout import Layout, LeafColumn, StatisticColumn
from autorec.errors import ConfigError
from autorec.searchers.explore import explore
from autorec.searchers.oracles import get_oracle
from autorec.spaces import DAG_BLOCKS, Features, InteractionDAG, build, from_config, to_config
from autorec.spaces.dag_graph import Graph, Node
from autorec.spaces.dag_streams import RawStreams

Batch = Callable[..., dict[str, np.ndarray]]
EMPTY = {"dag/0/dense": False, "dag/0/sparse": False}


def logits(model: keras.Model, batch: dict[str, np.ndarray]) -> np.ndarray:
    return np.array(model({name: batch[name] for name in model.input})["click"])


def check_point(space: InteractionDAG, layout: Layout, batch: dict[str, np.ndarray], seed: int) -> None:
    """Builds a random graph: logits are finite, all weights get gradient, and so does all that is raw."""
    keras.utils.set_random_seed(seed)
    graph = space.genotypes(layout).random(Random(seed))
    model = space.build_for(layout, space.encode(graph))
    inputs = {name: tf.convert_to_tensor(batch[name]) for name in model.input}
    with tf.GradientTape() as tape:
        watched = [inputs[name] for name in ("numbers", "statistics", "pairs") if name in inputs]
        tape.watch(watched)
        found = model(inputs)["click"]
        # Not the mean: a constant part of the logit would hide that a weight moves nothing else.
        loss = tf.reduce_mean((found - tf.reduce_mean(found)) ** 2 + found)
    assert found.shape == (len(batch["ids"]), 1)
    assert np.isfinite(found).all()
    gradients = tape.gradient(loss, [*model.trainable_variables, *watched])
    for variable, gradient in zip([*model.trainable_variables, *watched], gradients, strict=True):
        assert gradient is not None, (seed, getattr(variable, "path", "input"))
        values = np.array(tf.convert_to_tensor(gradient))
        assert np.isfinite(values).all()
        assert np.abs(values).max() > 0, (seed, getattr(variable, "path", "input"))
    for gradient in gradients[len(model.trainable_variables) :]:
        assert (np.abs(np.array(gradient)).max(0) > 0).all(), (seed, "a column that does not reach the logit")


@pytest.mark.parametrize("macro", ["group", "feature"])
@pytest.mark.parametrize("seed", range(4))
def test_at_a_random_point_everything_reaches_the_logit(macro: str, seed: int, layout: Layout, batch_of: Batch) -> None:
    space = InteractionDAG(macro=macro, dim=4, units=[8, 16], number_fields=bool(seed % 2))
    check_point(space, layout, batch_of(layout, rows=16), seed)


@pytest.mark.long
def test_at_a_thousand_random_points_everything_reaches_the_logit(layout: Layout, batch_of: Batch) -> None:
    batch = batch_of(layout, rows=16)
    for seed in range(1000):
        space = InteractionDAG(macro="feature" if seed % 5 == 0 else "group", dim=4, units=[16, 32])
        check_point(space, layout, batch, seed)
        keras.utils.clear_session(free_memory=False)


@pytest.mark.parametrize("name", [name for name in DAG_BLOCKS if name not in ("mlp", "fm", "dot")])
def test_every_kind_of_block_builds_in_a_graph_and_learns(name: str, layout: Layout, batch_of: Batch) -> None:
    nodes = (Node(name, (True, True)), Node(name, (False, True), (True,)), Node("mlp", (True, False), (True, True), 8))
    space = InteractionDAG(types=[name, "mlp"], units=[8], blocks=3, dim=4)
    model = space.build_for(layout, space.encode(Graph(nodes, ("dense", "sparse"))))
    batch = {group: values for group, values in batch_of(layout).items() if group in model.input}
    labels = {"click": np.array([[0], [1], [0], [1], [1], [0]], "float32")}
    loss = {"click": keras.losses.BinaryCrossentropy(from_logits=True)}
    model.compile(keras.optimizers.Adam(0.01), loss, run_eagerly=True)
    losses = [float(model.train_on_batch(batch, labels)) for _ in range(6)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["all", "ids", "numbers", "statistics"])
def test_without_blocks_it_is_one_linear_layer_on_what_is_raw(
    name: str, layouts: dict[str, Layout], batch_of: Batch
) -> None:
    layout = layouts[name]
    space = InteractionDAG(blocks=1, number_fields=False)
    model = space.build_for(layout, EMPTY)
    head = model.layers[-1]
    raw = keras.Model(model.input, head._inbound_nodes[0].input_tensors)
    batch = {key: values for key, values in batch_of(layout).items() if key in model.input}
    parts = [np.array(x).reshape(6, -1) for x in keras.tree.flatten(raw(batch))]
    values = keras.ops.matmul(np.concatenate(parts, axis=1), head.kernel) + head.bias
    np.testing.assert_array_equal(logits(model, batch), values)
    assert not [layer for layer in model.layers if isinstance(layer, MLP)]


def test_the_default_is_a_deep_network_beside_a_factorization_machine(layout: Layout) -> None:
    graph = InteractionDAG().decode({}, layout)
    assert [graph.nodes[number].kind for number in graph.alive] == ["mlp", "fm", "dot", "mlp"]
    assert graph.loose == (1, 3)
    assert graph.inputs[3] == (0, 2)
    assert graph.loose_sources == ()


@pytest.mark.parametrize(
    ("name", "bits"),
    [("all", {"dense", "sparse"}), ("ids", {"sparse"}), ("numbers", {"dense", "sparse"}), ("statistics", {"dense"})],
)
def test_a_stream_that_the_layout_lacks_has_no_bit(name: str, bits: set[str], layouts: dict[str, Layout]) -> None:
    hp, space = kt.HyperParameters(), InteractionDAG(blocks=2)
    build(space, hp, layouts[name])
    found = {item.name.removeprefix("dag/1/") for item in hp.space if item.name.startswith("dag/1/")}
    assert found == {"type", "units", "skip_0"} | bits
    assert set(space.sources(layouts[name])) == bits


def test_each_column_has_a_bit_of_its_own_where_asked_for(layout: Layout) -> None:
    hp, space = kt.HyperParameters(), InteractionDAG(blocks=1, macro="feature")
    build(space, hp, layout)
    names = ("user", "item", "place", "age", "price", "tags", "seen")
    expected = {f"dag/0/field/{name}" for name in names} | {"dag/0/statistics", "dag/0/pairs"}
    assert {item.name for item in hp.space if item.name.startswith("dag/")} == {"dag/0/type", "dag/0/units"} | expected


def test_a_block_reads_the_columns_whose_bits_are_on(layouts: dict[str, Layout], batch_of: Batch) -> None:
    layout = layouts["all"]
    space = InteractionDAG(blocks=1, macro="feature", dim=4, types=["mlp"], units=8)
    only = {f"dag/0/{source}": source in ("field/price", "pairs") for source in space.sources(layout)}
    model = space.build_for(layout, only)
    block = next(layer for layer in model.layers if isinstance(layer, MLP))
    # A transformed number, an indicator of missing ones, a statistic of a pair; a field of each of the first two.
    assert [tuple(x.shape[1:]) for x in block._inbound_nodes[0].input_tensors] == [(3,), (2, 4)]
    outer = keras.Model(model.input, block.output)
    batch = batch_of(layout)
    before = np.array(outer({name: batch[name] for name in model.input}))
    batch["numbers"][:, 0] += 1
    batch["statistics"] += 1
    batch["ids"][:, 0] = 3
    np.testing.assert_array_equal(outer({name: batch[name] for name in model.input}), before)
    batch["numbers"][:, 1] += 1
    assert not np.array_equal(outer({name: batch[name] for name in model.input}), before)


def test_what_trees_give_is_read_by_itself(layout: Layout, batch_of: Batch) -> None:
    margins = (StatisticColumn("margin(click)", (), "margin", "click", -1.0, 0.5),)
    layout = replace(layout, margins=margins, leaves=tuple(LeafColumn(f"tree {n}", 5) for n in range(3)))
    space = InteractionDAG(blocks=1, macro="feature", dim=4, types=["mlp"], units=8, leaves=True)
    only = {f"dag/0/{source}": source in ("margins", "leaves") for source in space.sources(layout)}
    assert {"dag/0/margins", "dag/0/leaves", "dag/0/pairs"} <= set(only)
    model = space.build_for(layout, only)
    block = next(layer for layer in model.layers if isinstance(layer, MLP))
    assert [tuple(x.shape[1:]) for x in block._inbound_nodes[0].input_tensors] == [(1,), (1, 4)]
    batch = batch_of(layout) | {"margins": np.ones((6, 1), "float32"), "leaves": np.full((6, 3), 2, "int32")}
    outer = keras.Model(model.input, block.output)
    before = np.array(outer(batch))
    for group in ("numbers", "statistics", "pairs"):
        batch[group] = batch[group] + 1
    np.testing.assert_array_equal(outer(batch), before)
    assert "leaves" not in InteractionDAG(macro="feature").sources(layout)


@pytest.mark.parametrize("macro", ["group", "feature"])
def test_an_exploration_finds_all_hyperparameters_in_one_build(macro: str, layout: Layout) -> None:
    space, builds = InteractionDAG(macro=macro, types=tuple(DAG_BLOCKS)), []
    oracle = get_oracle("random", objective="val_auc")

    def declare(hp: Any) -> None:
        builds.append(1)
        build(space, hp, layout)

    explore(oracle, declare)
    names = {item.name for item in oracle.get_space().space if item.name.startswith("dag/")}
    sources = space.sources(layout)
    skips = {f"dag/{k}/skip_{j}" for k in range(7) for j in range(k)}
    own = {f"dag/{k}/{name}" for k in range(7) for name in ("type", "units", *sources)}
    assert names == own | skips
    assert len(builds) == 1


def test_a_random_search_draws_points_that_build(layout: Layout) -> None:
    space = InteractionDAG(dim=4, units=[8, 16], blocks=3)
    oracle = get_oracle("random", objective="val_auc", max_trials=4, seed=1)
    explore(oracle, lambda hp: build(space, hp, layout))
    graphs = set()
    for number in range(4):
        trial = oracle.create_trial(f"tuner{number}")
        build(space, trial.hyperparameters, layout)
        graphs.add(space.decode(trial.hyperparameters.values))
    assert len(graphs) > 2


def test_statistics_that_are_left_out_leave_the_dense_stream_void(layout: Layout, layouts: dict[str, Layout]) -> None:
    space = InteractionDAG(blocks=1)
    values = {"features/statistics": False, "features/pairs": False, "dag/0/dense": True, "dag/0/sparse": False}
    ids = replace(layouts["ids"], statistics=layout.statistics, pairs=layout.pairs)
    assert space.sources(ids) == ("dense", "sparse")
    assert space.sources(ids, values) == ("sparse",)
    assert "dag/0/dense" not in space.canonical(values, ids)
    assert not space.decode(values, ids).alive
    assert set(space.build_for(ids, values).input) == {"ids"}


def test_canonical_values_build_the_same_network(layout: Layout) -> None:
    space = InteractionDAG(dim=4, units=[8, 16], blocks=4)
    rng = Random(5)
    for _ in range(3):
        values = space.encode(space.genotypes(layout).random(rng))
        first, again = (space.build_for(layout, found) for found in (values, space.canonical(values)))
        shapes = [sorted(tuple(weight.shape) for weight in model.weights) for model in (first, again)]
        assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ["targets", "ratings"])
def test_it_has_an_output_for_each_target(name: str, layouts: dict[str, Layout], batch_of: Batch) -> None:
    layout = layouts[name]
    model = InteractionDAG(dim=4, units=8).build_for(layout)
    batch = batch_of(layout)
    found = model({key: batch[key] for key in model.input})
    assert {target: tuple(values.shape) for target, values in found.items()} == {
        target.name: (6, 1) for target in layout.targets
    }


def test_its_file_predicts_the_same(layout: Layout, batch_of: Batch, tmp_path: Path) -> None:
    space = InteractionDAG(macro="feature", types=tuple(DAG_BLOCKS), dim=4, units=[8, 16])
    model = space.build_for(layout, space.encode(space.genotypes(layout).random(Random(4))))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(logits(again, batch_of(layout)), logits(model, batch_of(layout)))


def test_it_computes_in_bfloat16_with_a_float32_logit(layout: Layout, batch_of: Batch) -> None:
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = InteractionDAG(dim=4, units=8).build_for(layout)
    finally:
        keras.config.set_dtype_policy(policy)
    found = logits(model, batch_of(layout))
    assert found.dtype == "float32"
    assert np.isfinite(found).all()


def test_its_configuration_gives_the_same_space() -> None:
    space = InteractionDAG(blocks=3, types=["fm", "mlp"], units=[8, 16], macro="feature", number_fields=False, dim=8)
    again = from_config(to_config(space))
    assert to_config(again) == to_config(space)
    assert (again.blocks, again.types, again.units, again.macro) == (3, ("fm", "mlp"), (8, 16), "feature")
    assert to_config(InteractionDAG()) == {"preset": "dag", "arguments": {}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": 0}, "`blocks` must be a whole number of 1 or more"),
        ({"types": ["mlp", "fmm"]}, "Did you mean 'fm'"),
        ({"types": []}, "`types` must be distinct values, at least one"),
        ({"units": [8, 8]}, "`units` must be distinct values"),
        ({"units": [0]}, "`units` must be a whole number of 1 or more"),
        ({"macro": "groups"}, "Did you mean 'group'"),
        ({"number_fields": 1}, "`number_fields` must be True or False"),
        ({"block": 3}, "Did you mean 'blocks'"),
    ],
)
def test_what_is_not_allowed_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        InteractionDAG(**arguments)


def test_histories_are_for_layouts_with_a_sequence_of_a_column_s_ids(layouts: dict[str, Layout]) -> None:
    space = InteractionDAG(blocks=2, types=["history", "gated"], units=[8])
    kinds = {type(layer).__name__ for layer in space.build_for(layouts["all"]).layers}
    assert "HistoryTransformer" in kinds
    with pytest.raises(ConfigError, match="`types` must be without 'history' where no sequence shares its ids"):
        space.build_for(layouts["ids"])


def test_the_likeness_of_a_list_is_read_with_its_field(alike: Layout) -> None:
    bare = replace(alike, numbers=(), statistics=(), pairs=())
    streams = RawStreams(Features(bare, kt.HyperParameters()), "feature", True)
    dense, fields = streams.take(["field/seen"])
    assert (dense[0].shape[1], fields[0].shape[1]) == (2, 1)
    assert streams.take(["field/user"])[0] == []
    assert InteractionDAG().sources(bare) == ("dense", "sparse")
    assert InteractionDAG(likeness=False).sources(bare) == ("sparse",)
    for macro in ("group", "feature"):
        space = InteractionDAG(macro=macro)
        assert RawStreams(Features(alike, kt.HyperParameters()), macro, True).sources == space.sources(alike)


@pytest.mark.parametrize("macro", ["group", "feature"])
@pytest.mark.parametrize("seed", range(3))
def test_random_graphs_of_compared_items_train_all_their_weights(
    alike: Layout, batch_of: Batch, macro: str, seed: int
) -> None:
    check_point(InteractionDAG(macro=macro), alike, batch_of(alike), seed)
