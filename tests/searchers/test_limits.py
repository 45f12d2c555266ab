"""Which rows a cheap trial reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autorec.data.cache import Part
from autorec.data.layout import Layout, NumberColumn
from autorec.data.lists import Lists
from autorec.searchers import limits
from autorec.searchers.fidelity import Fidelity
from autorec.searchers.limits import SelectedPart, limited

ROWS = 500


def part_of(rows: int = ROWS) -> Part:
    numbers = np.arange(rows, dtype=np.int32)
    lists = Lists(np.arange(0, 2 * rows + 1, 2), np.repeat(numbers, 2))
    arrays = {"ids": numbers[:, None], "list_0": lists}
    return Part(arrays, numbers[:, None].astype(np.float32), numbers.astype(np.float32), numbers.astype(np.int64) // 10)


def rows_of(part: Part) -> list[int]:
    return [int(row) for row in part.labels[:, 0]]


def test_every_array_of_a_smaller_part_has_the_same_rows() -> None:
    part = limited(part_of(), Layout(), Fidelity(rows=40))
    taken = part.take(slice(None), ["ids", "list_0"])
    rows = np.array(rows_of(part))
    assert part.rows == 40 == len(set(rows))
    np.testing.assert_array_equal(taken["ids"][:, 0], rows)
    np.testing.assert_array_equal(taken["list_0"], np.stack([rows, rows], 1))
    np.testing.assert_array_equal(part.weights, rows)
    np.testing.assert_array_equal(part.users, rows // 10)


def test_all_rows_are_the_part_itself() -> None:
    part = part_of()
    assert limited(part, Layout(), Fidelity(rows=ROWS)) is part
    assert limited(part, Layout(), Fidelity(epochs=1)) is part


def test_fewer_rows_are_among_more_of_the_same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_BLOCK", 64)
    few, many, other = (
        set(rows_of(limited(part_of(), Layout(), Fidelity(rows=count), seed=seed)))
        for count, seed in ((20, 1), (200, 1), (20, 2))
    )
    assert few < many
    assert few != other


def test_the_choice_by_chance_is_even(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_BLOCK", 300)
    rows = rows_of(limited(part_of(10_000), Layout(), Fidelity(rows=2000)))
    assert np.mean(rows) == pytest.approx(5000, rel=0.03)


def test_the_newest_rows_are_those_of_the_least_age() -> None:
    part = part_of()
    age = np.random.default_rng(0).permutation(ROWS).astype(np.float64)
    part.arrays = {**part.arrays, "numbers": np.stack([np.zeros(ROWS), age], 1)}
    columns = [NumberColumn(name, "t", 0, 1, 0, 1, (0.0,), 0) for name in ("other", "t:age")]
    found = limited(part, Layout(numbers=tuple(columns)), Fidelity(rows=30), newest="t")
    assert rows_of(found) == sorted(np.argsort(age)[:30])


def test_without_an_age_the_last_rows_are_the_newest() -> None:
    assert rows_of(limited(part_of(), Layout(), Fidelity(rows=3), newest="t")) == [497, 498, 499]


def test_whole_users_are_chosen_where_a_metric_goes_by_user() -> None:
    found = limited(part_of(), Layout(), Fidelity(rows=35), users=True)
    assert found.users is not None
    assert sorted(np.unique(found.users, return_counts=True)[1]) == [10, 10, 10, 10]


def test_a_large_selection_is_read_where_it_lies_and_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small = limited(part_of(), Layout(), Fidelity(rows=40))
    monkeypatch.setattr(limits, "_MEMORY", 10**15)
    large = limited(part_of(), Layout(), Fidelity(rows=40))
    assert isinstance(large, SelectedPart)
    assert large.row_bytes(["ids"]) == 4
    some = np.array([30, 2, 7])
    for name, array in large.take(some, ["ids", "list_0"]).items():
        np.testing.assert_array_equal(array, small.take(some, [name])[name])
