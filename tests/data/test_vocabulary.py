"""Vocabularies: reserved ids, order, caps, and what happens to unknown and missing values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from autorec.data.vocabulary import MISSING, UNKNOWN, Counts, Vocabulary, spread


def column(*values: object, kind: pa.DataType | None = None) -> pa.DictionaryArray:
    return pa.array(values, kind or pa.string()).dictionary_encode()


def learned(values: list[str | None], min_count: int = 1, max_size: int | None = None) -> tuple[Vocabulary, np.ndarray]:
    counts = Counts()
    codes = counts.codes(column(*values))
    counts.add(codes)
    vocabulary, ids = counts.finish("string", min_count, max_size)
    return vocabulary, ids[codes]


def test_ids_fall_with_the_count_and_start_behind_the_reserved_ones() -> None:
    vocabulary, ids = learned(["b", "a", "c", "a", "c", "a"])
    assert vocabulary.values.to_list() == ["a", "c", "b"]
    assert ids.tolist() == [4, 2, 3, 2, 3, 2]
    assert vocabulary.size == 5


def test_values_of_one_count_keep_the_order_of_their_first_row() -> None:
    assert learned(["z", "b", "a", "b", "a", "z", "m"])[0].values.to_list() == ["z", "b", "a", "m"]


def test_the_first_row_counts_through_all_batches() -> None:
    counts = Counts()
    for values in (["a", "a", "z"], ["b", "z", "b"]):
        counts.add(counts.codes(column(*values)))
    assert counts.finish("string", 1, None)[0].values.to_list() == ["a", "z", "b"]


def test_values_below_the_minimum_count_are_out_of_vocabulary() -> None:
    vocabulary, ids = learned(["a", "a", "b", "c", "c"], min_count=2)
    assert vocabulary.values.to_list() == ["a", "c"]
    assert ids.tolist() == [2, 2, UNKNOWN, 3, 3]


def test_a_cap_keeps_the_most_frequent_values() -> None:
    vocabulary, ids = learned(["a", "b", "b", "c", "c", "c"], max_size=2)
    assert vocabulary.values.to_list() == ["c", "b"]
    assert ids.tolist() == [UNKNOWN, 3, 3, 2, 2, 2]


def test_null_and_empty_text_are_missing_while_counting() -> None:
    vocabulary, ids = learned(["a", None, "", "a"])
    assert vocabulary.values.to_list() == ["a"]
    assert ids.tolist() == [2, MISSING, MISSING, 2]


def test_look_up_gives_unknown_and_missing_their_own_ids() -> None:
    vocabulary, _ = learned(["b", "a", "b"])
    found = vocabulary.lookup(column("a", "new", None, "", "b"))
    assert found.tolist() == [3, UNKNOWN, MISSING, MISSING, 2]
    assert found.dtype == np.int32


def test_codes_agree_over_batches_with_dictionaries_of_their_own() -> None:
    counts = Counts()
    first, second = counts.codes(column("x", "y", None)), counts.codes(column("y", "z", "x"))
    assert first.tolist() == [1, 2, 0]
    assert second.tolist() == [2, 3, 1]


def test_a_value_that_was_never_counted_is_out_of_vocabulary() -> None:
    counts = Counts()
    codes = counts.codes(column("held", "train"))
    counts.add(codes[1:])
    vocabulary, ids = counts.finish("string", 1, None)
    assert vocabulary.values.to_list() == ["train"]
    assert ids[codes].tolist() == [UNKNOWN, 2]


def test_the_order_does_not_depend_on_values_that_are_not_counted() -> None:
    orders = []
    for held in (["b", "a"], ["q", "r"]):
        counts = Counts()
        counts.codes(column(*held))
        counts.add(counts.codes(column("a", "b", "a", "b")))
        orders.append(counts.finish("string", 1, None)[0].values.to_list())
    assert orders == [["a", "b"], ["a", "b"]]


def test_two_columns_can_count_into_one_vocabulary() -> None:
    counts = Counts()
    for values in (["a", "b"], ["b", "c", "b"]):
        counts.add(counts.codes(column(*values)))
    assert counts.finish("string", 1, None)[0].values.to_list() == ["b", "a", "c"]


def test_counts_grow_past_their_first_size() -> None:
    counts = Counts()
    values = [str(i) for i in range(5000)]
    for part in (values[:3000], values, ["4999"]):
        counts.add(counts.codes(column(*part)))
    kept = counts.finish("string", 2, None)[0].values.to_list()
    assert kept == [*values[:3000], "4999"]


def test_whole_numbers_are_looked_up_by_their_decimal_text() -> None:
    vocabulary = Vocabulary(pl.Series(["-7", "12"]), "int")
    assert vocabulary.lookup(column(12, -7, 3, None, kind=pa.int64())).tolist() == [3, 2, UNKNOWN, MISSING]


def test_a_vocabulary_without_values_knows_none() -> None:
    vocabulary, ids = learned([None, None])
    assert vocabulary.size == 2
    assert ids.tolist() == [MISSING, MISSING]
    assert vocabulary.lookup(column("a", None)).tolist() == [UNKNOWN, MISSING]


def test_a_saved_vocabulary_loads_with_the_same_ids(tmp_path: Path) -> None:
    vocabulary, _ = learned(["b", "ü", "b", "line\nend"])
    vocabulary.save(tmp_path / "v.parquet")
    loaded = Vocabulary.load(tmp_path / "v.parquet")
    assert (loaded.values.to_list(), loaded.dtype) == (["b", "ü", "line\nend"], "string")
    assert loaded.lookup(column("ü")).tolist() == [3]


@pytest.mark.parametrize("indices", [[1, 0, 1], [1, None, 0]])
def test_spread_gives_each_row_its_entry(indices: list[int | None]) -> None:
    array = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(["a", "b"]))
    expected = [0 if i is None else (7, 9)[i] for i in indices]
    assert spread(np.array([7, 9], np.int32), array).tolist() == expected


def test_a_text_of_a_zero_byte_is_a_value() -> None:
    vocabulary, ids = learned(["\0", "a", "\0", None])
    assert vocabulary.values.to_list() == ["\0", "a"]
    assert ids.tolist() == [2, 3, 2, MISSING]
