"""What the items of a sequence are like: which columns an item decides, and what a cache keeps of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autorec.blocks import ItemLikeness
from autorec.data import attributes
from autorec.data.attributes import Attributes, attributes_of
from autorec.data.cache import Cache
from autorec.data.encode import encode, encode_all
from autorec.data.encoder import Encoder
from autorec.data.layout import IdColumn, Layout, ListColumn
from autorec.data.schema import Schema
from autorec.data.table import as_source
from autorec.errors import DataError

ROWS = 4000


def log(rows: int = ROWS) -> dict[str, Any]:
    """A log whose items decide brand and, where it is told, colour; and neither shop nor device."""
    rng = np.random.default_rng(0)
    item = rng.integers(40, size=rows)
    colour = np.array(["red", "green", "blue"])[item % 3].astype(object)
    colour[rng.random(rows) < 0.3] = None
    return {
        "user": rng.integers(100, size=rows),
        "item": item,
        "brand": np.char.add("b", (item // 10).astype(str)),
        "colour": colour,
        "shop": np.where(rng.random(rows) < 0.01, "other", np.char.add("s", (item % 5).astype(str))),
        "device": np.array(["phone", "tv"])[rng.integers(2, size=rows)],
        "time": 1_700_000_000 + np.arange(rows) * 60,
        "past": [rng.integers(40, size=size).tolist() for size in rng.integers(5, size=rows)],
        "click": rng.integers(2, size=rows),
    }


def schema_of(frame: Any) -> Schema:
    schema = Schema.infer(frame, target="click", user="user", item="item", time="time")
    for name in ("user", "item"):
        schema[name].kind = "categorical"
    schema["past"].kind, schema["past"].vocabulary = "sequence", "item"
    return schema


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    frame = log()
    return encode(as_source(frame), schema_of(frame), tmp_path_factory.mktemp("cache") / "cache")


def known(cache: Cache) -> Attributes:
    return Attributes.load(str(cache.layout.lists[0].attribute_file))


def test_columns_with_one_value_an_item_are_its_attributes(cache: Cache) -> None:
    assert cache.layout.lists[0].attributes == known(cache).columns == ("brand", "colour")


def test_each_item_has_the_value_its_rows_tell_and_the_share_of_rows_that_have_it(cache: Cache) -> None:
    found, ids, layout = known(cache), cache.train.arrays["ids"], cache.layout
    for column, name in enumerate(found.columns):
        item, shown = ids[:, layout.position("item")], ids[:, layout.position(name)]
        for row in np.flatnonzero(shown)[:200]:
            assert found.values[item[row], column] == shown[row]
            share = (shown == shown[row]).sum() / (shown > 0).sum()
            assert found.shares[item[row], column] == pytest.approx(share)
    np.testing.assert_array_equal(found.values[:2], 0)


def test_moments_are_those_of_the_mean_likeness_of_a_row(cache: Cache) -> None:
    found, layout, part = known(cache), cache.layout, cache.train
    arrays = part.take(np.arange(part.rows), ["ids", "list_0"])
    item = arrays["ids"][:, [layout.position(name) for name in ("item", *found.columns)]]
    alike = np.array(ItemLikeness(len(found.values), 2, (found.values, found.shares))([arrays["list_0"], item]))
    mean = alike.sum(1) / np.maximum((arrays["list_0"] > 0).sum(1), 1)[:, None]
    np.testing.assert_allclose(found.mean, mean.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.std, mean.std(0), rtol=1e-4)
    assert found.std.min() > 0


def test_numpy_and_the_layer_find_the_same(cache: Cache) -> None:
    found, rng = known(cache), np.random.default_rng(0)
    past, item = rng.integers(42, size=300), rng.integers(6, size=(300, 3))
    item[:100, 0] = past[:100]
    layer = ItemLikeness(len(found.values), 2, (found.values, found.shares))
    np.testing.assert_allclose(layer([past[:, None], item])[:, 0], found.likeness(past, item), rtol=1e-6)


def test_few_rows_tell_nothing(monkeypatch: pytest.MonkeyPatch, cache: Cache) -> None:
    monkeypatch.setattr(attributes, "LEAST", 10_000)
    layout = cache.layout
    names, values, shares = attributes_of(layout, layout.ids[layout.position("item")], cache.train.arrays["ids"])
    assert (names, values.shape, shares.shape) == ((), (42, 0), (42, 0))


def test_blocks_of_rows_agree_with_each_other(monkeypatch: pytest.MonkeyPatch, cache: Cache) -> None:
    layout, ids = cache.layout, cache.train.arrays["ids"]
    item = layout.ids[layout.position("item")]
    whole = attributes_of(layout, item, ids)
    monkeypatch.setattr(attributes, "BLOCK", 7)
    parts = attributes_of(layout, item, ids)
    assert whole[0] == parts[0]
    for one, other in zip(whole[1:], parts[1:]):
        np.testing.assert_array_equal(one, other)


def test_a_sequence_alone_is_compared_with_a_column_of_its_items() -> None:
    ids = (IdColumn("first", "first", 9, "item"), IdColumn("item", "item", 9, "item"), IdColumn("b", "b", 9, "b"))
    lists = [ListColumn(*each, 3) for each in (("x", "list_0", "sequence", 9, "item"), ("y", "list_1", "bag", 9, "b"))]
    layout = Layout(ids=ids, lists=tuple(lists), item="item")
    assert layout.candidate(lists[0]) == ids[1]
    assert layout.candidate(lists[1]) is None
    assert replace(layout, item=None).candidate(lists[0]) == ids[0]
    assert layout.candidate(replace(lists[0], table="c")) is None


def test_the_names_go_with_the_encoder_and_the_file_with_the_cache(cache: Cache, tmp_path: Path) -> None:
    loaded = Encoder.load(cache.directory / "encoder").layout.lists[0]
    assert (loaded.attributes, loaded.attribute_file) == (("brand", "colour"), None)
    moved = tmp_path / "moved"
    shutil.copytree(cache.directory, moved)
    assert Cache.open(moved).layout.lists[0].attribute_file == str(moved / "attributes" / "0.npz")


def test_all_rows_have_attributes_of_their_own(cache: Cache, tmp_path: Path) -> None:
    frame = log()
    everything = encode_all([as_source(frame)], schema_of(frame), tmp_path / "all", like=cache)
    assert everything.layout.lists[0].attributes == ("brand", "colour")
    np.testing.assert_allclose(known(everything).shares[2:, 0].max(), np.mean(frame["item"] // 10 == 1), atol=0.02)


def test_a_damaged_file_is_named(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "0.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"0\.npz.*not as it was written"):
        Attributes.load(tmp_path / "0.npz")
