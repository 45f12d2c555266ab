"""From the ids of a layout to fields of one width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from autorec.data.encode import encode
from autorec.data.layout import Layout
from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import ConfigError
from autorec.spaces.embedding import IdFields, read_vectors, tables_of


def model_of(fields: IdFields) -> keras.Model:
    layout = fields.layout
    made: dict[str, Any] = {}

    def read(group: str) -> Any:
        shape = (len(layout.ids),) if group == "ids" else (None,)
        return made.setdefault(group, keras.Input(shape, dtype="int32", name=group))

    output = fields(read)
    return keras.Model(made, output)


def groups(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value for name, value in batch.items() if name == "ids" or name.startswith("list")}


def test_tables_hold_all_columns_that_share_them(layout: Layout) -> None:
    found = {table.name: (table.size, table.ids, [item.name for item in table.lists]) for table in tables_of(layout)}
    assert found == {
        "user": (12, [0], []),
        "item": (9, [1], ["seen"]),
        "place": (5, [2], []),
        "tags": (7, [], ["tags"]),
    }


def test_a_table_of_two_sizes_has_the_larger_one(layout: Layout) -> None:
    longer = replace(layout, lists=(replace(layout.lists[1], size=30),))
    assert [table.size for table in tables_of(longer)] == [12, 30, 5]


def test_ids_and_lists_are_fields_of_one_table(layout: Layout, batch_of: Callable[..., Any]) -> None:
    fields = IdFields(layout, 4)
    model = model_of(fields)
    assert fields.names == ["user", "item", "place", "tags", "seen"]
    assert [weight.shape for weight in model.weights] == [(12 + 9 + 5 + 7, 4)]
    assert model(groups(batch_of(layout))).shape == (6, 5, 4)


def test_a_list_shares_the_rows_of_its_column(layout: Layout) -> None:
    model = model_of(IdFields(layout, 4))
    batch = {"ids": np.array([[2, 3, 2]], "int32"), "list_0": np.zeros((1, 2), "int32")}
    found = np.array(model({**batch, "list_1": np.array([[3, 0, 0]], "int32")}))[0]
    np.testing.assert_allclose(found[4], found[1], rtol=1e-6)


def test_a_width_that_the_user_fixed_is_projected(layout: Layout) -> None:
    place = replace(layout.ids[2], dim=2)
    model = model_of(IdFields(replace(layout, ids=(*layout.ids[:2], place), lists=()), 4))
    assert sorted(tuple(weight.shape) for weight in model.weights) == [(2, 4), (5, 2), (21, 4)]
    assert model.output.shape == (None, 3, 4)


def test_fields_keep_the_order_of_the_layout_whatever_their_width(layout: Layout) -> None:
    user = replace(layout.ids[0], dim=2)
    model = model_of(IdFields(replace(layout, ids=(user, *layout.ids[1:]), lists=()), 4))
    found = np.array(model({"ids": np.array([[2, 3, 4], [2, 7, 4]], "int32")}))
    changed = (found[0] != found[1]).any(axis=1)
    np.testing.assert_array_equal(changed, [False, True, False])


def test_a_cap_makes_rare_ids_unknown(layout: Layout) -> None:
    model = model_of(IdFields(replace(layout, lists=()), 4, cap=4))
    found = np.array(model({"ids": np.array([[11, 1, 3], [1, 8, 3]], "int32")}))
    np.testing.assert_array_equal(found[0], found[1])


def test_pretrained_vectors_fill_their_rows(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "item.npz"
    vectors = np.arange(6, dtype="float32").reshape(3, 2)
    np.savez(path, ids=[2, 5, 99], vectors=vectors)
    item = replace(layout.ids[1], pretrained=str(path))
    model = model_of(IdFields(replace(layout, ids=(item,), lists=()), 4))
    table = next(weight.numpy() for weight in model.weights if weight.shape == (9, 2))
    np.testing.assert_array_equal(table[[2, 5]], vectors[:2])


@pytest.mark.parametrize(("dtype", "values"), [("string", ["b", "a", "nowhere"]), ("int", [20, 10, 99])])
def test_raw_values_of_a_file_are_the_first_weights_of_their_rows(tmp_path: Path, dtype: str, values: Any) -> None:
    vectors = np.arange(12, dtype="float32").reshape(3, 4)
    np.savez(tmp_path / "raw.npz", ids=values, vectors=vectors)
    column = ["a", "b", "b", "c"] if dtype == "string" else [10, 20, 20, 30]
    frame = pl.DataFrame({"item": column * 10, "seen": [column[:2], column[2:]] * 20, "y": [0, 1, 1, 0] * 10})
    features = [
        Feature("item", "categorical", dtype, pretrained=str(tmp_path / "raw.npz")),
        Feature("seen", "sequence", dtype, vocabulary="item"),
    ]
    cache = encode(as_source(frame), Schema(features, targets=["y"]), tmp_path / "cache", statistics=None)
    (table,) = model_of(IdFields(cache.layout, 4)).weights
    known = cache.encoder.vocabularies["item"].lookup(pa.array(values[:2]).dictionary_encode())
    rows = table.numpy()
    np.testing.assert_array_equal(rows[known], vectors[:2])
    assert rows.shape == (5, 4)
    assert (np.abs(np.delete(rows, known, axis=0)) < 0.5).all()  # noise


def test_a_file_of_another_content_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.npz"
    np.savez(path, ids=np.zeros((2, 2)), vectors=np.zeros((2, 2)))
    with pytest.raises(ConfigError, match=r"wrong\.npz.*ids \(2, 2\)"):
        read_vectors(str(path), 5)
    with pytest.raises(ConfigError, match=r"none\.npz"):
        read_vectors(str(tmp_path / "none.npz"), 5)
