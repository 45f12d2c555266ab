"""What the items of a list are like: which columns an item decides, and what a cache keeps of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from autorec.blocks import ItemLikeness, RecencyMean
from autorec.data import attributes
from autorec.data.attributes import Attributes, attributes_of
from autorec.data.cache import META, Cache
from autorec.data.encode import encode, encode_all
from autorec.data.encoder import Encoder
from autorec.data.layout import IdColumn, Layout, ListColumn
from autorec.data.schema import Schema
from autorec.data.table import as_source
from autorec.errors import DataError

ROWS, ITEMS = 4000, 60


def log(rows: int = ROWS) -> dict[str, Any]:
    """A log whose items decide brand, colour where it is told, and seller; and neither shop nor device."""
    rng = np.random.default_rng(0)
    item = rng.integers(ITEMS, size=rows)
    colour = np.array(["red", "green", "blue"])[item % 3].astype(object)
    colour[rng.random(rows) < 0.3] = None
    return {
        "user": item % 7,
        "item": item,
        "brand": np.char.add("b", (item // 10).astype(str)),
        "colour": colour,
        "alias": np.char.add("i", item.astype(str)),
        "shop": np.where(rng.random(rows) < 0.01, "other", np.char.add("s", (item % 5).astype(str))),
        "device": np.array(["phone", "tv"])[rng.integers(2, size=rows)],
        "time": 1_700_000_000 + item * 60,
        "past": [rng.integers(ITEMS, size=size).tolist() for size in rng.integers(5, size=rows)],
        "basket": [rng.integers(ITEMS, size=size).tolist() for size in rng.integers(4, size=rows)],
        "click": rng.integers(2, size=rows),
    }


def schema_of(frame: Any) -> Schema:
    schema = Schema.infer(frame, target="click", user="user", item="item", time="time")
    for name, kind in (("past", "sequence"), ("basket", "bag")):
        schema[name].kind, schema[name].vocabulary = kind, "item"
    return schema


def encoded(frame: Any, folder: Path, **more: Any) -> Cache:
    return encode(as_source(frame), schema_of(frame), folder / "cache", **more)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return encoded(log(), tmp_path_factory.mktemp("cache"))


def known(cache: Cache) -> Attributes:
    return Attributes.load(str(cache.layout.lists[0].attribute_file))


def found_in(frame: Any, folder: Path) -> tuple[str, ...]:
    return encoded(frame, folder).layout.lists[0].attributes


def test_columns_with_one_value_an_item_are_its_attributes_for_sequences_and_bags(cache: Cache) -> None:
    # Not the user or the parts of the time, which it decides too, and not what is but another name of it.
    past, basket = cache.layout.lists
    assert past.attributes == basket.attributes == known(cache).columns == ("brand", "colour")
    assert past.attribute_file == basket.attribute_file
    assert (past.kind, basket.kind) == ("sequence", "bag")


def test_each_item_has_the_value_its_rows_tell_and_each_value_its_share(cache: Cache) -> None:
    found, ids, layout = known(cache), cache.train.arrays["ids"], cache.layout
    for column, name in enumerate(found.columns):
        item, shown = ids[:, layout.position("item")], ids[:, layout.position(name)]
        told = np.flatnonzero(shown)
        np.testing.assert_array_equal(found.values[item[told], column], shown[told])
        np.testing.assert_allclose(found.shares[column], np.bincount(shown[told]) / len(told), rtol=1e-6)
    np.testing.assert_array_equal(found.values[:2], 0)


def test_few_contradictions_are_borne_and_many_are_not(tmp_path: Path) -> None:
    frame = log()
    frame["brand"] = frame["brand"].astype(object)
    frame["brand"][[5, 900]] = "b9"  # 2 of 4,000
    assert found_in(frame, tmp_path / "few") == ("brand", "colour")
    frame["brand"][100:110] = "b9"
    assert found_in(frame, tmp_path / "many") == ("colour",)


def column_of(items: np.ndarray, shown: np.ndarray, block: int) -> Any:
    column = attributes._Column(int(items.max()) + 1, int(shown.max()) + 1)
    for step in (column.vote, column.count):
        for start in range(0, len(items), block):
            step(items[start : start + block], shown[start : start + block])
    return column


@pytest.mark.parametrize("block", [1, 7, 60, 10_000])
@pytest.mark.parametrize("clustered", [True, False])
def test_an_item_has_the_value_of_most_of_its_rows(block: int, clustered: bool) -> None:
    rng = np.random.default_rng(block)
    items = rng.integers(2, 40, 3000)
    items = np.sort(items) if clustered else items
    shown = np.where(rng.random(3000) < 0.3, rng.integers(2, 9, 3000), items % 5 + 2)  # three in four, about
    column = column_of(items, shown, block)
    for item in np.unique(items):
        counts = np.bincount(shown[items == item], minlength=9)
        if 2 * counts.max() > counts.sum():
            assert column.values[item] == counts.argmax()
    assert column._contradicting == (shown != column.values[items]).sum()


@pytest.mark.parametrize("rows", [[5] * 100 + [6, 7], [6, 7] + [5] * 100, [5] * 99 + [6] * 2, [6] + [5] * 9])
def test_wrong_rows_at_an_end_do_not_win(rows: list[int]) -> None:
    for block in (1, 2, 99, 1000):
        assert column_of(np.full(len(rows), 3), np.array(rows), block).values[3] == 5


def test_a_block_has_as_many_votes_as_its_majority_is_ahead() -> None:
    rows = np.array([5, 5, 6, 6, 6] * 3 + [5] * 5)  # 5 stands in 11 of 20 rows, and leads in one block of four
    assert column_of(np.full(len(rows), 3), rows, 5).values[3] == 5


def test_a_wrong_row_at_the_end_of_a_dominant_item_does_not_cost_the_column() -> None:
    items = np.sort(np.minimum(np.random.default_rng(0).integers(2, 260, 50_000), 200))
    shown = (items % 7 + 2).astype(np.int64)
    shown[np.flatnonzero(items == 200)[-1]] = 12
    assert items[items == 200].size > 10_000
    column = column_of(items, shown, 65_536)
    assert not column.is_hopeless()
    assert column.is_attribute()


def test_a_flag_that_is_hardly_ever_set_is_no_attribute() -> None:
    rng = np.random.default_rng(0)
    items = rng.zipf(1.3, 50_000) % 5000 + 2
    shown = np.where(rng.random(50_000) < 5e-4, 3, 2)
    column = column_of(items, shown, 65_536)
    assert not column.is_hopeless()
    assert not column.is_attribute()
    decided = column_of(items, np.where(items % 11 == 0, 3, 2), 65_536)
    assert decided.is_attribute()


def test_rare_items_whose_values_are_unknown_make_no_alias_an_attribute() -> None:
    items = np.repeat(np.arange(2, 402), np.where(np.arange(400) < 300, 10, 1))
    assert not column_of(items, np.where(items < 302, items, 1), 1000).is_attribute()


def test_a_value_that_hardly_any_item_repeats_tells_nothing(tmp_path: Path) -> None:
    frame, rng = log(), np.random.default_rng(1)
    frame["item"] = np.where(np.arange(ROWS) < 1000, 3, 1000 + np.arange(ROWS))  # one shown often, others once
    frame["brand"] = np.where(frame["item"] == 3, "b0", np.char.add("b", rng.integers(9, size=ROWS).astype(str)))
    schema = schema_of(frame)
    schema["item"].min_count = 1
    found = encode(as_source(frame), schema, tmp_path / "cache").layout.lists[0]
    assert "brand" not in found.attributes
    assert len(found.means) == 1 + len(found.attributes)


def test_a_constant_column_is_none(tmp_path: Path) -> None:
    frame = log()
    schema = schema_of(frame)
    frame["brand"] = np.full(ROWS, "b1")
    assert encode(as_source(frame), schema, tmp_path / "cache").layout.lists[0].attributes == ("colour",)


def test_moments_are_those_of_what_a_model_reads_before_training(cache: Cache) -> None:
    found, layout, part = known(cache), cache.layout, cache.train
    arrays = part.take(np.arange(part.rows), ["ids", "list_0"])
    item = arrays["ids"][:, [layout.position(name) for name in ("item", *found.columns)]]
    sizes = [len(shares) for shares in found.shares]
    alike = ItemLikeness(len(found.values), sizes, (found.values, found.shares))([arrays["list_0"], item])
    mean = np.array(RecencyMean()([alike, arrays["list_0"]]))
    past = layout.lists[0]
    np.testing.assert_allclose(past.means, mean.mean(0), rtol=1e-4)
    np.testing.assert_allclose(past.stds, np.maximum(mean.std(0), 0.1), rtol=1e-4)
    assert past.stds[0] == 0.1 < past.stds[1]  # the same item is rare: what is seldom alike is not blown up


def test_numpy_and_the_layer_find_the_same(cache: Cache) -> None:
    found, rng = known(cache), np.random.default_rng(0)
    past = rng.integers(ITEMS + 2, size=300)
    item = np.stack(
        [rng.integers(ITEMS + 2, size=300), *(rng.integers(len(each), size=300) for each in found.shares)], 1
    )
    item[:100, 0] = past[:100]
    layer = ItemLikeness(len(found.values), [len(each) for each in found.shares], (found.values, found.shares))
    np.testing.assert_allclose(layer([past[:, None], item])[:, 0], found.likeness(past, item), rtol=1e-6)


def test_blocks_of_rows_find_what_all_rows_do(monkeypatch: pytest.MonkeyPatch, cache: Cache) -> None:
    layout, ids = cache.layout, cache.train.arrays["ids"]
    item = layout.ids[layout.position("item")]
    whole = attributes_of(layout, item, ids)
    monkeypatch.setattr(attributes, "BLOCK", 7)
    parts = attributes_of(layout, item, ids)
    assert whole.columns == parts.columns
    np.testing.assert_array_equal(whole.values, parts.values)
    for one, other in zip(whole.shares, parts.shares):
        np.testing.assert_array_equal(one, other)


def test_what_is_found_is_said(tmp_path: Path) -> None:
    heard: list[str] = []
    encoded(log(), tmp_path, progress=lambda event: heard.append(event.get("text", "")))
    assert "`past`: items are compared by brand, colour too" in heard


def test_a_list_is_compared_with_a_column_of_its_items() -> None:
    ids = (IdColumn("first", "first", 9, "item"), IdColumn("item", "item", 9, "item"), IdColumn("b", "b", 9, "b"))
    past = ListColumn("x", "list_0", "sequence", 9, "item", 3)
    layout = Layout(ids=ids, lists=(past,), item="item")
    assert layout.candidate(past) == ids[1]
    assert replace(layout, item=None).candidate(past) == ids[0]
    assert layout.candidate(replace(past, table="c")) is None


def test_the_names_go_with_the_encoder_and_the_file_with_the_cache(cache: Cache, tmp_path: Path) -> None:
    loaded = Encoder.load(cache.directory / "encoder").layout.lists[0]
    assert (loaded.attributes, loaded.attribute_file) == (("brand", "colour"), None)
    assert (loaded.means, loaded.stds) == (cache.layout.lists[0].means, cache.layout.lists[0].stds)
    moved = tmp_path / "moved"
    shutil.copytree(cache.directory, moved)
    file = Path(str(Cache.open(moved).layout.lists[0].attribute_file))
    assert file.parent == moved / "attributes"
    assert file.exists()


def test_a_cache_of_before_is_read_as_it_was(cache: Cache, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(cache.directory, old)
    for path, change in ((old / META, ["attributes"]), (old / "encoder" / "encoder.json", [])):
        content = json.loads(path.read_text(encoding="utf-8"))
        for key in change:
            del content[key]
        for column in content.get("layout", {}).get("lists", []):
            for key in ("attributes", "means", "stds", "attribute_file"):
                del column[key]
        path.write_text(json.dumps(content), encoding="utf-8")
    assert all(not column.means for column in Cache.open(old).layout.lists)
    again = encode_all([as_source(log())], schema_of(log()), tmp_path / "all", like=Cache.open(old))
    assert all(not column.means for column in again.layout.lists)


def test_all_rows_are_compared_by_the_attributes_of_the_training_rows(cache: Cache, tmp_path: Path) -> None:
    frame = log()
    frame["colour"][:100] = "pink"  # by which it would be no attribute
    everything = encode_all([as_source(frame)], schema_of(log()), tmp_path / "all", like=cache)
    assert everything.layout.lists[0].attributes == ("brand", "colour")
    found, layout, ids = known(everything), everything.layout, everything.train.arrays["ids"]
    brands = ids[:, layout.position("brand")]
    np.testing.assert_allclose(found.shares[0], np.bincount(brands) / ROWS, rtol=1e-6)
    colour = everything.encoder.vocabularies["colour"].values.to_list()
    items = everything.encoder.vocabularies["item"].values.to_list()
    told = {int(item): colour[value - 2] for item, value in zip(items, found.values[2:, 1])}
    assert told == {item: ("red", "green", "blue")[item % 3] for item in range(ITEMS)}


def test_an_attribute_that_is_gone_is_left_out(cache: Cache) -> None:
    layout = cache.layout
    item = layout.ids[layout.position("item")]
    found = attributes_of(layout, item, cache.train.arrays["ids"], ("brand", "made of"))
    assert found.columns == ("brand",)


def test_moments_of_a_sample_are_near_those_of_all_rows(monkeypatch: pytest.MonkeyPatch, cache: Cache) -> None:
    monkeypatch.setattr(attributes, "SAMPLE", 1)
    monkeypatch.setattr(attributes, "_LEAST_ROWS", 1500)
    layout = cache.layout
    past, item = layout.lists[0], layout.ids[layout.position("item")]
    means, stds = attributes._moments(layout, past, item, known(cache), cache.train)
    assert means != past.means
    np.testing.assert_allclose(means, past.means, atol=0.02)
    np.testing.assert_allclose(stds, past.stds, atol=0.02)


def test_a_model_tells_items_alike_from_others_that_it_has_never_seen_together(tmp_path: Path) -> None:
    from autorec.spaces import LR
    from autorec.training.trainer import train

    rng = np.random.default_rng(0)
    frame = log(6000)
    past, brand = [rng.integers(ITEMS, size=4).tolist() for _ in range(6000)], frame["item"] // 10
    share = np.array([np.mean([each // 10 == own for each in items]) for items, own in zip(past, brand)])
    frame |= {"past": past, "click": (rng.random(6000) < 0.05 + 0.9 * share).astype(int)}
    auc = {}
    for likeness in (True, False):
        cache = encoded(frame, tmp_path / str(likeness), statistics=None)
        keras.utils.set_random_seed(0)
        model = LR(likeness=likeness).build_for(cache.layout)
        found = train(model, [cache.train], cache.validation, layout=cache.layout, epochs=8, seed=0)
        auc[likeness] = found.metrics["val_auc"]
    assert auc[True] > auc[False] + 0.1


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"0\.npz.*not as it was written"):
        Attributes.load(tmp_path / "0.npz")
