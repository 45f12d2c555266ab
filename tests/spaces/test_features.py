"""Encoded rows as fields, as a vector, as a first-order term."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import ItemLikeness
from autorec.data.attributes import Attributes
from autorec.data.layout import Layout
from autorec.errors import ConfigError
from autorec.spaces import Features

Batch = Callable[..., dict[str, np.ndarray]]


def values(features: Features, tensor: Any, batch: dict[str, np.ndarray]) -> np.ndarray:
    model = keras.Model(features.inputs, tensor)
    return np.array(model({name: batch[name] for name in features.inputs}))


def test_nothing_is_declared_before_it_is_read(layout: Layout) -> None:
    hp = kt.HyperParameters()
    features = Features(layout, hp)
    assert not hp.values
    features.statistics  # noqa: B018
    assert set(hp.values) == {"features/statistics", "features/pairs"}
    assert set(features.inputs) == {"statistics", "pairs"}


def test_what_does_not_matter_for_a_layout_is_not_declared(layouts: dict[str, Layout]) -> None:
    hp = kt.HyperParameters()
    Features(layouts["ids"], hp, first_order=True).vector()
    assert set(hp.values) == {"features/dim"}


def test_given_values_are_not_declared_and_false_is_one(layout: Layout) -> None:
    hp = kt.HyperParameters()
    features = Features(layout, hp, dim=4, statistics=False, pairs=False, pooling="sum", cap=0)
    assert features.fields(statistics=True).shape == (None, 8, 4)
    assert set(hp.values) == {"features/numbers", "features/number_embedding"}


@pytest.mark.parametrize("first_order", [True, False])
def test_the_first_order_term_has_a_column_for_each_target(layouts: dict[str, Layout], first_order: bool) -> None:
    features = Features(layouts["targets"], kt.HyperParameters(), first_order=first_order)
    assert features.linear().shape == (None, 2)


def test_first_order_weights_lie_behind_the_fields_in_one_table(layouts: dict[str, Layout], batch_of: Batch) -> None:
    features = Features(layouts["ids"], kt.HyperParameters(), first_order=True, dim=4)
    both = keras.layers.Concatenate()([keras.layers.Flatten()(features.fields()), features.linear()])
    model = keras.Model(features.inputs, both)
    (table,) = model.weights
    assert table.shape == (12 + 9 + 5, 5)
    ids = np.array([[3, 2, 1]], "int32")
    rows = table.numpy()[[3, 12 + 2, 21 + 1]]
    np.testing.assert_allclose(model({"ids": ids})[0], [*rows[:, :4].ravel(), rows[:, 4].sum()], rtol=1e-5, atol=1e-7)


def test_statistics_are_standardised_by_the_layout(layouts: dict[str, Layout]) -> None:
    features = Features(layouts["statistics"], kt.HyperParameters())
    found = values(features, features.dense(), {"statistics": np.array([[-0.3, 3.0]], "float32")})
    np.testing.assert_allclose(found, [[1.0, 1.0]], rtol=1e-5)


def test_the_vector_holds_fields_then_numbers_then_statistics(layout: Layout, batch_of: Batch) -> None:
    features = Features(layout, kt.HyperParameters(), dim=4)
    parts = [keras.layers.Flatten()(features.fields()), features.numbers, features.statistics]
    batch = batch_of(layout)
    found = values(features, features.vector(), batch)
    assert found.shape == (6, 8 * 4 + 3 + 3)
    np.testing.assert_array_equal(found, np.concatenate([values(features, part, batch) for part in parts], 1))


def test_given_columns_are_all_that_is_read(layout: Layout) -> None:
    features = Features(layout, kt.HyperParameters(), columns=["user", "place"], dim=4)
    assert features.vector().shape == (None, 8)
    assert set(features.inputs) == {"ids"}


def test_a_column_is_found_by_name(layout: Layout, batch_of: Batch) -> None:
    features = Features(layout, kt.HyperParameters(), columns=["item", "place"], dim=4)
    batch = batch_of(layout)
    found = values(features, features.column("place"), batch)
    np.testing.assert_array_equal(found, values(features, features.fields(), batch)[:, 1])


def test_a_cap_is_searched_for_large_vocabularies_only(layouts: dict[str, Layout]) -> None:
    large = replace(layouts["ids"], ids=(replace(layouts["ids"].ids[0], size=20_000),))
    hp = kt.HyperParameters()
    hp.values["features/cap"] = 10_000
    features = Features(large, hp)
    model = keras.Model(features.inputs, features.fields())
    assert model.weights[0].shape == (10_000, 16)
    assert next(item.values for item in hp.space if item.name == "features/cap") == [0, 10_000]


@pytest.mark.parametrize("kind", ["linear", "piecewise", "periodic"])
@pytest.mark.parametrize("numbers", ["log", "quantile"])
def test_numbers_are_embedded_in_every_way(layout: Layout, batch_of: Batch, kind: str, numbers: str) -> None:
    features = Features(layout, kt.HyperParameters(), number_embedding=kind, numbers=numbers, dim=4)
    found = values(features, features.fields(), batch_of(layout))
    assert found.shape == (6, 8, 4)
    assert np.isfinite(found).all()


def test_statistics_are_the_only_field_where_there_is_nothing_else(layouts: dict[str, Layout]) -> None:
    assert Features(layouts["statistics"], kt.HyperParameters(), dim=4).fields().shape == (None, 1, 4)


@pytest.mark.parametrize("view", ["fields", "vector", "linear"])
def test_a_layout_with_nothing_to_read_is_refused(layouts: dict[str, Layout], view: str) -> None:
    features = Features(layouts["statistics"], kt.HyperParameters(), statistics=False)
    with pytest.raises(ConfigError, match=r"`layout`.*'statistics': False"):
        getattr(features, view)()


def many_pairs(layout: Layout, count: int, targets: int = 1) -> Layout:
    """The layout with so many pairs, a rate for each target and a count each."""
    column = layout.pairs[0]
    names = [("user", f"c{i}") for i in range(count)]
    columns = [replace(column, sources=name) for name in names for _ in range(targets + 1)]
    return replace(layout, pairs=tuple(replace(c, mean=float(i)) for i, c in enumerate(columns)))


@pytest.mark.parametrize(("count", "choices"), [(2, [0, 2]), (4, [0, 4]), (9, [0, 4, 9]), (20, [0, 4, 12, 20])])
def test_how_many_pairs_are_read_is_searched_and_all_are_the_default(
    layout: Layout, count: int, choices: list[int]
) -> None:
    hp = kt.HyperParameters()
    features = Features(many_pairs(layout, count), hp)
    assert features.width("pairs") == 2 * count
    assert next(item.values for item in hp.space if item.name == "features/pairs") == choices


@pytest.mark.parametrize(("value", "pairs"), [(0, 0), (4, 4), (20, 20), (99, 20), (True, 20), (False, 0)], ids=str)
@pytest.mark.parametrize("given", [True, False])
def test_the_first_pairs_are_read_and_a_boolean_stands_for_all_or_none(
    layout: Layout, value: Any, pairs: int, given: bool
) -> None:
    hp = kt.HyperParameters()
    hp.values["features/pairs"] = value  # True and False: as in runs from before pairs were counted
    features = Features(many_pairs(layout, 20, 2), hp, statistics=False, **({"pairs": value} if given else {}))
    assert features.width("pairs") == 3 * pairs
    assert (features.statistics is not None) == ("pairs" in features.inputs) == (pairs > 0)


def test_the_pairs_that_are_read_are_the_first_ones_each_standardised_by_its_own(layout: Layout) -> None:
    features = Features(many_pairs(layout, 6), kt.HyperParameters(), pairs=4, statistics=False)
    rows = np.arange(12, dtype="float32")[None]
    np.testing.assert_allclose(values(features, features.statistics, {"pairs": rows + 0.5}), [[1.0] * 8], rtol=1e-5)


def test_a_model_of_some_pairs_is_saved_with_those(layout: Layout, tmp_path: Path) -> None:
    features = Features(many_pairs(layout, 6), kt.HyperParameters(), pairs=4, statistics=False)
    keras.Model(features.inputs, features.statistics).save(tmp_path / "model.keras")
    batch = {"pairs": np.random.default_rng(0).normal(size=(3, 12)).astype("float32")}
    found = keras.saving.load_model(tmp_path / "model.keras")(batch)
    np.testing.assert_array_equal(found, values(features, features.statistics, batch))


def test_margins_are_read_behind_the_statistics_where_there_are_some(layouts: dict[str, Layout]) -> None:
    hp = kt.HyperParameters()
    features = Features(layouts["trees"], hp)
    batch = {
        "statistics": np.zeros((1, 2), "float32"),
        "pairs": np.zeros((1, 1), "float32"),
        "margins": np.full((1, 1), 0.1, "float32"),
    }
    np.testing.assert_allclose(values(features, features.statistics, batch)[0, 3:], [1.0], rtol=1e-5)
    assert (hp.values["features/margins"], hp.values.get("features/leaves")) == (True, None)


def test_leaves_are_read_only_if_they_are_asked_for(layouts: dict[str, Layout]) -> None:
    hp = kt.HyperParameters()
    features = Features(layouts["trees"], hp)
    assert features.fields().shape[1] == 8
    assert hp.values["features/leaves"] is False
    assert "leaves" not in features.inputs


@pytest.mark.parametrize("first_order", [True, False])
def test_leaves_are_one_more_field_and_have_first_order_weights(
    layouts: dict[str, Layout], first_order: bool, batch_of: Batch
) -> None:
    layout = replace(layouts["trees"], ids=(), numbers=(), lists=(), statistics=(), pairs=(), margins=())
    features = Features(layout, kt.HyperParameters(), leaves=True, dim=4, first_order=first_order)
    both = keras.layers.Concatenate()([features.fields()[:, 0], features.linear()])
    model = keras.Model(features.inputs, both)
    tables = [weight.numpy() for weight in model.weights]
    assert sorted(table.shape for table in tables) == ([(15, 5)] if first_order else [(15, 1), (15, 4)])
    whole = np.concatenate(sorted(tables, key=lambda table: -table.shape[1]), 1)
    found = np.array(model({"leaves": np.array([[3, 8], [0, 2], [0, 0]], "int32")}))
    expected = [(whole[3] + whole[6 + 8]) / 2, whole[6 + 2], np.zeros(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_groups_are_declared_once_whatever_the_scope(layouts: dict[str, Layout]) -> None:
    hp = kt.HyperParameters()
    hp.Boolean("outer", default=True)
    features = Features(layouts["trees"], hp)
    features.fields(statistics=True)
    with hp.conditional_scope("outer", [True]):
        features.linear()
        features.width("margins")
    names = [item.name for item in hp.space]
    assert [names.count(f"features/{group}") for group in ("statistics", "pairs", "margins", "leaves")] == [1, 1, 1, 1]


def test_a_layout_without_trees_declares_nothing_of_them(layout: Layout) -> None:
    hp = kt.HyperParameters()
    Features(layout, hp, first_order=True).vector()
    assert {"features/margins", "features/leaves"}.isdisjoint(hp.values)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("dims", 8, "Did you mean 'dim'"),
        ("dim", 0, "a whole number of 1 or more"),
        ("dim", True, "a whole number of 1 or more"),
        ("cap", -1, "a whole number of 0 or more"),
        ("numbers", "logs", "Did you mean 'log'"),
        ("number_embedding", "cubic", "'piecewise'"),
        ("pooling", "median", "'mean'"),
        ("pairs", -1, "a whole number of 0 or more"),
        ("leaves", 1, "True, False or None"),
    ],
)
def test_an_argument_that_is_not_allowed_is_refused(layout: Layout, name: str, value: Any, allowed: str) -> None:
    with pytest.raises(ConfigError, match=allowed):
        Features(layout, kt.HyperParameters(), **{name: value})


def test_a_sequence_that_shares_its_table_with_the_item_is_a_history(layout: Layout, batch_of: Any) -> None:
    features, batch = Features(layout, kt.HyperParameters(), dim=4), batch_of(layout)
    (items, ids, item), *others = features.histories()
    assert not others
    assert ids is features.input("list_1")
    model = keras.Model(features.inputs, [items, item])
    values, candidate = model({name: batch[name] for name in features.inputs})
    table = next(weight for weight in model.weights if weight.name == "table").numpy()[12:]  # behind the user's rows
    np.testing.assert_array_equal(values, table[batch["list_1"]])
    np.testing.assert_array_equal(candidate, table[batch["ids"][:, 1]])


def test_first_order_weights_are_no_part_of_a_history(layout: Layout) -> None:
    features = Features(layout, kt.HyperParameters(), dim=4, first_order=True)
    assert features.histories()[0][0].shape[-1] == 4


@pytest.mark.parametrize("name", ["lists", "ids", "numbers"])
def test_without_a_column_of_its_ids_or_a_sequence_there_is_no_history(name: str, layouts: dict[str, Layout]) -> None:
    assert Features(layouts[name], kt.HyperParameters()).histories() == []


def test_a_bag_is_no_history_and_rows_of_another_width_are_projected(layout: Layout) -> None:
    bag = replace(layout, lists=tuple(replace(item, kind="bag") for item in layout.lists))
    assert Features(bag, kt.HyperParameters()).histories() == []
    wide = replace(
        layout,
        ids=tuple(replace(column, dim=7 if column.name == "item" else None) for column in layout.ids),
        lists=tuple(replace(item, dim=7 if item.table == "item" else None) for item in layout.lists),
    )
    items, _, item = Features(wide, kt.HyperParameters(), dim=4).histories()[0]
    assert (items.shape[-1], item.shape[-1]) == (4, 4)


def test_the_likeness_of_past_items_is_standardised_and_stands_last_in_dense(alike: Layout, batch_of: Any) -> None:
    features, batch = Features(alike, kt.HyperParameters()), batch_of(alike, 200)
    model = keras.Model(features.inputs, [features.dense(), features.likeness])
    dense, likeness = model({name: batch[name] for name in features.inputs})
    known = Attributes.load(str(alike.lists[0].attribute_file))
    for row, ids in enumerate(batch["ids"]):
        wanted = []
        for group, decay in (("list_0", 0.0), ("list_1", 0.05)):
            past = batch[group][row]
            past = past[past > 0]
            found = known.likeness(past, np.tile(ids[[1, 2]], (len(past), 1)))
            weights = np.exp(-decay * np.arange(len(past))[::-1])[:, None]
            mean = (weights * found).sum(0) / weights.sum() if len(past) else np.zeros(2)
            wanted.extend((mean - [0.1, 0.2]) / [0.5, 2.0])
        np.testing.assert_allclose(likeness[row], wanted, rtol=1e-4, atol=1e-5)
    assert np.std(likeness, axis=0).min() > 0
    np.testing.assert_array_equal(dense[:, -4:], likeness)


def test_lists_of_the_same_items_share_what_is_known_of_them(alike: Layout) -> None:
    features = Features(alike, kt.HyperParameters())
    model = keras.Model(features.inputs, features.dense())
    assert len([layer for layer in model.layers if isinstance(layer, ItemLikeness)]) == 1


def test_a_history_comes_with_its_likeness_and_a_bag_is_none(alike: Layout, layout: Layout) -> None:
    ((_, _, _, likeness),) = Features(alike, kt.HyperParameters()).histories()
    assert likeness.shape == (None, None, 2)
    assert len(Features(layout, kt.HyperParameters()).histories()[0]) == 3


def test_a_field_of_statistics_reads_the_likeness_too(alike: Layout) -> None:
    features = Features(replace(alike, statistics=(), pairs=()), kt.HyperParameters(), dim=4)
    assert features.fields(statistics=True).shape[1] == features.fields().shape[1] + 1


def test_the_likeness_can_be_left_unread_and_is_not_searched(alike: Layout) -> None:
    hp = kt.HyperParameters()
    assert Features(alike, hp).likeness is not None
    assert not hp.values
    off = Features(alike, hp, likeness=False)
    assert off.likeness is None
    assert len(off.histories()[0]) == 3
    assert Features(alike, hp, columns=["user", "item"]).likeness is None
    with pytest.raises(ConfigError, match="`likeness` must be True, False or None"):
        Features(alike, hp, likeness=1)


def test_a_layout_of_before_has_no_likeness(layout: Layout) -> None:
    assert Features(layout, kt.HyperParameters()).likeness is None


def test_smaller_tables_take_the_first_items(alike: Layout, batch_of: Any) -> None:
    ids = tuple(replace(column, size=4) for column in alike.ids)
    features, batch = Features(replace(alike, ids=ids), kt.HyperParameters()), batch_of(alike)
    assert np.isfinite(values(features, features.likeness, batch)).all()
