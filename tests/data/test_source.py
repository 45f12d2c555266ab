"""Columns with a problem stand in nobody's way who can do without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autorec.data.checks import check_same_columns, check_targets
from autorec.data.inference import infer
from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import DataError

SCHEMA = Schema([Feature("x", "numeric", "float")], ["y"])
GOOD = {"x": [0.5, 1.5], "y": [0, 1]}
MIXED = {**GOOD, "note": ["a", 1]}


def twice() -> pa.Table:
    arrays = [pa.array([1, 2]), *map(pa.array, GOOD.values()), pa.array([1, 2])]
    return pa.Table.from_arrays(arrays, ["note", "x", "y", "note"])


def in_file(folder: Path) -> Path:
    pq.write_table(twice(), folder / "x.parquet")
    return folder / "x.parquet"


def unlike(folder: Path, *tables: dict[str, Any]) -> Path:
    for i, table in enumerate(tables):
        pq.write_table(pa.table(table), folder / f"{i}.parquet")
    return folder


FORMS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pandas": (lambda path: pd.DataFrame(MIXED), "'note': the column has mixed types"),
    "dict": (lambda path: MIXED, "'note': the column has mixed types"),
    "two dimensions": (lambda path: {**GOOD, "note": np.ones((2, 2))}, "'note': a column must have one dimension"),
    "no values": (lambda path: {**GOOD, "note": [object(), object()]}, "'note': the column cannot be read"),
    "pandas, twice": (lambda path: twice().to_pandas(), "'note': two columns have this name"),
    "arrow, twice": (lambda path: twice(), "'note': two columns have this name"),
    "parquet, twice": (in_file, "'note': two columns have this name"),
    "numbers and text": (
        lambda path: unlike(path, {**GOOD, "note": [1, 2]}, {**GOOD, "note": ["a", "b"]}),
        "'note': all files of a folder must have the same types",
    ),
    "in one file": (
        lambda path: unlike(path, GOOD, {**GOOD, "note": [1, 2]}, {**GOOD, "note": ["a", "b"]}),
        "'note': all files of a folder must have the same columns",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_problem_is_told_to_those_alone_who_ask_for_the_column(form: str, tmp_path: Path) -> None:
    make, message = FORMS[form]
    source = as_source(make(tmp_path))
    assert source.schema.names == ["x", "y"]
    assert source.has("note")
    check_same_columns(SCHEMA, source)
    check_targets(source, SCHEMA, "ctr")
    assert next(source.batches(["x", "y"])).to_pydict() == GOOD
    for asking in (
        lambda: source.select(["x", "note"]),
        lambda: next(source.batches(["note"])),
        lambda: check_same_columns(Schema([Feature("note", "categorical")]), source),
        lambda: check_targets(source, Schema(targets=["note"]), "ctr"),
        lambda: infer(source, target="y"),
        lambda: infer(source, target="note"),
    ):
        with pytest.raises(DataError, match=message):
            asking()


def test_a_problem_stays_one_beside_y() -> None:
    source = as_source({"x": [1, 2], "note": ["a", 1]}, [0, 1], "y")
    with pytest.raises(DataError, match="row 1, column 'note': the column has mixed types"):
        infer(source, target="y")
    with pytest.raises(DataError, match="column of the target's name"):
        as_source(MIXED, [0, 1], "note")


def test_a_table_of_problems_alone_is_refused() -> None:
    with pytest.raises(DataError, match="column 'note': the column has mixed types"):
        as_source({"note": ["a", 1]})
    with pytest.raises(DataError, match="there is no column"):
        as_source({})


class Wide:
    """A log whose batches bring a dictionary of a megabyte each."""

    name = "wide"
    rows = 40_000
    schema = pa.schema([("x", pa.string())])

    def __init__(self) -> None:
        self.allocated: list[int] = []

    def batches(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        for i in range(40):
            words = pa.array([f"{i}-{k}-" + "x" * 1_000 for k in range(1_000)])
            self.allocated.append(pa.total_allocated_bytes())
            codes = pa.array(np.arange(1_000, dtype=np.int32))
            yield pa.RecordBatch.from_arrays([pa.DictionaryArray.from_arrays(codes, words)], ["x"])


def test_a_sample_holds_no_more_than_its_rows() -> None:
    log = Wide()
    assert as_source(log).sample(["x"], 40).num_rows == 40
    assert max(log.allocated) - min(log.allocated) < 5e6
