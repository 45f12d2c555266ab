"""Parquet files read as one table."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autorec.data.schema import Feature, Schema
from autorec.data.source import Source
from autorec.data.split import assign
from autorec.data.table import as_source
from autorec.errors import DataError

EMPTY = pa.array([[], None], pa.list_(pa.null()))
MIXED = {
    "no value, then whole numbers": ([pa.nulls(2), pa.array([1, 2])], pa.int64()),
    "whole numbers, no value, fractions": ([pa.array([1, 2]), pa.nulls(2), pa.array([1.5, None])], pa.float64()),
    "fractions, truths, whole numbers": (
        [pa.array([1.5, None], pa.float32()), pa.array([True, False]), pa.array([2**40])],
        pa.float64(),
    ),
    "no value, then text": ([pa.nulls(1), pa.array(["a", None])], pa.string()),
    "text around no value": ([pa.array(["a", None]), pa.nulls(1), pa.array(["b"])], pa.string()),
    "no value, then times": ([pa.nulls(1), pa.array([0, 1], pa.timestamp("ms"))], pa.timestamp("us")),
    "lists, then no value": ([pa.array([[1], None]), pa.nulls(1)], pa.list_(pa.int64())),
    "no value, then unsigned numbers": ([pa.nulls(2), pa.array([7], pa.uint64())], pa.int64()),
    "no value, then large unsigned numbers": ([pa.nulls(2), pa.array([2**64 - 1], pa.uint64())], pa.string()),
    "no value at all": ([pa.nulls(1), pa.nulls(2)], pa.null()),
}


def folder_of(folder: Path, *parts: pa.Array) -> Source:
    for i, part in enumerate(parts):
        pq.write_table(pa.table({"x": part, "y": range(len(part))}), folder / f"{i}.parquet")
    return as_source(folder)


@pytest.mark.parametrize("case", MIXED)
def test_a_column_has_the_widest_type_of_its_files(case: str, tmp_path: Path) -> None:
    parts, kind = MIXED[case]
    source = folder_of(tmp_path, *parts)
    values = [value for part in parts for value in part.to_pylist()]
    if kind == pa.string():
        values = [value if value is None else str(value) for value in values]
    assert not source.problems
    assert source.schema.field("x").type == kind
    assert [value for batch in source.batches(["x"]) for value in batch.column(0).to_pylist()] == values
    assert source.sample(["x"], 100).column(0).to_pylist() == values


def test_lists_without_any_value_take_those_of_other_files(tmp_path: Path) -> None:
    source = folder_of(tmp_path, EMPTY, pa.array([["a"]]), EMPTY)
    assert source.schema.field("x").type == pa.list_(pa.string())
    assert source.sample(["x"], 100).column(0).to_pylist() == [None, None, ["a"], None, None]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([pa.nulls(1), pa.array([1]), pa.array(["a"])], "1.parquet has int64, this one string"),
        ([pa.array([1]), pa.array([1.5]), pa.array(["a"])], "1.parquet has double, this one string"),
        ([pa.array([1]), pa.array([0], pa.timestamp("us"))], "0.parquet has int64, this one timestamp"),
        ([pa.array([[1]]), pa.array([["a"]])], "0.parquet has list<element: int64>, this one list<element: string>"),
    ],
)
def test_types_of_which_none_is_wider_are_refused(parts: list[pa.Array], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"column 'x': all files of a folder must have the same types; .*{words}"):
        folder_of(tmp_path, *parts).select(["x"])


def test_a_role_may_be_without_value_in_a_file(tmp_path: Path) -> None:
    source = folder_of(tmp_path, pa.nulls(20), pa.array([i % 10 for i in range(80)]))
    schema = Schema([Feature("x", "categorical", "int")], targets=["y"], user="x")
    assert assign(source, schema, "user", 0.2, 0).sum() == 20
