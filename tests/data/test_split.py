"""Which rows are held out for validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autorec.data.schema import Schema
from autorec.data.source import Source
from autorec.data.split import assign
from autorec.data.table import as_source
from autorec.errors import ConfigError, DataError


def source_of(**columns: Any) -> Source:
    return as_source({name: np.asarray(values) for name, values in columns.items()})


def test_a_random_split_holds_out_the_fraction_and_follows_the_seed() -> None:
    source = source_of(x=np.arange(1000))
    first, again, other = (assign(source, Schema(), "random", 0.1, seed) for seed in (1, 1, 2))
    assert first.sum() == 100
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def clicks(positives: int, negatives: int, unknown: int = 0) -> np.ndarray:
    labels = np.repeat([1.0, 0.0, np.nan], [positives, negatives, unknown])
    return np.random.default_rng(0).permutation(labels)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("positives", [2, 3, 12])
def test_a_random_split_leaves_rows_of_a_rare_class_on_both_sides(positives: int, seed: int) -> None:
    labels = clicks(positives, 60)
    mask = assign(source_of(y=labels), Schema(targets=["y"]), "random", 0.1, seed)
    assert labels[mask].tolist().count(1) == max(round(positives * 0.1), 1)
    assert labels[mask].tolist().count(0) == 6


def test_shares_of_classes_follow_the_seed_and_unlabelled_rows_have_one() -> None:
    labels = clicks(50, 500, 200)
    first, again, other = (
        assign(source_of(y=labels), Schema(targets=["y"]), "random", 0.1, seed) for seed in (1, 1, 2)
    )
    assert [int(first[labels == value].sum()) for value in (1, 0)] == [5, 50]
    assert first[np.isnan(labels)].sum() == 20
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "schema",
    [
        Schema(),
        Schema(targets=["often"]),
        Schema(targets=["often", "rare"]),
        Schema(targets=["stars"]),
        Schema(targets=["one"]),
        Schema(targets=["rare"], long={"rare": "x"}),
    ],
    ids=["no target", "enough rows of both", "the first decides", "ratings", "one class", "long"],
)
def test_any_other_random_split_is_of_all_rows(schema: Schema) -> None:
    rows = 70_000  # more than a block
    x = np.arange(rows)
    source = source_of(x=x, often=x % 70 == 0, rare=x % 1000 == 0, stars=x % 5, one=np.ones(rows))
    drawn = assign(source_of(x=x), Schema(), "random", 0.1, 0)
    assert np.array_equal(assign(source, schema, "random", 0.1, 0), drawn)
    assert not np.array_equal(assign(source, Schema(targets=["rare"]), "random", 0.1, 0), drawn)


def test_a_row_of_each_class_is_split_as_any_two_rows() -> None:
    mask = assign(source_of(y=[0, 1]), Schema(targets=["y"]), "random", 0.5, 0)
    assert mask.sum() == 1


def test_a_split_by_time_holds_out_the_last_rows_wherever_they_stand() -> None:
    times = np.random.default_rng(0).permutation(100)
    mask = assign(source_of(t=times), Schema(time="t"), "time", 0.2, 0)
    assert sorted(times[mask]) == list(range(80, 100))


@pytest.mark.parametrize(("fraction", "held"), [(0.3, 4), (0.1, 1)])
def test_rows_of_one_time_stay_on_one_side(fraction: float, held: int) -> None:
    mask = assign(source_of(t=[1, 2, 3, 4, 5, 6, 7, 7, 7, 8]), Schema(time="t"), "time", fraction, 0)
    assert mask.sum() == held


def test_many_rows_of_the_last_time_are_held_out_together() -> None:
    mask = assign(source_of(t=[1, 2, 9, 9, 9, 9]), Schema(time="t"), "time", 0.2, 0)
    assert mask.tolist() == [False, False, True, True, True, True]


def test_times_as_text_are_put_in_order() -> None:
    source = source_of(t=["2024-03-01", "2024-01-01", "2024-02-01 12:00:00", "2024-01-02"])
    assert assign(source, Schema(time="t"), "time", 0.25, 0).tolist() == [True, False, False, False]


def test_a_missing_time_counts_as_earliest() -> None:
    for times in ([5, None, 1, 9], [5.5, None, 1.5, 9.0], np.array([5.5, np.nan, 1.5, 9.0])):
        mask = assign(as_source({"t": times}), Schema(time="t"), "time", 0.5, 0)
        assert mask.tolist() == [True, False, False, True]


@pytest.mark.parametrize("users", [np.arange(2000) % 50, np.array([f"u{i % 50}" for i in range(2000)])])
def test_a_split_by_user_holds_out_whole_users(users: np.ndarray) -> None:
    mask = assign(source_of(u=users), Schema(user="u"), "user", 0.2, 0)
    assert set(users[mask]).isdisjoint(users[~mask])
    assert mask.mean() == pytest.approx(0.2, abs=0.02)


def test_the_users_held_out_follow_the_seed() -> None:
    source = source_of(u=np.arange(2000) % 50)
    first, again, other = (assign(source, Schema(user="u"), "user", 0.2, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rows_without_a_user_are_held_out_one_by_one_by_their_fraction() -> None:
    users = np.array(["", None, *(f"u{i}" for i in range(38))] * 50, dtype=object)
    nobody = np.array([not user for user in users])
    first, again, other = (assign(as_source({"u": users}), Schema(user="u"), "user", 0.2, seed) for seed in (1, 1, 2))
    assert first[nobody].sum() == 20
    assert set(users[first & ~nobody]).isdisjoint(users[~first & ~nobody])
    assert first[~nobody].mean() == pytest.approx(0.2, abs=0.02)
    assert np.array_equal(first, again)
    assert not np.array_equal(first[nobody], other[nobody])


def test_rows_without_a_user_change_nothing_for_known_users() -> None:
    users = [f"u{i % 30}" for i in range(300)]
    alone, beside = (
        assign(as_source({"u": users + more}), Schema(user="u"), "user", 0.2, 0) for more in ([], [None] * 100)
    )
    assert np.array_equal(alone, beside[:300])


def test_rows_that_are_all_of_no_user_cannot_be_split_by_user() -> None:
    with pytest.raises(DataError, match="all rows are of one user or of none"):
        assign(as_source({"u": [None, "", None]}), Schema(user="u"), "user", 0.5, 0)


@pytest.mark.parametrize("split", ["time", "user"])
def test_a_split_needs_its_column(split: str) -> None:
    with pytest.raises(ConfigError, match=f"no column has the role `{split}`"):
        assign(source_of(x=[1, 2]), Schema(), split, 0.1, 0)


@pytest.mark.parametrize(
    ("split", "reason"), [("time", "all rows have the same time"), ("user", "all rows are of one user")]
)
def test_an_empty_side_is_an_error_that_says_why(split: str, reason: str) -> None:
    with pytest.raises(DataError, match=f"file 'dict', column 'c'.*{reason}"):
        assign(source_of(c=[4, 4, 4]), Schema(time="c", user="c"), split, 0.1, 0)


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(DataError, match="too few rows"):
        assign(source_of(x=[1]), Schema(), "random", 0.5, 0)


@pytest.mark.parametrize("fraction", [0, 1, -0.1])
def test_the_fraction_is_checked(fraction: float) -> None:
    with pytest.raises(ConfigError, match="validation_fraction"):
        assign(source_of(x=[1, 2]), Schema(), "random", fraction, 0)


def test_an_unknown_split_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'random'"):
        assign(source_of(x=[1, 2]), Schema(), "radom", 0.1, 0)


def test_a_time_that_is_none_is_named_with_its_file_line_and_column(tmp_path: Path) -> None:
    rows = [f"{day},2024-01-{day:02d}\n" for day in range(1, 9)]
    (tmp_path / "log.csv").write_text("".join(["day,when\n", *rows, "9,soon\n"]))
    with pytest.raises(DataError, match=r"log.csv', row 10, column 'when': a time must be .* got 'soon'"):
        assign(as_source(tmp_path / "log.csv"), Schema(time="when"), "time", 0.5, 0)
