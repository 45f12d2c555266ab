"""From a source to a cache: what is learned, from which rows, and what stands on disk."""

from __future__ import annotations

import errno
import os
import time
import tracemalloc
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from autorec.data.cache import Cache
from autorec.data.demo import click_log
from autorec.data.encode import encode, encode_all
from autorec.data.lists import Lists
from autorec.data.long_target import LongTarget
from autorec.data.schema import Feature, Schema
from autorec.data.statistics import Problem
from autorec.data.statistics_columns import StatisticsColumns
from autorec.data.statistics_pairs import choose_pairs
from autorec.data.table import as_source
from autorec.errors import ConfigError, DataError

ROWS = 400


def log(rows: int = ROWS, seed: int = 0) -> pl.DataFrame:
    """A log with every kind of column, missing values and values that are seen once."""
    rng = np.random.default_rng(seed)
    start = datetime(2024, 1, 1)
    item = rng.zipf(1.5, rows) % 50
    return pl.DataFrame(
        {
            "user": [None if i % 11 == 0 else f"u{i % 23}" for i in range(rows)],
            "item": item,
            "price": [None if i % 7 == 0 else float(p) for i, p in enumerate(rng.normal(size=rows))],
            "when": [start + timedelta(minutes=37 * int(i)) for i in rng.permutation(rows)],
            "tags": [[f"t{k}" for k in range(i % 4)] for i in range(rows)],
            "seen": [[int(k) for k in item[max(0, i - i % 6) : i]] for i in range(rows)],
            "w": rng.random(rows),
            "click": rng.integers(0, 2, rows),
            "stars": [None if i % 3 == 0 else float(i % 5) for i in range(rows)],
        },
        schema_overrides={"tags": pl.List(pl.String), "seen": pl.List(pl.Int64)},
    )


def schema(**roles: Any) -> Schema:
    return Schema(
        [
            Feature("user", "categorical"),
            Feature("item", "categorical", "int"),
            Feature("price", "numeric", "float"),
            Feature("when", "time", "time"),
            Feature("tags", "bag"),
            Feature("seen", "sequence", "int", vocabulary="item", max_length=3),
        ],
        **{"targets": ["click", "stars"], "weight": "w", "user": "user", "item": "item", "time": "when", **roles},
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return encode(as_source(log()), schema(), tmp_path_factory.mktemp("encode") / "cache", fraction=0.25)


def split_rows(frame: pl.DataFrame, cache: Cache) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Returns the training and validation rows: they are in the order of the source, and `w` tells them apart."""
    part = cache.validation.weights
    assert part is not None
    apart = frame["w"].to_numpy()[:, None] / np.asarray(part, np.float64) / _unit(cache)
    held = (np.abs(apart - 1.0) < 1e-6).any(1)
    assert held.sum() == len(part)
    return frame.filter(~pl.Series(held)), frame.filter(pl.Series(held))


def _unit(cache: Cache) -> float:
    """Returns what the weights of the log were divided by."""
    assert cache.train.weights is not None
    assert cache.validation.weights is not None
    both = np.concatenate([cache.train.weights, cache.validation.weights])
    return float(log()["w"].sum() / both.sum(dtype=np.float64))


def files(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def batch(frame: pl.DataFrame) -> pa.RecordBatch:
    return next(iter(as_source(frame).batches(frame.columns, len(frame))))


def same(found: Any, expected: Any) -> None:
    """Asserts equality bit for bit."""
    if isinstance(found, Lists):
        np.testing.assert_array_equal(found.offsets, expected.offsets)
        np.testing.assert_array_equal(found.values, expected.values)
    else:
        assert found.dtype == expected.dtype
        assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()


def test_both_parts_together_hold_every_row_once(cache: Cache) -> None:
    assert (cache.train.rows, cache.validation.rows) == (300, 100)
    assert cache.train.weights is not None
    assert cache.validation.weights is not None
    both = np.concatenate([cache.train.weights, cache.validation.weights])
    np.testing.assert_allclose(np.sort(both) * _unit(cache), np.sort(log()["w"].to_numpy()), rtol=1e-5)


def test_the_unit_of_the_weights_changes_nothing(cache: Cache, tmp_path: Path) -> None:
    assert cache.train.weights is not None
    assert np.mean(cache.train.weights) == pytest.approx(1.0)
    other = encode(as_source(log().with_columns(pl.col("w") * 1000)), schema(), tmp_path / "cache", fraction=0.25)
    np.testing.assert_allclose(other.train.weights, cache.train.weights, rtol=1e-5)
    np.testing.assert_allclose(other.validation.weights, cache.validation.weights, rtol=1e-5)


@pytest.mark.parametrize("group", ["ids", "numbers", "list_0", "list_1"])
def test_the_encoder_gives_the_training_rows_what_the_cache_holds(cache: Cache, group: str) -> None:
    train, _ = split_rows(log(), cache)
    same(cache.encoder.encode(batch(train))[group], cache.train.arrays[group])


@pytest.mark.parametrize("group", ["ids", "numbers", "statistics", "list_0", "list_1"])
def test_the_encoder_gives_the_validation_rows_what_the_cache_holds(cache: Cache, group: str) -> None:
    _, held = split_rows(log(), cache)
    same(cache.encoder.encode(batch(held))[group], cache.validation.arrays[group])


def test_local_ids_fall_with_the_training_count(cache: Cache) -> None:
    train, _ = split_rows(log(), cache)
    counts = train["item"].value_counts().filter(pl.col("count") >= 2)
    seen = train["seen"].list.tail(3).explode().drop_nulls().value_counts()
    both = pl.concat([train["item"].value_counts(), seen.rename({"seen": "item"})]).group_by("item").sum()
    kept = dict(both.filter(pl.col("count") >= 2).iter_rows())
    values = [int(value) for value in cache.encoder.vocabularies["item"].values]
    assert set(counts["item"]) <= set(values) == set(kept)
    assert sorted(kept.values(), reverse=True) == [kept[value] for value in values]


def test_missing_values_and_rare_ones_have_the_reserved_ids(cache: Cache) -> None:
    train, _ = split_rows(log(), cache)
    users = np.asarray(cache.train.arrays["ids"])[:, 0]
    np.testing.assert_array_equal(users == 0, train["user"].is_null().to_numpy())
    rows = pl.DataFrame({"user": ["new", None, "u3"], "item": [999, None, 1]}, schema_overrides={"item": pl.Int64})
    rest = log(3).drop("user", "item")
    ids = cache.encoder.encode(batch(pl.concat([rows, rest], how="horizontal")), ["ids"])["ids"]
    assert ids[:2, :2].tolist() == [[1, 1], [0, 0]]
    assert ids[2].min() >= 2


def test_labels_are_float32_with_nan_where_unlabelled(cache: Cache) -> None:
    train, _ = split_rows(log(), cache)
    expected = train.select("click", "stars").to_numpy().astype(np.float32)
    np.testing.assert_array_equal(cache.train.labels, expected)
    assert [(target.name, target.kind) for target in cache.layout.targets] == [("click", "binary"), ("stars", "real")]


def test_sequences_keep_the_newest_and_share_the_vocabulary_of_their_column(cache: Cache) -> None:
    train, _ = split_rows(log(), cache)
    names = cache.encoder.vocabularies["item"].values.to_list()
    found = cache.train.arrays["list_1"]
    rows = [found.values[a:b] for a, b in zip(found.offsets, found.offsets[1:])]
    decoded = [[names[i - 2] if i > 1 else None for i in row] for row in rows]
    expected = [[str(v) if str(v) in names else None for v in row[-3:]] for row in train["seen"].to_list()]
    assert decoded == expected
    column = cache.layout.lists[1]
    assert (column.table, column.size) == ("item", cache.layout.ids[1].size)


def test_age_counts_from_the_last_training_row(cache: Cache) -> None:
    train, held = split_rows(log(), cache)
    last = train["when"].max()
    ages = np.asarray(cache.validation.arrays["numbers"])[:, 1]
    expected = [(last - when) / timedelta(days=1) for when in held["when"]]  # type: ignore[operator]
    np.testing.assert_allclose(ages, expected, rtol=1e-12)
    assert np.asarray(cache.train.arrays["numbers"])[:, 1].min() == 0


def test_moments_are_of_the_training_rows_alone(cache: Cache) -> None:
    train, _ = split_rows(log(), cache)
    price = cache.layout.numbers[0]
    assert price.mean == pytest.approx(train["price"].mean())
    assert price.missing == pytest.approx(train["price"].null_count() / 300)
    assert cache.layout.targets[1].mean == pytest.approx(train["stars"].mean())


def test_rows_of_one_user_have_one_group_number(cache: Cache) -> None:
    train, _ = split_rows(log(), cache)
    assert cache.train.users is not None
    pairs = set(zip(train["user"].to_list(), cache.train.users.tolist()))
    assert len(pairs) == train["user"].n_unique() == len(set(cache.train.users.tolist()))


def test_nothing_is_learned_from_validation_rows(tmp_path: Path) -> None:
    # Of a first target of two classes the labels have a say in the split.
    by_chance = schema(targets=["stars", "click"])
    cache = encode(as_source(log()), by_chance, tmp_path / "cache", fraction=0.25)
    _, held = split_rows(log(), cache)
    mine = pl.col("w").is_in(held["w"].implode())
    other = log().with_columns(
        pl.when(mine).then(pl.lit("u9")).otherwise("user").alias("user"),
        pl.when(mine).then(pl.lit(7777)).otherwise("item").alias("item"),
        pl.when(mine).then(1e9).otherwise("price").alias("price"),
        pl.when(mine).then(pl.lit(datetime(2030, 1, 1))).otherwise("when").alias("when"),
        pl.when(mine).then(pl.lit(["t3"])).otherwise("tags").alias("tags"),
        pl.when(mine).then(1 - pl.col("click")).otherwise("click").alias("click"),
    )
    changed = encode(as_source(other), by_chance, tmp_path / "changed", fraction=0.25)
    for part in ("encoder", "train"):
        before, after = files(cache.directory / part), files(changed.directory / part)
        differ = [name for name in before if before[name] != after[name]]
        assert differ in ([], ["users.bin"])  # which number a user has as a group says nothing


def test_encoding_twice_gives_the_same_bytes(cache: Cache, tmp_path: Path) -> None:
    again = encode(as_source(log()), schema(), tmp_path / "cache", fraction=0.25)
    assert files(again.directory) == files(cache.directory)


@pytest.mark.parametrize("statistics", ["ordered", "kfold"])
def test_validation_rows_use_all_training_rows(tmp_path: Path, statistics: str) -> None:
    train = pl.DataFrame({"c": ["a"] * 6 + ["b"] * 4, "y": [1, 1, 1, 1, 0, 0, 0, 0, 1, 0]})
    held = pl.DataFrame({"c": ["a", "b", "new"], "y": [0, 1, 1]})
    plain = Schema([Feature("c", "categorical")], targets=["y"])
    cache = encode(as_source(train), plain, tmp_path / "c", validation=as_source(held), statistics=statistics, seed=1)
    smoothing = cache.encoder.statistics[0].smoothing[0]
    rate = np.array([(s + smoothing * 0.5) / (n + smoothing) for s, n in ((4, 6), (1, 4), (0, 0))])
    found = np.asarray(cache.validation.arrays["statistics"])
    np.testing.assert_allclose(found[:, 0], np.log(rate / (1 - rate)), atol=1e-6)
    np.testing.assert_allclose(found[:, 1], np.log1p([6, 4, 0]), rtol=1e-6)


def test_ordered_statistics_follow_the_time_column(tmp_path: Path) -> None:
    hours = np.random.default_rng(0).permutation(50)
    frame = pl.DataFrame({"c": ["a"] * 50, "y": [0, 1] * 25, "t": hours})
    timed = Schema([Feature("c", "categorical")], targets=["y"], time="t")
    cache = encode(as_source(frame), timed, tmp_path / "c", validation=as_source(frame[:5]))
    counts = np.asarray(cache.train.arrays["statistics"])[:, 1]
    np.testing.assert_allclose(counts, np.log1p(hours), rtol=1e-6)


def test_without_a_time_column_the_order_is_the_seeds(tmp_path: Path) -> None:
    frame = pl.DataFrame({"c": ["a"] * 50, "y": [0, 1] * 25})
    plain = Schema([Feature("c", "categorical")], targets=["y"])
    counts = [
        np.asarray(
            encode(
                as_source(frame), plain, tmp_path / f"c{seed}", validation=as_source(frame[:5]), seed=seed
            ).train.arrays["statistics"]
        )[:, 1]
        for seed in (1, 2)
    ]
    assert not np.array_equal(counts[0], counts[1])
    np.testing.assert_allclose(np.sort(counts[0]), np.log1p(np.arange(50)), rtol=1e-6)


def test_random_labels_on_rare_ids_do_not_leak(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    frame = pl.DataFrame({"c": rng.integers(0, 3000, 8000), "y": rng.integers(0, 2, 8000)})
    plain = Schema([Feature("c", "categorical", "int")], targets=["y"])
    cache = encode(as_source(frame), plain, tmp_path / "c", fraction=0.5)
    for part in (cache.train, cache.validation):
        auc = roc_auc_score(np.asarray(part.labels[:, 0]), np.asarray(part.arrays["statistics"])[:, 0])
        assert abs(auc - 0.5) < 2 * np.sqrt(1 / (3 * 4000))


def test_statistics_can_be_left_out(tmp_path: Path) -> None:
    cache = encode(as_source(log(60)), schema(), tmp_path / "c", statistics=None)
    assert cache.layout.groups == ("ids", "numbers", "list_0", "list_1")


def test_named_pairs_get_joint_statistics_and_wrong_ones_are_named(tmp_path: Path) -> None:
    cache = encode(as_source(log(60)), schema(pairs=[("user", "when:hour")]), tmp_path / "c")
    names = [column.name for column in cache.layout.pairs]
    assert names == ["rate(user, when:hour; click)", "rate(user, when:hour; stars)", "count(user, when:hour)"]
    with pytest.raises(ConfigError, match=r"schema\.pairs.*Did you mean 'item'"):
        encode(as_source(log(60)), schema(pairs=[("user", "itm")]), tmp_path / "d")


def test_named_pairs_get_joint_statistics_also_where_their_columns_get_none(tmp_path: Path) -> None:
    given = schema(pairs=[("user", "when:hour")])
    for feature in given:
        feature.statistics = False
    cache = encode(as_source(log(60)), given, tmp_path / "c")
    assert not cache.layout.statistics
    assert len(cache.layout.pairs) == 3
    assert cache.train.arrays["pairs"].shape == (cache.train.rows, 3)


def test_a_text_among_numbers_is_named_with_its_place_in_the_source(tmp_path: Path) -> None:
    prices = pa.array(["1.5"] * 70_000 + ["cheap"])
    table = pa.table({"price": prices, "y": pa.array(np.arange(70_001) % 2)})
    plain = Schema([Feature("price", "numeric", "float")], targets=["y"])
    with pytest.raises(DataError, match="expected a number, got 'cheap'") as caught:
        encode(as_source(table), plain, tmp_path / "c")
    assert (caught.value.row, caught.value.column) == (70_000, "price")


def test_a_failed_encoding_leaves_what_was_there(tmp_path: Path) -> None:
    encode(as_source(log(60)), schema(), tmp_path / "c")
    before = files(tmp_path)
    with pytest.raises(DataError, match="the column is absent"):
        encode(as_source(log(60).drop("price")), schema(), tmp_path / "c")
    assert files(tmp_path) == before


def test_a_full_disk_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("autorec.data.column_file.os.posix_fallocate", full)
    with pytest.raises(DataError, match="the disk is full"):
        encode(as_source(log(60)), schema(), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_of_statistics_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'ordered'"):
        encode(as_source(log(60)), schema(), tmp_path / "c", statistics="orderd")


def test_progress_tells_rows_read_and_all_rows(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    encode(as_source(log(60)), schema(), tmp_path / "c", progress=events.append)
    assert events[0] == {"event": "encode", "rows": 60, "of": 60}


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    plain = Schema(
        [Feature("user", "categorical", "int"), Feature("price", "numeric", "float")], targets=["click"], pairs=[]
    )
    most = []
    for rows in (150_000, 450_000):
        tracemalloc.start()
        encode(as_source(click_log(rows=rows)), plain, tmp_path / str(rows), split="random")
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # A row's number in the order, its place in the split and its label stay; its columns do not.
    assert most[1] - most[0] < 300_000 * 60


# All rows


@pytest.mark.parametrize("statistics", ["ordered", "kfold"])
def test_all_rows_are_encoded_as_training_rows_are(tmp_path: Path, cache: Cache, statistics: str) -> None:
    other = log(40, seed=9)
    held = encode(as_source(log()), schema(), tmp_path / "a", validation=as_source(other), statistics=statistics)
    all_rows = encode_all([as_source(log())], schema(), tmp_path / "b", like=held, statistics=statistics)
    for part in ("encoder", "train"):
        assert files(all_rows.directory / part) == files(held.directory / part)
    assert not (all_rows.directory / "validation").exists()
    both = encode_all([as_source(log()), as_source(other)], schema(), tmp_path / "c", like=held, statistics=statistics)
    assert both.train.rows == ROWS + 40
    np.testing.assert_array_equal(both.train.labels[ROWS:], held.validation.labels)


def test_what_is_long_stays_what_it_was_and_trees_are_grown_where_they_were(tmp_path: Path) -> None:
    frame = planted().with_columns(dwell=pl.Series(np.random.default_rng(0).exponential(size=3_000)))
    long = planted_schema(targets=["dwell"], long={"dwell": LongTarget(quantile=0.9)})
    held = encode(as_source(frame), long, tmp_path / "a", trees=True)
    changed = frame.with_columns(pl.col("dwell") * 2)
    all_rows = encode_all([as_source(changed)], long, tmp_path / "b", like=held)
    threshold = held.encoder.thresholds["dwell"].overall
    np.testing.assert_array_equal(all_rows.train.labels[:, 0], changed["dwell"].to_numpy() > threshold)
    assert all_rows.encoder.thresholds == held.encoder.thresholds
    assert all_rows.layout.groups == held.layout.groups


def test_pairs_are_those_that_were_chosen_though_others_would_be_now(tmp_path: Path) -> None:
    held = encode(as_source(planted()), planted_schema(), tmp_path / "a")
    other = planted().with_columns(a=pl.col("c"), c=pl.col("a"))  # now c and b tell the target together
    all_rows = encode_all([as_source(other)], planted_schema(), tmp_path / "b", like=held)
    assert [column.sources for column in all_rows.layout.pairs] == [column.sources for column in held.layout.pairs]
    assert held.layout.pairs[0].sources == ("a", "b")


def planted(rows: int = 3_000) -> pl.DataFrame:
    """A log whose target hangs on two columns together."""
    ids = np.random.default_rng(9).integers(0, 12, (rows, 3))
    return pl.DataFrame({"a": ids[:, 0], "b": ids[:, 1], "c": ids[:, 2], "y": ids[:, :2].sum(1) % 2})


def planted_schema(**more: Any) -> Schema:
    return Schema([Feature(name, "categorical", "int") for name in "abc"], **{"targets": ["y"], **more})


def test_with_a_deadline_in_the_past_pairs_alone_are_left_out_and_a_message_says_so(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    source = as_source(planted())
    late = encode(source, planted_schema(), tmp_path / "a", deadline=time.monotonic() - 1, progress=events.append)
    whole = encode(source, planted_schema(), tmp_path / "b")
    assert len(late.layout.statistics) == 6
    assert late.layout.pairs == ()
    assert whole.layout.pairs[0].sources == ("a", "b")
    same(late.train.arrays["statistics"], whole.train.arrays["statistics"])
    assert [event["text"] for event in events if event["event"] == "message"] == [
        "no statistics of pairs of columns: the time for them is over"
    ]


def test_a_deadline_far_off_changes_no_byte(tmp_path: Path) -> None:
    schemas = planted_schema(), planted_schema()
    far = encode(as_source(planted()), schemas[0], tmp_path / "a", deadline=time.monotonic() + 3_600)
    assert files(far.directory) == files(encode(as_source(planted()), schemas[1], tmp_path / "b").directory)


def test_pairs_that_are_not_learned_in_time_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, Any]] = []
    left = iter([9e9, 9e9, 9e9, 0.0])  # time runs out at the second block that is read
    monkeypatch.setattr(StatisticsColumns, "_left", lambda self: next(left))
    schema = planted_schema(pairs=[("a", "b"), ("a", "c")])
    cache = encode(as_source(planted()), schema, tmp_path / "c", deadline=time.monotonic() + 60, progress=events.append)
    assert cache.layout.groups == ("ids", "statistics")
    assert not list(cache.directory.rglob("pairs*"))
    assert events[-1]["text"] == "statistics of 0 of 2 pairs of columns: there is no time for more"


@pytest.mark.parametrize(("seconds", "learned"), [(2.5, [(0, 1), (0, 2)]), (30.0, [(0, 1), (0, 2), (1, 2)])])
def test_the_pairs_that_there_is_time_for_are_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, learned: list[tuple[int, int]]
) -> None:
    monkeypatch.setattr("autorec.data.statistics_columns._PAIR_COST", 1.0)
    monkeypatch.setattr(StatisticsColumns, "_left", lambda self: seconds)
    monkeypatch.setattr(StatisticsColumns, "_pairs", lambda self, problem, able: [(0, 1), (0, 2), (1, 2)])
    make = StatisticsColumns._make_pairs
    monkeypatch.setattr(StatisticsColumns, "_make_pairs", lambda self, problem, able, _: make(self, problem, able, 1.0))
    cache = encode(as_source(planted()), planted_schema(), tmp_path / "c")
    names = [("a", "b", "c")[i] for pair in learned for i in pair]
    assert [name for column in cache.layout.pairs[::2] for name in column.sources] == names


def test_pairs_are_tried_until_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = planted()
    ids, labels = frame.select("a", "b", "c").to_numpy(), frame.select("y").to_numpy().astype(np.float32)
    problem = Problem(lambda rows: ids[rows], labels, [True], np.arange(len(ids)), "ordered")
    clock = iter([0.0, 2.0])
    monkeypatch.setattr("autorec.data.statistics_pairs.time.monotonic", lambda: next(clock))
    assert choose_pairs(problem, [12, 12, 12], [0, 1, 2], deadline=1.0) == [(0, 1)]


def test_arrow_allocates_behind_an_encoding_as_before_it(tmp_path: Path) -> None:
    before = pa.default_memory_pool().backend_name
    seen: list[str] = []
    source, schema = as_source({"a": ["x", "y"] * 20, "y": [0, 1] * 20}), Schema([Feature("a", "categorical")], ["y"])
    encode(source, schema, tmp_path / "c", progress=lambda event: seen.append(pa.default_memory_pool().backend_name))
    assert set(seen) == {"system"}
    with pytest.raises(DataError, match="expected a number"):
        encode(as_source({"a": ["x", "y"] * 20, "y": ["0", "one"] * 20}), schema, tmp_path / "d")
    assert pa.default_memory_pool().backend_name == before
