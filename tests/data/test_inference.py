"""Kinds of columns: on made distributions, and on the real sets."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from autorec.data.demo import click_log
from autorec.data.encode import encode
from autorec.data.inference import SAMPLE, describe, infer
from autorec.data.schema import Schema
from autorec.data.source import even_rows
from autorec.data.table import as_source
from autorec.errors import ConfigError, DataError

ROWS = 5_000
Draw = Callable[[np.random.Generator], Any]


def zipf(rng: np.random.Generator, size: int) -> np.ndarray:
    share = 1 / np.arange(1, size + 1)
    return rng.choice(size, ROWS, p=share / share.sum())


CODES: dict[str, Draw] = {
    "ids drawn evenly": lambda rng: rng.integers(0, 500, ROWS),
    "ids with popular ones": lambda rng: rng.permutation(500)[zipf(rng, 500)],
    "ids from an offset on": lambda rng: 957 + rng.permutation(300)[zipf(rng, 300)],
    "a few codes from an offset on": lambda rng: 5060 + rng.permutation(9)[zipf(rng, 9)],
    "ids with gaps": lambda rng: rng.choice(90_000, 800)[rng.integers(0, 800, ROWS)] + 1000,
    "hashes of 31 bits": lambda rng: rng.integers(0, 2**31, 2000)[rng.integers(0, 2000, ROWS)],
    "hashes that never repeat": lambda rng: rng.integers(0, 2**62, ROWS),
    "thirty codes": lambda rng: rng.permutation(30)[zipf(rng, 30)],
    "hours of the day": lambda rng: rng.integers(0, 24, ROWS),
    "flags": lambda rng: rng.integers(0, 2, ROWS),
    "stars": lambda rng: rng.choice(np.arange(1, 6), ROWS, p=[0.05, 0.1, 0.25, 0.4, 0.2]),
}
AMOUNTS: dict[str, Draw] = {
    "ages": lambda rng: rng.normal(40, 12, ROWS).clip(18, 90).astype(int),
    "views": lambda rng: np.exp(rng.normal(4, 2, ROWS)).astype(int),
    "cents": lambda rng: np.exp(rng.normal(7, 1, ROWS)).astype(int),
    "prices that end in 99": lambda rng: np.round(np.exp(rng.normal(3, 1, ROWS))).astype(int) * 100 + 99,
    "seconds": lambda rng: rng.exponential(300, ROWS).astype(int),
    "small counts": lambda rng: rng.geometric(0.4, ROWS) - 1,
    "likes": lambda rng: (rng.pareto(1, ROWS) * 3).astype(int),
    "stock with minus ones": lambda rng: rng.negative_binomial(1, 0.01, ROWS) - 1,
    "a large normal number": lambda rng: rng.normal(1e6, 2e5, ROWS).astype(int),
    "hours rounded by people": lambda rng: np.where(
        rng.random(ROWS) < 0.7, rng.choice(np.arange(5, 65, 5), ROWS), rng.normal(38, 12, ROWS).clip(1, 80)
    ).astype(int),
    "mostly zero gains": lambda rng: np.where(rng.random(ROWS) < 0.9, 0, np.exp(rng.normal(8, 1.2, ROWS))).astype(int),
}


def kind(values: Any, name: str = "column", **roles: str) -> str:
    rng = np.random.default_rng(5)
    schema = infer({name: values, "click": rng.integers(0, 2, len(values))}, target="click", **roles)
    return schema[name].kind


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", CODES)
def test_codes_are_categories(case: str, seed: int) -> None:
    assert kind(CODES[case](np.random.default_rng(seed))) == "categorical"


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", AMOUNTS)
def test_amounts_are_numbers(case: str, seed: int) -> None:
    assert kind(AMOUNTS[case](np.random.default_rng(seed))) == "numeric"


def test_whole_numbers_with_missing_ones_are_told_apart_too() -> None:
    rng = np.random.default_rng(0)
    hole = rng.random(ROWS) < 0.2
    codes, ages = (np.where(hole, np.nan, draw(rng)) for draw in (CODES["ids with gaps"], AMOUNTS["ages"]))
    schema = infer({"a": codes, "b": ages, "click": rng.integers(0, 2, ROWS)}, target="click")
    assert [(f.kind, f.dtype) for f in schema] == [("categorical", "float"), ("numeric", "float")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user_id", "categorical"),
        ("itemId", "categorical"),
        ("num_visits", "numeric"),
        ("customer_no", "categorical"),
        ("item_number", "categorical"),
        ("StoreNo", "categorical"),
        ("flight_number", "categorical"),
        ("number_of_items", "numeric"),
        ("num_item", "numeric"),
        ("items_num", "numeric"),
        ("education-num", "numeric"),
    ],
)
def test_a_name_decides_where_rows_are_few(name: str, expected: str) -> None:
    assert kind(np.arange(30) * 7 % 23, name) == expected


def test_fractions_are_numbers_and_texts_are_categories() -> None:
    assert kind([0.5, 1.0, 7.25] * 9) == "numeric"
    assert kind(["a", "", "c"] * 9) == "categorical"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_unix_times_are_times_with_their_unit(unit: str) -> None:
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = (1_700_000_000 + np.random.default_rng(0).integers(0, 10**7, 500)) * factor
    schema = infer({"column": times, "click": np.arange(500) % 2}, target="click")
    assert (schema["column"].kind, schema["column"].unit, schema["column"].dtype) == ("time", unit, "int")
    assert f"`column` was taken as Unix times in {unit}" in schema.warnings[0]


@pytest.mark.parametrize(
    ("name", "expected"), [("ad_id", "categorical"), ("views", "numeric"), ("created_at", "time"), ("time", "time")]
)
def test_a_name_decides_whether_numbers_of_ten_digits_are_times(name: str, expected: str) -> None:
    numbers = 1_500_000_000 + np.random.default_rng(0).integers(0, 50, 500) * 7_919
    schema = infer({name: numbers, "click": np.arange(500) % 2}, target="click")
    assert schema[name].kind == expected
    assert schema.warnings == []


@pytest.mark.parametrize("name", ["session_start", "user_last_seen", "campaign_end"])
def test_of_a_name_the_last_word_decides_whether_they_are_times(name: str) -> None:
    times = 1_700_000_000 + np.random.default_rng(0).integers(0, 10**7, 500)
    schema = infer({name: times, "click": np.arange(500) % 2}, target="click")
    assert schema[name].kind == "time"
    assert f"`{name}` was taken as Unix times" in schema.warnings[0]


@pytest.mark.parametrize("text", ["2024-01-{:02d}", "2024-01-{:02d} 10:00:00.5", "2024-01-{:02d}T10:00:00+02:00"])
def test_iso_texts_are_times(text: str) -> None:
    assert kind([text.format(day) for day in range(1, 29)]) == "time"


@pytest.mark.parametrize("bad", ["unknown", "0000-00-00 00:00", "2024-02-30 10:00", "2024-01-05 25:00"])
def test_a_few_cells_that_are_no_times_among_times_are_told_and_not_split(bad: str) -> None:
    cells = [f"2024-01-{i % 28 + 1:02d} {i % 4 + 10}:{i % 5 * 10:02d}" for i in range(300)]
    cells[7] = bad
    schema = infer({"seen": [*cells, "NA"], "click": [0] + [0, 1] * 150}, target="click")
    assert (schema["seen"].kind, schema["seen"].separator) == ("categorical", None)
    assert f"1 of 300 cells are no times, such as {bad!r}" in schema.warnings[0]


def test_times_with_and_without_a_zone_are_told_and_not_split() -> None:
    cells = [f"2024-01-{i % 28 + 1:02d} {i % 4 + 10}:{i % 5 * 10:02d}" + "Z" * (i % 2) for i in range(300)]
    schema = infer({"seen": cells, "click": [0, 0, 1] * 100}, target="click")
    assert schema["seen"].kind == "categorical"
    assert "`seen` holds times written in different ways" in schema.warnings[0]


def test_an_integer_that_only_orders_the_rows_is_a_number() -> None:
    assert kind(np.random.default_rng(0).permutation(500), time="column") == "numeric"


def test_a_date_written_as_a_whole_number_gets_a_warning() -> None:
    hours = 14_102_100 + np.arange(240) % 24 + 100 * (np.arange(240) // 24)
    schema = infer({"hour": hours, "click": np.arange(240) % 2}, target="click")
    assert schema["hour"].kind == "categorical"
    assert "YYMMDDHH" in schema.warnings[0]


@pytest.mark.parametrize(
    ("separator", "expected"),
    [("|", "|"), (",", ","), (", ", ", "), (";", ";"), (" ", " "), (" | ", " | "), (" ; ", " ; "), (" , ", " , ")],
)
def test_lists_in_a_cell_are_bags(separator: str, expected: str) -> None:
    rng = np.random.default_rng(0)
    genres = np.array(["Action", "Comedy", "Drama", "Horror", "War", "Western"])
    cells = [separator.join(rng.choice(genres, rng.integers(2, 5), replace=False)) for _ in range(500)]
    schema = infer({"genres": cells, "click": np.arange(500) % 2}, target="click")
    assert (schema["genres"].kind, schema["genres"].separator) == ("bag", expected)


def test_spaces_belong_to_the_separator_only_where_they_stand_at_nearly_every_sign() -> None:
    genres = ["Action", "Comedy", "Drama", "War"]
    pairs = [[a, b] for a in genres for b in genres if a != b]
    for tight, expected in ((1, " | "), (60, "|")):
        cells = [("|" if i < tight else " | ").join(pairs[i % 12]) for i in range(240)]
        schema = infer({"genres": cells, "click": [0, 1] * 120}, target="click")
        assert schema["genres"].separator == expected


@pytest.mark.parametrize("missing", [[], ["NA"]])
def test_lists_of_small_ids_with_commas_are_bags(missing: list[str]) -> None:
    rng = np.random.default_rng(0)
    cells = [
        ",".join(map(str, rng.choice([*range(7, 19), 101, 205], rng.integers(1, 4), replace=False))) for _ in range(200)
    ]
    schema = infer({"shops": [*cells, *missing], "click": [0, 1] * 100 + [1] * len(missing)}, target="click")
    assert (schema["shops"].kind, schema["shops"].separator) == ("bag", ",")


@pytest.mark.parametrize(
    "cells", [["New York", "Los Angeles", "San Jose"], ["Smith, Jo", "Doe, Al"], ["1,200", "3,450"]]
)
def test_texts_with_a_delimiter_that_are_no_lists_are_categories(cells: list[str]) -> None:
    assert kind(cells * 30) == "categorical"


@pytest.mark.parametrize("form", ["{},5", "-{},25", "1.0{:02d},5", "1,0{:02d}.5", "{},200"])
def test_numbers_written_with_commas_are_categories_with_a_warning(form: str) -> None:
    cells = [form.format(i % 40) for i in range(200)]
    schema = infer({"price": [*cells, "NA"], "click": [0] + [0, 1] * 100}, target="click")
    assert schema["price"].kind == "categorical"
    assert f"`price` holds numbers written with commas, such as {cells[0]!r}" in schema.warnings[0]


@pytest.mark.parametrize("form", ["{},{:03d}", "1{},{:03d},{:03d}.5", "{},{:02d},{:03d}"])
def test_thousands_that_come_again_in_other_cells_are_no_lists(form: str) -> None:
    cells = [form.format(i % 9 + 1, i % 10 * 7, i % 11 * 50) for i in range(1_000)]
    schema = infer({"price": [*cells, "NA"], "click": [0] + [0, 1] * 500}, target="click")
    assert schema["price"].kind == "categorical"
    assert f"`price` holds numbers written with commas, such as {cells[0]!r}" in schema.warnings[0]


@pytest.mark.parametrize(
    ("name", "lists", "expected"),
    [
        ("history", [[1, 2], [3]], "sequence"),
        ("tags", [["a", "b"], ["c"]], "bag"),
        ("clips", [[1, 2, 1], [3, 3]], "sequence"),
    ],
)
def test_lists_are_sequences_where_the_name_or_repeats_say_so(name: str, lists: list[Any], expected: str) -> None:
    assert kind(lists * 20, name) == expected


def test_a_list_of_items_shares_the_items_vocabulary() -> None:
    schema = infer(click_log(2_000, history=5), target="click", user="user", item="item", time="time")
    assert schema["history"].vocabulary == "item"
    assert [f.kind for f in schema if f.name in ("time", "user", "item", "history")] == [
        "time",
        "categorical",
        "categorical",
        "sequence",
    ]


def test_roles_name_categories_and_the_weight_is_no_feature() -> None:
    data = {"u": np.arange(300) % 97, "w": np.ones(300), "x": np.random.default_rng(0).random(300)}
    schema = infer({**data, "click": np.arange(300) % 2}, target="click", user="u", weight="w")
    assert [(f.name, f.kind) for f in schema] == [("u", "categorical"), ("x", "numeric")]
    assert (schema.user, schema.weight) == ("u", "w")


@pytest.mark.parametrize("role", ["user", "item", "group"])
def test_ids_that_their_floats_have_rounded_are_refused(role: str) -> None:
    data = {"x": ["a", "b"] * 10, "click": [0, 1, 1, 0] * 5}
    rounded = [None, *map(float, range(2**53, 2**53 + 38, 2))]
    with pytest.raises(DataError, match="column .id.: ids of 2.53 and more, such as 9007199254740992, were rounded"):
        infer({**data, "id": rounded}, target="click", **{role: "id"})
    assert infer({**data, "id": rounded}, target="click")["id"].kind == "numeric"
    one = [None, 1e16, *map(float, range(18))]  # stands for no id
    assert infer({**data, "id": one}, target="click", **{role: "id"}).to_dict()[role] == "id"
    assert infer({**data, "id": [None, *range(2**53, 2**53 + 19)]}, target="click", user="id").user == "id"


def test_a_group_is_a_feature_only_if_its_values_come_often() -> None:
    data = {"request": np.arange(400) // 4, "device": np.arange(400) % 4, "click": np.arange(400) % 3 % 2}
    assert infer(data, target="click", group="request").names == ["device"]
    assert infer(data, target="click", group="device").names == ["request", "device"]


def test_constant_and_empty_columns_are_left_out_with_a_warning() -> None:
    data = {"same": [1] * 50, "none": [None] * 50, "x": ["a", "b"] * 25, "click": [0, 0, 1, 1, 0] * 10}
    schema = infer(data, target="click")
    assert schema.names == ["x"]
    assert sorted(schema.warnings) == [
        "`none` has no value in any row; it was left out",
        "`same` has one value only; it was left out",
    ]


def test_a_column_that_varies_only_outside_the_sample_is_kept(tmp_path: Path) -> None:
    rows = SAMPLE + 50_000
    rare = np.zeros(rows, np.int64)
    rare[-1] = 1
    pq.write_table(
        pa.table({"rare": rare, "x": np.arange(rows) % 7, "click": np.arange(rows) % 2}), tmp_path / "x.parquet"
    )
    assert "rare" in infer(tmp_path / "x.parquet", target="click")


ONE_OR_MISSING: dict[str, list[Any]] = {
    "fraction": [0.5, None],
    "whole number": [7, None],
    "text": ["yes", ""],
    "list": [["a"], []],
    "list or none": [["a"], None],
    "time": [datetime(2024, 1, 5), None],
}


@pytest.mark.parametrize("case", ONE_OR_MISSING)
def test_one_value_that_is_missing_in_some_rows_is_a_feature_that_is_encoded(case: str, tmp_path: Path) -> None:
    data = {"x": ONE_OR_MISSING[case] * 30, "other": list(range(4)) * 15, "click": [0, 1, 1] * 20}
    schema = infer(data, target="click")
    assert "x" in schema
    layout = encode(as_source(data), schema, tmp_path / "cache").layout
    assert all(column.std > 0 and column.log_std > 0 for column in layout.numbers)


def test_of_long_tables_too_columns_are_kept_that_miss_their_one_value_somewhere() -> None:
    rows = SAMPLE + 50_000
    last = pa.array([True] * (rows - 1) + [False])
    one = {
        "number": pa.array([1.5] * rows),
        "text": pa.array(["a"] * rows),
        "history": pa.array([["a", "a"]] * rows),
    }
    some = {name: pc.if_else(last, values, None) for name, values in one.items()}
    some["words"] = some["text"].dictionary_encode()
    same = {f"{name} alone": values for name, values in one.items()}
    empty = {"empty": pa.nulls(rows, pa.float64()), "empty lists": pa.array([[]] * rows, pa.list_(pa.string()))}
    table = pa.table({**some, **same, **empty, "x": np.arange(rows) % 7, "click": np.arange(rows) % 2})
    schema = infer(table, target="click")
    assert schema.names == [*some, "x"]
    assert sorted(schema.warnings) == [
        "`empty lists` has no value in any row; it was left out",
        "`empty` has no value in any row; it was left out",
        *(f"`{name}` has one value only; it was left out" for name in ("history alone", "number alone", "text alone")),
    ]


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_column_whose_only_value_lies_outside_the_sample_is_kept() -> None:
    rows = SAMPLE + 50_000
    rare = np.full(rows, np.nan)
    rare[np.setdiff1d(np.arange(rows), even_rows(rows, SAMPLE))[-1]] = 1.5
    table = pa.table({"rare": rare, "x": np.arange(rows) % 7, "click": np.arange(rows) % 2})
    schema = infer(table, target="click")
    assert (schema["rare"].kind, schema.warnings) == ("numeric", [])


def test_values_of_a_dictionary_that_stand_in_no_row_do_not_count() -> None:
    rows = SAMPLE + 50_000
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["a", "b"]))
    table = pa.table({"t": text, "x": np.arange(rows) % 7, "click": np.arange(rows) % 2})
    assert infer(table, target="click").names == ["x"]


@pytest.mark.parametrize("case", ["number", "category"])
def test_a_leak_is_named_with_its_auc(case: str) -> None:
    rng = np.random.default_rng(0)
    click = rng.integers(0, 2, 2_000)
    leak = click + rng.random(2_000) * 0.5 if case == "number" else np.where(click, "paid", "free")
    schema = infer({"leak": leak, "x": rng.random(2_000), "click": click}, target="click")
    assert len(schema.warnings) == 1
    assert "`leak` alone orders `click` almost perfectly (AUC 1.000" in schema.warnings[0]


def test_unique_ids_are_no_leak_but_get_a_warning() -> None:
    rng = np.random.default_rng(0)
    data = {"id": [f"r{i}" for i in range(2_000)], "x": rng.random(2_000), "click": rng.integers(0, 2, 2_000)}
    (warning,) = infer(data, target="click").warnings
    assert "`id` has a value of its own in nearly every row" in warning


def test_y_gives_the_target() -> None:
    schema = infer(np.random.default_rng(0).random((50, 2)), np.arange(50) % 2)
    assert (schema.names, schema.targets) == (["x0", "x1"], ["target"])


def test_the_description_shows_every_column_its_role_and_the_warnings() -> None:
    schema = infer(click_log(1_000), target="click", user="user", item="item", time="time")
    schema.warnings.append("look here")
    lines = describe(schema).splitlines()
    assert lines[0].split() == ["column", "kind", "dtype", "note"]
    assert lines[2].split() == ["user", "categorical", "int", "role", "user"]
    assert lines[-2].split() == ["click", "target"]
    assert lines[-1] == "warning: look here"


def test_a_role_that_is_no_role_is_an_error() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'user'"):
        infer({"a": ["x", "y"], "click": [0, 1]}, target="click", usr="a")


def test_a_role_without_values_is_an_error() -> None:
    data = {"u": [None] * 4, "x": ["a", "b", "a", "c"], "click": [0, 1, 0, 1]}
    with pytest.raises(DataError, match="column 'u': the column of the role `user` has no value"):
        infer(data, target="click", user="u")


def kinds(schema: Schema) -> dict[str, str]:
    return {feature.name: feature.kind for feature in schema}


def test_frappe_has_categories_only(real_data: Path) -> None:
    names = ["user", "app", "daytime", "weekday", "weekend", "homework", "cost", "weather", "country", "city"]
    rows = []
    with gzip.open(real_data / "frappe" / "frappe.validation.libfm.gz", "rt") as file:
        for line in file:
            label, *cells = line.split()
            rows.append([int(float(label) > 0), *(int(cell.split(":")[0]) for cell in cells)])
    frame = pl.DataFrame(rows, schema=["used", *names], orient="row")
    renamed = frame.rename({name: f"c{i}" for i, name in enumerate(names)})
    for data in (frame, renamed):
        assert set(kinds(infer(data, target="used")).values()) == {"categorical"}


def test_adult_has_six_numbers(real_data: Path) -> None:
    frame = pl.read_csv(gzip.decompress((real_data / "adult" / "adult.csv.gz").read_bytes()))
    frame = frame.with_columns(frame["income"].str.contains(">50K").cast(pl.Int64))
    numeric = {name for name, found in kinds(infer(frame, target="income")).items() if found == "numeric"}
    assert numeric == {"age", "fnlwgt", "educational-num", "capital-gain", "capital-loss", "hours-per-week"}


def test_movielens_has_ids_flags_and_a_unix_time(real_data: Path) -> None:
    folder = real_data / "movielens-100k"

    def read(name: str, separator: str, columns: list[str]) -> pl.DataFrame:
        raw = (folder / name).read_bytes()
        raw = gzip.decompress(raw) if name.endswith(".gz") else raw
        return pl.read_csv(raw, separator=separator, has_header=False, new_columns=columns, encoding="latin1")

    flags = [f"g{i}" for i in range(19)]
    items = read("u.item.gz", "|", ["item", "title", "date", "video", "url", *flags])
    items = items.select("item", *flags, year=pl.col("date").str.slice(-4))
    users = read("u.user", "|", ["user", "age", "gender", "occupation", "zip"])
    frame = read("u1.base.gz", "\t", ["user", "item", "rating", "time"]).join(users, on="user").join(items, on="item")
    schema = infer(frame.with_columns(like=(pl.col("rating") >= 4)).drop("rating"), target="like")
    found = kinds(schema)
    assert (found.pop("time"), schema["time"].unit) == ("time", "s")
    assert found.pop("age") in ("numeric", "categorical")
    assert set(found.values()) == {"categorical"}


def test_criteo_has_thirteen_numbers_whatever_their_names(real_data: Path) -> None:
    names = ["label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27))]
    raw = gzip.decompress((real_data / "criteo-10k" / "train-10k.txt.gz").read_bytes())
    frame = pl.read_csv(raw, separator="\t", has_header=False, new_columns=names, infer_schema_length=None)
    found = kinds(infer(frame, target="label"))
    assert all(found[name] == ("numeric" if name.startswith("I") else "categorical") for name in names[1:])


def test_avazu_has_categories_and_warnings_for_its_row_id_and_constant_hour(real_data: Path) -> None:
    schema = infer(real_data / "avazu-10k" / "train-10k.csv.gz", target="click")
    assert set(kinds(schema).values()) == {"categorical"}
    assert "hour" not in schema
    assert any(warning.startswith("`id` has a value of its own") for warning in schema.warnings)
