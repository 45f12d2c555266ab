"""Every preset: builds on layouts of all sorts, predicts, trains, saves; and what each one computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import (
    MLP,
    ClickHead,
    CompressedInteraction,
    FactorizationMachine,
    HistoryTransformer,
    IsotonicCalibration,
    ItemLikeness,
    ResidualCross,
    TwoStreamMLP,
)
from autorec.data.layout import Layout, TargetColumn
from autorec.errors import ConfigError
from autorec.spaces import (
    DCN,
    FM,
    GMF,
    LR,
    MF,
    SPACES,
    AutoInt,
    DCNv2,
    DeepFM,
    FinalMLP,
    LiRank,
    NeuMF,
    ResidualDCN,
    XDeepFM,
    build,
    from_config,
    to_config,
)

NAMES = list(SPACES)
USER_ITEM = ("mf", "gmf", "neumf")
LAYOUTS = ("all", "ids", "numbers", "statistics", "one_id", "lists", "plain", "targets", "trees", "ratings")
CASES = [
    (name, layout)
    for name in NAMES
    for layout in LAYOUTS
    if name not in USER_ITEM or layout in ("all", "ids", "plain", "targets", "ratings")
]

Batch = Callable[..., dict[str, np.ndarray]]
Point = Callable[[kt.HyperParameters, int], kt.HyperParameters]


def predictions(model: keras.Model, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = model({name: batch[name] for name in model.input})
    return {target: np.array(values) for target, values in found.items()}


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_a_preset_builds_at_its_defaults_and_at_a_random_point(
    name: str, layout: str, layouts: dict[str, Layout], batch_of: Batch, point_of: Point
) -> None:
    hp = kt.HyperParameters()
    build(name, hp, layouts[layout])
    found = predictions(build(name, point_of(hp, 3), layouts[layout]), batch_of(layouts[layout]))
    assert list(found) == [target.name for target in layouts[layout].targets]
    assert all(values.shape == (6, 1) and np.isfinite(values).all() for values in found.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_learns_and_its_file_predicts_the_same(
    name: str, layout: Layout, batch_of: Batch, tmp_path: Path
) -> None:
    model, batch = SPACES[name]().build_for(layout), batch_of(layout)
    batch = {group: batch[group] for group in model.input}
    labels = {"click": np.array([[0], [1], [0], [1], [1], [0]], "float32")}
    before = predictions(model, batch)["click"]
    model.compile(keras.optimizers.Adam(0.01), {"click": keras.losses.BinaryCrossentropy(from_logits=True)})
    losses = [float(model.train_on_batch(batch, labels)) for _ in range(8)]
    assert losses[-1] < losses[0]
    after = predictions(model, batch)["click"]
    assert not np.array_equal(before, after)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(predictions(keras.saving.load_model(tmp_path / "model.keras"), batch)["click"], after)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_built_again_from_its_values_has_the_same_weights_shapes(
    name: str, layout: Layout, point_of: Point
) -> None:
    hp = kt.HyperParameters()
    build(name, hp, layout)
    point = point_of(hp, 5)
    first = build(name, point, layout)
    again = SPACES[name]().build_for(layout, dict(point.values))
    assert [tuple(w.shape) for w in again.weights] == [tuple(w.shape) for w in first.weights]


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_can_be_fixed_and_leaves_the_space(name: str, layout: Layout) -> None:
    free = kt.HyperParameters()
    build(name, free, layout)
    arguments = {}
    for item in free.space:
        argument = item.name.split("/")[-1]
        known = SPACES[name].argument_names()
        if item.name.startswith((f"{name}/", "features/", "mlp/")) and argument in known:
            arguments[argument] = item.default
    fixed = kt.HyperParameters()
    build(SPACES[name](**arguments), fixed, layout)
    left = {item.name.split("/")[-1] for item in fixed.space if item.name.split("/")[0] in (name, "features", "mlp")}
    assert arguments
    assert not left & set(arguments)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_argument_is_refused_before_any_build(name: str) -> None:
    with pytest.raises(ConfigError, match=r"dimm.*Did you mean 'dim'" if name != "lr" else "dimm"):
        SPACES[name](dimm=8)


@pytest.mark.parametrize(
    ("preset", "arguments", "allowed"),
    [
        (DCN, {"structure": "serial"}, "parallel"),
        (AutoInt, {"deep": 1}, "True, False or None"),
        (DeepFM, {"dim": 0}, "a whole number of 1 or more"),
        (NeuMF, {"statistics": False}, "one of"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(preset: Any, arguments: dict[str, Any], allowed: str) -> None:
    with pytest.raises(ConfigError, match=allowed):
        preset(**arguments)


def test_zero_and_false_are_values(layout: Layout) -> None:
    hp = kt.HyperParameters()
    model = build(DeepFM(dropout=0.0, statistics=False, pairs=False, dim=4), hp, layout)
    assert not {"mlp/dropout", "features/statistics", "features/pairs", "features/dim"} & set(hp.values)
    assert {"statistics", "pairs"}.isdisjoint(model.input)
    assert next(layer for layer in model.layers if isinstance(layer, MLP)).dropout == 0.0


@pytest.mark.parametrize("name", USER_ITEM)
@pytest.mark.parametrize("layout", ["numbers", "one_id", "lists"])
def test_factorisations_need_a_user_and_an_item(name: str, layout: str, layouts: dict[str, Layout]) -> None:
    missing = "item" if layout == "one_id" else "user"
    with pytest.raises(ConfigError, match=rf"`{missing}` must be a column of ids.*'{name}' reads only the user"):
        SPACES[name]().build_for(layouts[layout])


@pytest.mark.parametrize("name", USER_ITEM)
def test_factorisations_read_the_user_and_the_item_only(name: str, layout: Layout, batch_of: Batch) -> None:
    model, batch = SPACES[name]().build_for(layout), batch_of(layout)
    assert list(model.input) == ["ids"]
    before = predictions(model, batch)["click"]
    changed = {"ids": np.stack([batch["ids"][:, 0], batch["ids"][:, 1], 4 - batch["ids"][:, 2]], 1)}
    np.testing.assert_array_equal(predictions(model, changed)["click"], before)


def rows_of(model: keras.Model, ids: np.ndarray, sizes: tuple[int, ...] = (12, 9)) -> tuple[np.ndarray, np.ndarray]:
    """The user's and the item's rows in the first table: factors, then the bias."""
    table = next(weight.numpy() for weight in model.weights if weight.name == "table")
    assert len(table) == sum(sizes)
    return table[ids[:, 0]], table[sizes[0] + ids[:, 1]]


def scaled_factorisation(model: keras.Model, ids: np.ndarray, scale: float) -> np.ndarray:
    user, item = rows_of(model, ids)
    bias = np.log(0.3 / 0.7) + user[:, -1] + item[:, -1]
    return bias + scale * (user[:, :-1] * item[:, :-1]).sum(1)


def test_matrix_factorisation_is_mean_biases_and_inner_product(layout: Layout, batch_of: Batch) -> None:
    model, batch = MF(dim=8).build_for(layout), batch_of(layout)
    expected = scaled_factorisation(model, batch["ids"], 1.0)
    np.testing.assert_allclose(predictions(model, batch)["click"][:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("preset", [NeuMF(deep=False, dim=8), GMF(dim=8)])
def test_neumf_without_its_deep_network_is_a_scaled_factorisation(preset: Any, layout: Layout, batch_of: Batch) -> None:
    model, batch = preset.build_for(layout), batch_of(layout)
    kernel = model.layers[-1].kernel
    assert kernel.shape == (8, 1)
    kernel.assign(np.full((8, 1), 2.5))
    expected = scaled_factorisation(model, batch["ids"], 2.5)
    np.testing.assert_allclose(predictions(model, batch)["click"][:, 0], expected, rtol=1e-5)


def test_neumf_has_factors_of_its_own_for_each_part(layout: Layout) -> None:
    model = NeuMF(dim=8, deep_dim=4).build_for(layout)
    tables = [tuple(weight.shape) for weight in model.weights if weight.name == "table"]
    assert sorted(tables) == [(21, 4), (21, 9)]


def test_a_switched_off_part_declares_nothing_that_is_active(layout: Layout) -> None:
    hp = kt.HyperParameters()
    hp.values["autoint/deep"] = False
    model = build("autoint", hp, layout)
    assert not [name for name in hp.values if name.startswith("mlp/")]
    assert not [layer for layer in model.layers if isinstance(layer, MLP)]


def test_logistic_regression_has_no_products(layouts: dict[str, Layout]) -> None:
    model = LR().build_for(layouts["ids"])
    model.weights[0].assign(np.random.default_rng(0).normal(size=model.weights[0].shape))
    ids = np.array([[2, 2, 2], [3, 2, 2], [2, 3, 2], [3, 3, 2]], "int32")
    a, b, c, d = predictions(model, {"ids": ids})["click"][:, 0]
    assert a + d == pytest.approx(b + c, abs=1e-5)


def test_a_factorization_machine_has_products_of_pairs(layouts: dict[str, Layout], batch_of: Batch) -> None:
    model, batch = FM(dim=4).build_for(layouts["ids"]), batch_of(layouts["ids"])
    table = next(weight for weight in model.weights if weight.name == "table")
    table.assign(np.random.default_rng(0).normal(size=table.shape))
    rows = table.numpy()[batch["ids"] + [0, 12, 21]]  # (batch, 3, 5)
    first = np.log(0.3 / 0.7) + rows[:, :, 4].sum(1)
    np.testing.assert_allclose(predictions(model, batch)["click"][:, 0], first, rtol=1e-4, atol=1e-5)
    weights = np.array([1.0, -0.5, 2.0, 0.25], "float32")
    layers_of(model, keras.layers.Dense)[-1].kernel.assign(weights[:, None])
    pairs = sum((rows[:, i, :4] * rows[:, j, :4]) @ weights for i in range(3) for j in range(i))
    np.testing.assert_allclose(predictions(model, batch)["click"][:, 0], first + pairs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("preset", [DCN, DCNv2])
def test_a_stacked_cross_feeds_the_deep_network(preset: Any, layout: Layout) -> None:
    stacked, parallel = (preset(structure=name).build_for(layout) for name in ("stacked", "parallel"))
    assert stacked.layers[-1].kernel.shape[0] < parallel.layers[-1].kernel.shape[0]


def layers_of(model: keras.Model, kind: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_residual_dcn_is_residual_and_plain_crosses_beside_a_deep_network(layout: Layout, batch_of: Batch) -> None:
    model, batch = ResidualDCN(rank=4, units=8).build_for(layout), batch_of(layout)
    cross, deep, head = (layers_of(model, kind)[0] for kind in (ResidualCross, MLP, ClickHead))
    vector = keras.Model(model.input, cross.input)({name: batch[name] for name in model.input})
    expected = head([cross(vector), deep(vector)])["click"]
    np.testing.assert_allclose(predictions(model, batch)["click"], expected, rtol=1e-5, atol=1e-6)


def test_xdeepfm_has_a_first_order_term_out_of_the_rows_of_its_fields(layouts: dict[str, Layout]) -> None:
    model = XDeepFM(dim=4).build_for(layouts["ids"])
    assert [tuple(weight.shape) for weight in model.weights if weight.name == "table"] == [(12 + 9 + 5, 4 + 1)]
    assert layers_of(model, CompressedInteraction)[0].kernels[0].shape == (9, 32)


@pytest.mark.parametrize("preset", [FM, DeepFM, XDeepFM])
def test_products_are_weighed_for_each_target_from_zero(preset: Any, layouts: dict[str, Layout]) -> None:
    model = preset(dim=4).build_for(layouts["targets"])
    quiet = [layer for layer in layers_of(model, keras.layers.Dense) if not np.any(layer.kernel)]
    products = {FactorizationMachine: 4, CompressedInteraction: 64}
    (kind,) = (kind for kind in products if layers_of(model, kind))
    assert (products[kind], 2) in [tuple(layer.kernel.shape) for layer in quiet]


def test_finalmlp_reads_user_and_item_in_its_gates_where_there_are_both(layouts: dict[str, Layout]) -> None:
    def gates(layout: Layout) -> list[int]:
        block = layers_of(FinalMLP(dim=4).build_for(layout), TwoStreamMLP)[0]
        return [gate.first.kernel.shape[0] for gate in block.selections]

    assert gates(layouts["ids"]) == [4, 4]
    assert gates(replace(layouts["ids"], item=None)) == [12, 12]


def test_finalmlp_has_an_output_for_each_target(layouts: dict[str, Layout], batch_of: Batch) -> None:
    found = predictions(FinalMLP().build_for(layouts["targets"]), batch_of(layouts["targets"]))
    assert np.abs(found["click"] - found["like"]).max() > 0.01


def test_lirank_reads_the_sequence_that_shares_the_items_ids(layout: Layout, batch_of: Batch) -> None:
    model, batch = LiRank(history_width=16, history_last=1).build_for(layout), batch_of(layout)
    assert [layer.width for layer in layers_of(model, HistoryTransformer)] == [16]
    batch["list_0"] = 0 * batch["list_0"]
    before = predictions(model, batch)["click"]
    batch["list_1"][:, ::] = batch["list_1"][:, ::-1]  # another order of the same items: a mean is blind to it
    assert np.abs(predictions(model, batch)["click"] - before).max() > 1e-5  # it starts quiet


def test_lirank_without_a_sequence_or_told_so_has_no_transformer(layouts: dict[str, Layout]) -> None:
    for name in ("ids", "lists", "numbers"):
        assert not layers_of(LiRank().build_for(layouts[name]), HistoryTransformer)
    assert not layers_of(LiRank(history=False).build_for(layouts["all"]), HistoryTransformer)


def test_lirank_is_calibrated_for_clicks_alone(layouts: dict[str, Layout]) -> None:
    def count(name: str, **arguments: Any) -> int:
        return len(layers_of(LiRank(**arguments).build_for(layouts[name]), IsotonicCalibration))

    assert (count("all"), count("targets"), count("ratings"), count("all", isotonic=False)) == (1, 2, 0, 0)


def test_lirank_has_slopes_of_its_own_for_the_columns_that_it_is_told(layout: Layout) -> None:
    space = LiRank(calibrate_by=["place", "user"], dim=4)
    block = layers_of(space.build_for(layout), IsotonicCalibration)[0]
    assert block.kernel.shape == (8, 32)
    assert from_config(to_config(space)).get_config() == space.get_config()
    assert LiRank().get_config() == {"preset": "lirank", "arguments": {}}


def test_a_column_to_calibrate_by_must_be_one_of_ids(layout: Layout) -> None:
    with pytest.raises(ConfigError, match=r"`calibrate_by` must be one of .*got 'plac'.*Did you mean 'place'"):
        LiRank(calibrate_by=["plac"]).build_for(layout)
    with pytest.raises(ConfigError, match="a list of names of columns"):
        LiRank(calibrate_by="place")


@pytest.mark.long
def test_a_factorization_machine_recovers_data_of_rank_k() -> None:
    random, users, items, noise = np.random.default_rng(0), 40, 30, 0.1
    left, right = random.normal(size=(users, 2)), random.normal(size=(items, 2))
    ids = random.integers(2, [users + 2, items + 2], (12_000, 2)).astype("int32")
    labels = (left[ids[:, 0] - 2] * right[ids[:, 1] - 2]).sum(1) + random.normal(0, noise, len(ids))
    layout = user_item_ratings(users + 2, items + 2, labels)
    keras.utils.set_random_seed(0)
    model = FM(dim=4).build_for(layout)
    for rate in (0.02, 0.002):
        model.compile(keras.optimizers.Adam(rate), "mse")
        model.fit({"ids": ids[:10_000]}, {"stars": labels[:10_000, None]}, batch_size=500, epochs=40, verbose=0)
    error = predictions(model, {"ids": ids[10_000:]})["stars"][:, 0] - labels[10_000:]
    assert np.mean(error**2) < 1.2 * noise**2


def user_item_ratings(users: int, items: int, labels: np.ndarray) -> Layout:
    from autorec.data.layout import IdColumn

    target = TargetColumn("stars", "real", float(labels.mean()), float(labels.std()), labels.min(), labels.max())
    columns = (IdColumn("user", "user", users, "user"), IdColumn("item", "item", items, "item"))
    return Layout(ids=columns, targets=(target,), user="user", item="item")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("mf", "gmf", "neumf")])
def test_a_preset_reads_how_alike_past_items_are_and_its_file_knows_it(
    name: str, alike: Layout, batch_of: Batch, tmp_path: Path
) -> None:
    model, batch = SPACES[name]().build_for(alike), batch_of(alike)
    assert len(layers_of(model, ItemLikeness)) == 1
    batch = {group: batch[group] for group in model.input}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(predictions(loaded, batch)["click"], predictions(model, batch)["click"])
    (known,), (again,) = layers_of(model, ItemLikeness), layers_of(loaded, ItemLikeness)
    assert known.values.numpy().any()
    np.testing.assert_array_equal(known.values.numpy(), again.values.numpy())


@pytest.mark.parametrize("name", ["lirank", "auto", "dag", "multi_task", "dlrm", "deepfm"])
def test_a_space_without_likeness_is_read_back_as_one(name: str, alike: Layout) -> None:
    space = from_config(json.loads(json.dumps(to_config(SPACES[name](likeness=False)))))
    assert not layers_of(space.build_for(alike), ItemLikeness)


@pytest.mark.parametrize("targets", ["targets", "ratings"])
def test_several_targets_and_ratings_read_it_too(targets: str, alike: Layout, layouts: Any, batch_of: Batch) -> None:
    layout = replace(alike, targets=layouts[targets].targets)
    model = LiRank().build_for(layout)
    found = predictions(model, {group: values for group, values in batch_of(layout).items() if group in model.input})
    assert len(layers_of(model, ItemLikeness)) == 1
    assert all(np.isfinite(values).all() for values in found.values())


def test_a_layout_that_names_attributes_and_holds_none_is_refused(alike: Layout) -> None:
    with pytest.raises(ConfigError, match="that of an open cache, which holds what items are like"):
        LiRank().build_for(alike.with_files({}, {}))
