"""An index that pandas stored beside the columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from autorec.data.checks import check_same_columns
from autorec.data.inference import infer
from autorec.data.table import as_source
from autorec.errors import DataError

INDEX = "__index_level_0__"
FRAME = pd.DataFrame({"x": [0.5, 1.5, 2.5, 0.25] * 10, "click": [0, 1] * 20})
SOME = FRAME[FRAME["x"] < 2]  # its index has gaps, so it is stored


@pytest.mark.parametrize("form", ["file", "folder", "polars", "arrow"])
def test_a_stored_index_is_no_feature_and_a_note_says_so(form: str, tmp_path: Path) -> None:
    SOME.to_parquet(tmp_path / "a.parquet")
    if form == "folder":  # of a whole frame no index is stored
        FRAME.to_parquet(tmp_path / "b.parquet")
    forms = {
        "file": tmp_path / "a.parquet",
        "folder": tmp_path,
        "polars": pl.read_parquet(tmp_path / "a.parquet"),
        "arrow": pa.Table.from_pandas(SOME),
    }
    source = as_source(forms[form])
    assert source.schema.names == ["x", "click"]
    assert [list(batch.schema.names) for batch in source.batches(["x"])][:1] == [["x"]]
    schema = infer(source, target="click")
    assert schema.names == ["x"]
    note = "this is the index of a pandas frame, which is not read; `reset_index` makes it a column"
    assert schema.warnings == [f"`{INDEX}`: {note}"]
    for other in (FRAME, SOME, forms[form]):
        check_same_columns(schema, as_source(other))
    with pytest.raises(DataError, match=f"column '{INDEX}': {note}"):
        source.select([INDEX])


def test_an_index_with_a_name_is_a_column() -> None:
    assert as_source(pa.Table.from_pandas(SOME.set_index("x"))).schema.names == ["click", "x"]
