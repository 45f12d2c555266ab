"""Layouts of all sorts, and batches of rows that fit them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.data.attributes import Attributes
from autorec.data.layout import (
    IdColumn,
    Layout,
    LeafColumn,
    ListColumn,
    NumberColumn,
    StatisticColumn,
    TargetColumn,
)

ROWS = 6
CLICK = TargetColumn("click", "binary", 0.3, 0.46, 0.0, 1.0)
LIKE = TargetColumn("like", "binary", 0.1, 0.3, 0.0, 1.0)
STARS = TargetColumn("stars", "real", 3.5, 1.1, 1.0, 5.0)

IDS = (
    IdColumn("user", "user", 12, "user"),
    IdColumn("item", "item", 9, "item"),
    IdColumn("place", "place", 5, "place"),
)
NUMBERS = (
    NumberColumn("age", "age", 30.0, 9.0, 3.4, 0.4, (18.0, 25.0, 30.0, 70.0), 0.0),
    NumberColumn("price", "price", 5.0, 4.0, 1.5, 0.8, (0.0, 1.0, 9.0), 0.2),
)
STATISTICS = (
    StatisticColumn("rate(user)", ("user",), "rate", "click", -1.0, 0.7),
    StatisticColumn("count(user)", ("user",), "count", None, 2.0, 1.0),
)
PAIRS = (StatisticColumn("rate(user, item)", ("user", "item"), "rate", "click", -1.0, 0.5),)
MARGINS = (StatisticColumn("margin(click)", (), "margin", "click", -0.8, 0.9),)
LEAVES = (LeafColumn("tree 0", 6), LeafColumn("tree 1", 9))
LISTS = (
    ListColumn("tags", "list_0", "bag", 7, "tags", 4),
    ListColumn("seen", "list_1", "sequence", 9, "item", 5),
)

WHOLE = Layout(IDS, NUMBERS, STATISTICS, PAIRS, LISTS, (CLICK,), "user", "item")
LAYOUTS = {
    "all": WHOLE,
    "ids": Layout(ids=IDS, targets=(CLICK,), user="user", item="item"),
    "numbers": Layout(numbers=NUMBERS, targets=(CLICK,)),
    "statistics": Layout(statistics=STATISTICS, targets=(CLICK,)),
    "one_id": Layout(ids=IDS[:1], targets=(CLICK,), user="user"),
    "lists": Layout(lists=LISTS, targets=(CLICK,)),
    "plain": replace(WHOLE, statistics=(), pairs=()),
    "targets": replace(WHOLE, targets=(CLICK, LIKE)),
    "trees": replace(WHOLE, margins=MARGINS, leaves=LEAVES),
    "ratings": replace(WHOLE, targets=(STARS,)),
}


@pytest.fixture
def layout() -> Layout:
    """Ids, numbers, statistics, pairs and lists, with a user and an item."""
    return WHOLE


@pytest.fixture
def layouts() -> dict[str, Layout]:
    """Layouts of all sorts by name."""
    return LAYOUTS


@pytest.fixture(scope="session")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """The whole layout, whose items decide the place, with a list of each kind of items that is compared."""
    file = tmp_path_factory.mktemp("alike") / "0.npz"
    values, shares = np.arange(9)[:, None] % 3 + 2, (np.array([0, 0, 0.6, 0.3, 0.1], "float32"),)
    values[:2] = 0
    Attributes(("place",), values.astype("int32"), shares).save(file)
    told: dict[str, Any] = {"attributes": ("place",), "means": (0.1, 0.2), "stds": (0.5, 2.0)}
    tags = ListColumn("tags", "list_0", "bag", 9, "item", 4, **told)
    whole = replace(WHOLE, lists=(tags, replace(LISTS[1], **told)))
    return whole.with_files({}, {"tags": str(file), "seen": str(file)})


@pytest.fixture
def batch_of() -> Callable[..., dict[str, np.ndarray]]:
    """Function of a layout and a number of rows that returns random rows of every group."""
    return _batch


def _batch(layout: Layout, rows: int = ROWS, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    batch: dict[str, Any] = {}
    for name in ("numbers", "statistics", "pairs", "margins"):
        columns = getattr(layout, name)
        if columns:
            batch[name] = random.normal(size=(rows, len(columns))).astype("float64" if name == "numbers" else "float32")
    if layout.numbers:
        batch["numbers"][0, 0] = np.nan
    for name in ("ids", "leaves"):
        sizes = [column.size for column in getattr(layout, name)]
        if sizes:
            batch[name] = np.stack([random.integers(0, size, rows) for size in sizes], 1).astype("int32")
    for column in layout.lists:
        batch[column.group] = random.integers(0, column.size, (rows, column.length)).astype("int32")
    return batch


@pytest.fixture
def point_of() -> Callable[[Any, int], kt.HyperParameters]:
    """Function of a space's `hp` and a seed that returns a random point of it."""
    return _point


def _point(declared: kt.HyperParameters, seed: int) -> kt.HyperParameters:
    point = kt.HyperParameters()
    for number, item in enumerate(declared.space):
        point.merge([item])
        if point.is_active(item):
            point.values[item.name] = item.random_sample(seed * 1000 + number)
    return point
