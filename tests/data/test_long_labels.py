"""Thresholds of training rows alone, and the labels they give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from autorec.data import long_labels
from autorec.data.cache import Cache
from autorec.data.checks import check_targets
from autorec.data.encode import encode
from autorec.data.long_labels import LongSource, learn_thresholds
from autorec.data.long_target import LongTarget
from autorec.data.schema import Feature, Schema
from autorec.data.table import Source, as_source
from autorec.data.thresholds import Thresholds
from autorec.errors import DataError

KIND = Feature("kind", "categorical")


def schema(**long: Any) -> Schema:
    return Schema([KIND], targets=["dwell"], long={"dwell": LongTarget(**{"by": "kind", "least": 5, **long})})


def rows(**columns: Any) -> Source:
    """Rows 0 to 19 of films with a dwell of 100 to 119, then as many of pictures with 0 to 19."""
    plain = {"kind": ["film"] * 20 + ["picture"] * 20, "dwell": [*range(100, 120), *range(20)]}
    return as_source(pl.DataFrame({**plain, **columns}))


def labels(source: Source) -> list[float]:
    return [value for batch in source.batches(["dwell"]) for value in batch.column(0).to_pylist()]


def test_a_threshold_is_the_quantile_of_its_context() -> None:
    found = learn_thresholds(rows(), schema(quantile=0.75), None)["dwell"]
    assert found.contexts == {"film": pytest.approx(114.25), "picture": pytest.approx(14.25)}
    assert found.overall == pytest.approx(np.quantile([*range(100, 120), *range(20)], 0.75))


def test_validation_rows_move_no_threshold() -> None:
    mask = np.arange(40) % 2 == 1
    wild = [value if not held else 10**9 for value, held in zip([*range(100, 120), *range(20)], mask)]
    plain = learn_thresholds(rows(), schema(), mask)
    assert learn_thresholds(rows(dwell=wild), schema(), mask) == plain


def test_a_quantile_that_no_row_is_above_is_refused() -> None:
    with pytest.raises(DataError, match="no training row is above the quantile 0.75.*smaller `quantile`"):
        learn_thresholds(rows(dwell=[1] * 10 + [9] * 30), schema(quantile=0.75), None)


def test_a_context_of_several_values_is_refused() -> None:
    with pytest.raises(DataError, match="must hold one value a row, got lists of text"):
        check_targets(rows(kind=[["film"]] * 40), schema(), "ctr")


def test_what_is_above_is_long_and_what_is_missing_stays_so() -> None:
    source = rows(dwell=[*range(100, 119), None, *range(19), None])
    found = LongSource(source, learn_thresholds(source, schema(quantile=0.5), None))
    values = np.array(labels(found), float)
    assert np.isnan(values).nonzero()[0].tolist() == [19, 39]
    np.testing.assert_array_equal(np.nan_to_num(values), np.tile([0.0] * 10 + [1.0] * 9 + [0.0], 2))
    assert found.schema.field("dwell").type == pa.float64()


def test_rare_and_unseen_contexts_have_the_threshold_of_all_rows() -> None:
    thresholds = learn_thresholds(rows(), schema(least=21), None)
    assert thresholds["dwell"].contexts == {}
    known = Thresholds(("kind",), 50.0, {"film": 110.0})
    found = known.labels(np.array([60.0, 60.0, 111.0]), [pa.array(["song", "film", "film"])])
    assert found.tolist() == [1.0, 0.0, 1.0]


def test_several_columns_make_one_context_and_whole_numbers_are_one_whatever_their_type() -> None:
    thresholds = Thresholds(("kind", "place"), 0.0, {"film\x1f3": 10.0})
    for places in (pa.array([3, 4]), pa.array([3.0, None]), pa.array(["3", "4"])):
        assert thresholds.labels(np.array([5.0, 5.0]), [pa.array(["film", "film"]), places]).tolist() == [0.0, 1.0]


def test_without_a_context_there_is_one_threshold() -> None:
    found = learn_thresholds(rows(), schema(by=None, quantile=0.5), None)["dwell"]
    assert (found.overall, found.contexts) == (pytest.approx(59.5), {})
    assert found.labels(np.array([59.0, 60.0]), []).tolist() == [0.0, 1.0]


def test_of_many_rows_an_even_sample_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_labels, "MOST", 20)
    found = learn_thresholds(rows(), schema(quantile=0.5), None)["dwell"]
    assert found.contexts["film"] == pytest.approx(109.5, abs=2.0)


def test_a_target_that_is_missing_in_every_training_row_is_refused() -> None:
    mask = np.arange(40) >= 20
    with pytest.raises(DataError, match="column 'dwell': the target is missing in every training row"):
        learn_thresholds(rows(dwell=[None] * 20 + [1.0] * 20), schema(), mask)


def test_columns_may_be_asked_for_in_any_order_without_their_context() -> None:
    source = LongSource(rows(), {"dwell": Thresholds(("kind",), 0.0, {"film": 110.0})})
    [batch] = source.batches(["dwell", "kind"])
    assert batch.schema.names == ["dwell", "kind"]
    assert labels(source)[9:12] == [0.0, 0.0, 1.0]
    assert source.fingerprint() == rows().fingerprint()


def test_encoded_labels_are_binary_and_the_encoder_keeps_the_thresholds(tmp_path: Path) -> None:
    cache = encode(rows(), schema(quantile=0.5), tmp_path / "cache", fraction=0.25)
    assert cache.layout.targets[0].kind == "binary"
    assert set(np.unique(cache.train.labels)) == {0.0, 1.0}
    thresholds = Cache.open(tmp_path / "cache").encoder.thresholds["dwell"]
    assert thresholds == cache.encoder.thresholds["dwell"]
    assert 105 < thresholds.contexts["film"] < 115
