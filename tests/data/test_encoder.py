"""Encoding rows that no one has seen before, and a trip over the disk."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from autorec.data.encode import encode
from autorec.data.encoder import Encoder
from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import DataError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    frame = pl.DataFrame(
        {
            "c": ["a", "a", "a", "b", "b", "once"] * 5,
            "n": [1, 2, 2, 3, 3, 3] * 5,
            "x": [0.5, 1.5, None] * 10,
            "t": [datetime(2024, 1, 1 + i) for i in range(30)],
            "bag": [["p", "q"], ["p"], []] * 10,
            "y": [0, 1] * 15,
        }
    )
    schema = Schema(
        [
            Feature("c", "categorical", min_count=6),
            Feature("n", "categorical", "int"),
            Feature("x", "numeric", "float"),
            Feature("t", "time", "time"),
            Feature("bag", "bag", max_length=2),
        ],
        targets=["y"],
        pairs=[("c", "n")],
    )
    held = as_source(frame[:5])
    return encode(as_source(frame), schema, tmp_path_factory.mktemp("encoder") / "c", validation=held).encoder


BATCH = pa.record_batch(
    {
        "bag": pa.array([["q", "new", "p"], None, [None, ""]], pa.list_(pa.string())),
        "t": pa.array([datetime(2024, 1, 29), None, datetime(2024, 2, 1)], pa.timestamp("ms")),
        "x": pa.array(["2.5", "", None]),
        "c": pa.array(["b", None, "once"]).dictionary_encode(),
        "n": pa.array([3.0, None, 99.0]),
        "more": pa.array([1, 2, 3]),
    }
)


def test_columns_are_found_by_name_and_unknown_values_have_an_id(encoder: Encoder) -> None:
    ids = encoder.encode(BATCH, ["ids"])["ids"]
    # c: a 2, b 3; n: 3 (15 rows) 2, 2 3, 1 4; hour 0 -> 2; Monday, Thursday
    assert ids.tolist() == [[3, 2, 2, 2], [0, 0, 0, 0], [1, 1, 2, 5]]
    assert ids.dtype == np.int32


def test_numbers_are_raw_and_age_counts_from_the_last_training_day(encoder: Encoder) -> None:
    numbers = encoder.encode(BATCH, ["numbers"])["numbers"]
    np.testing.assert_array_equal(numbers[:, :2], [[2.5, 1.0], [np.nan, np.nan], [np.nan, -2.0]])
    assert numbers.dtype == np.float64


def test_lists_keep_their_newest_values_with_the_unknown_id(encoder: Encoder) -> None:
    found = encoder.encode(BATCH, ["list_0"])["list_0"]
    # p 2, q 3
    assert (found.offsets.tolist(), found.values.tolist()) == ([0, 2, 2, 2], [1, 2])


def test_statistics_of_unknown_values_are_those_of_the_reserved_ids(encoder: Encoder) -> None:
    found = encoder.encode(BATCH, ["statistics", "pairs"])
    count_c, count_pair = found["statistics"][:, 1], found["pairs"][:, 1]
    np.testing.assert_allclose(count_c, np.log1p([10, 0, 5]), rtol=1e-6)  # `once`: the five rows out of vocabulary
    np.testing.assert_allclose(count_pair, np.log1p([10, 0, 0]), rtol=1e-6)


def test_all_groups_come_in_the_order_of_the_layout(encoder: Encoder) -> None:
    assert list(encoder.encode(BATCH)) == ["ids", "numbers", "statistics", "pairs", "list_0"]


def test_an_empty_batch_has_no_rows(encoder: Encoder) -> None:
    found = encoder.encode(BATCH.slice(0, 0))
    assert {group: len(array) for group, array in found.items() if group != "list_0"} == dict.fromkeys(
        ("ids", "numbers", "statistics", "pairs"), 0
    )
    assert found["list_0"].offsets.tolist() == [0]


def test_an_absent_column_is_named(encoder: Encoder) -> None:
    with pytest.raises(DataError, match="column 'x': the column is absent"):
        encoder.encode(BATCH.drop_columns(["x"]))


def test_a_text_in_the_place_of_a_number_is_named(encoder: Encoder) -> None:
    wrong = BATCH.set_column(2, "x", pa.array(["1", "two", None]))
    with pytest.raises(DataError, match="row 1, column 'x': expected a number, got 'two'"):
        encoder.encode(wrong)


def test_a_saved_encoder_encodes_alike(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "encoder")
    loaded = Encoder.load(tmp_path / "encoder")
    assert (loaded.schema, loaded.layout, loaded.latest) == (encoder.schema, encoder.layout, encoder.latest)
    expected, found = encoder.encode(BATCH), loaded.encode(BATCH)
    for group in ("ids", "numbers", "statistics", "pairs"):
        np.testing.assert_array_equal(found[group], expected[group])
    np.testing.assert_array_equal(found["list_0"].values, expected["list_0"].values)


def test_a_file_that_is_gone_is_named(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    (tmp_path / "vocabulary_1.parquet").unlink()
    with pytest.raises(DataError, match=r"vocabulary_1\.parquet"):
        Encoder.load(tmp_path)
