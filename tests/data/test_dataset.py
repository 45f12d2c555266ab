"""Batches from encoded parts: every row once an epoch, in an order that the seed decides."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from autorec.data.cache import Part
from autorec.data.dataset import batches
from autorec.data.lists import Lists
from autorec.data.order import windowed_order


def part(rows: int, first: int = 0, weighted: bool = False, longest: int = 4) -> Part:
    """A part whose arrays tell the number of the row, from `first` on."""
    number = np.arange(first, first + rows)
    lengths = number % (longest + 1)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Part(
        {
            "ids": np.stack([number, -number], 1).astype(np.int32),
            "numbers": number[:, None] / 2,
            "list_0": Lists(offsets, np.repeat(number, lengths).astype(np.int32)),
        },
        np.stack([number, number % 2], 1).astype(np.float32),
        number.astype(np.float32) if weighted else None,
    )


def epochs(parts: list[Part], groups: tuple[str, ...] = ("ids",), **more: Any) -> list[list[int]]:
    """Returns the row numbers of each epoch."""
    arguments = {"batch_size": 16, "shuffle": True, "seed": 1, "epochs": 1} | more
    found = [x["ids"][:, 0].numpy() for x, _ in batches(parts, groups, ["y", "z"], **arguments)]
    rows = np.concatenate(found).tolist()
    size = len(rows) // arguments["epochs"]
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def test_every_row_comes_once_an_epoch_in_another_order() -> None:
    first, second = epochs([part(100)], epochs=2)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


def test_the_last_batch_of_an_epoch_holds_the_rest() -> None:
    found = batches([part(40)], ["ids"], ["y", "z"], 16, shuffle=True, epochs=2)
    assert [len(x["ids"]) for x, _ in found] == [16, 16, 8, 16, 16, 8]
    assert found.cardinality() == 6


def test_the_order_of_an_epoch_depends_on_the_seed_and_its_number_alone() -> None:
    three, one = epochs([part(50)], epochs=3), epochs([part(50)], epochs=1)
    assert three[0] == one[0]
    assert epochs([part(50)], epochs=3, batch_size=7) == three
    assert epochs([part(50)], seed=2) != one


def test_without_shuffling_rows_come_in_the_order_of_the_parts() -> None:
    assert epochs([part(20), part(5, first=20)], shuffle=False) == [list(range(25))]


def test_all_arrays_of_a_batch_are_of_the_same_rows() -> None:
    ((x, y),) = batches([part(30)], ["numbers", "list_0", "ids"], ["y", "z"], 64, shuffle=True, seed=3)
    rows = x["ids"][:, 0].numpy()
    assert list(x) == ["numbers", "list_0", "ids"]
    np.testing.assert_array_equal(x["numbers"][:, 0], rows / 2)
    np.testing.assert_array_equal(y["y"][:, 0], rows)
    np.testing.assert_array_equal(y["z"], rows[:, None] % 2)
    expected = [[row] * (row % 5) + [0] * (4 - row % 5) for row in rows]
    assert x["list_0"].numpy().tolist() == expected


def test_types_and_shapes_are_known_to_a_model() -> None:
    x, y, w = batches([part(5, weighted=True)], ["ids", "numbers", "list_0"], ["y", "z"], 4, shuffle=False).element_spec
    assert {name: (spec.dtype.name, tuple(spec.shape)) for name, spec in x.items()} == {
        "ids": ("int32", (None, 2)),
        "numbers": ("float64", (None, 1)),
        "list_0": ("int32", (None, None)),
    }
    assert tuple(y["y"].shape) == (None, 1)
    assert tuple(w.shape) == (None,)


@pytest.mark.parametrize("shuffle", [True, False])
def test_several_parts_are_taken_as_one(shuffle: bool) -> None:
    parts = [part(10), part(25, first=10, longest=2), part(7, first=35)]
    seen = []
    for x, y in batches(parts, ["ids", "list_0"], ["y", "z"], 8, shuffle=shuffle, seed=4):
        rows = x["ids"][:, 0].numpy()
        np.testing.assert_array_equal(y["y"][:, 0], rows)
        length = rows % np.where((rows >= 10) & (rows < 35), 3, 5) * (rows > 0)
        np.testing.assert_array_equal((x["list_0"].numpy() > 0).sum(1), length)
        seen += rows.tolist()
    assert sorted(seen) == list(range(42))
    assert shuffle == (seen != list(range(42)))


def test_fewer_rows_are_evenly_spread_and_the_same_in_every_epoch() -> None:
    first, second = epochs([part(100)], rows=10, epochs=2)
    assert sorted(first) == sorted(second) == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert first != second


@pytest.mark.parametrize("rows", [None, 100, 500])
def test_as_many_rows_as_there_are_or_more_are_all(rows: int | None) -> None:
    assert sorted(epochs([part(100)], rows=rows)[0]) == list(range(100))


def test_weights_come_as_a_third_element_and_are_one_where_a_part_has_none() -> None:
    (found,) = batches([part(3, weighted=True), part(2, first=3)], ["ids"], ["y", "z"], 8, shuffle=False)
    assert found[2].numpy().tolist() == [0.0, 1.0, 2.0, 1.0, 1.0]


def test_one_part_without_weights_gives_pairs() -> None:
    (found,) = batches([part(3)], ["ids"], ["y", "z"], 8, shuffle=False)
    assert len(found) == 2


def test_rows_without_values_have_one_column_of_padding() -> None:
    ((x, _),) = batches([part(1)], ["list_0"], ["y", "z"], 8, shuffle=False)
    assert x["list_0"].numpy().tolist() == [[0]]


def test_a_part_larger_than_memory_is_shuffled_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Little:
        total = 0

    monkeypatch.setattr("autorec.data.dataset.psutil.virtual_memory", Little)
    (found,) = epochs([part(200)], batch_size=50)
    rng = np.random.default_rng([1, 0])
    assert found == windowed_order(200, rng).tolist()
    assert sorted(found) == list(range(200))


def test_the_rows_are_let_go_with_the_dataset() -> None:
    part = Part({"ids": np.zeros((8, 1), np.int32)}, np.zeros((8, 1), np.float32))
    reference = weakref.ref(part)
    dataset = batches([part], ["ids"], ["click"], 4, shuffle=True).repeat(2)
    assert sum(1 for _ in dataset) == 4
    del dataset, part
    gc.collect()
    assert reference() is None


# Shares of a batch


def shared(shares: range, of: int, size: int = 37, **more: Any) -> list[list[int]]:
    """Returns the row numbers of each share, in the order in which they come."""
    arguments = {"batch_size": 8, "shuffle": True, "seed": 3, "epochs": 2} | more
    found = batches([part(size)], ["ids"], ["y", "z"], shares=shares, of=of, **arguments)
    return [x["ids"][:, 0].numpy().tolist() for x, _ in found]


def test_the_shares_of_a_batch_make_it_up() -> None:
    whole = shared(range(1), 1)
    first, last = shared(range(2), 3), shared(range(2, 3), 3)
    assert [a + b + c for a, b, c in zip(first[::2], first[1::2], last)] == whole


def test_shares_differ_in_size_by_a_row_at_most() -> None:
    sizes = [len(rows) for rows in shared(range(3), 3, epochs=1)]
    assert sizes == [2, 3, 3] * 4 + [1, 2, 2]


def test_a_share_without_rows_gets_one_without_labels() -> None:
    found = batches([part(9)], ["ids"], ["y", "z"], 8, shuffle=False, shares=range(2), of=2)
    *_, (x_empty, y_empty), (_, y_last) = found
    assert len(x_empty["ids"]) == 1
    assert np.isnan(y_empty["y"]).all()
    assert y_last["y"].numpy().tolist() == [[8.0]]


def test_whether_rows_are_resident_may_be_told() -> None:
    inside, outside = (shared(range(1), 1, size=5000, resident=resident) for resident in (True, False))
    assert inside != outside
    assert inside == shared(range(1), 1, size=5000)


def test_no_thread_tunes_a_dataset_so_that_its_iterator_ends_at_once() -> None:
    dataset = batches([part(64)], ("ids",), ["y", "z"], 16, shuffle=True)
    assert dataset.options().autotune.enabled is False
    assert dataset.repeat().options().autotune.enabled is False
