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


def test_rows_without_a_user_go_together() -> None:
    users = ["", None, "a", "b"] * 50
    mask = assign(as_source({"u": users}), Schema(user="u"), "user", 0.5, 0)
    nobody = np.array([not user for user in users])
    assert len(set(mask[nobody])) == 1


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
