"""Which columns are named where a loss is not finite."""

from __future__ import annotations

import numpy as np
import pytest

from autorec.data.layout import Layout, NumberColumn, StatisticColumn, TargetColumn
from autorec.training.suspects import suspects


def number(name: str) -> NumberColumn:
    """Returns a column with an outlier among its training rows too."""
    return NumberColumn(name, name, 1e5, 1e7, 0.0, 1.0, (0.0, 3.0, 1e9), 0.0, median=3.0, span=4.0)


LAYOUT = Layout(
    numbers=tuple(number(name) for name in ("age", "price", "size", "width")),
    targets=(TargetColumn("click", "binary", 0.5, 0.5, 0.0, 1.0), TargetColumn("stars", "real", 3.0, 1.0, 1.0, 5.0)),
)


def told(numbers: np.ndarray, labels: np.ndarray | None = None) -> str:
    labels = np.ones((len(numbers), 2), np.float32) if labels is None else labels
    return suspects(LAYOUT, {"numbers": numbers}, labels)


def test_infinite_values_are_counted() -> None:
    numbers = np.full((4, 4), 3.0)
    numbers[1:3, 1] = np.inf, -np.inf
    expected = "suspicious columns are 'price' (2 infinite, the others 3 to 3, mean 3; usually about 3, give or take 4)"
    assert told(numbers) == expected


def test_an_extreme_value_is_named_although_the_training_rows_held_another() -> None:
    numbers = np.full((2, 4), 3.0)
    numbers[0, 2] = 1e9
    assert told(numbers).startswith("suspicious columns are 'size' (3 to 1e+09, mean 5e+08;")


def test_without_extreme_values_the_three_furthest_are_named_in_order() -> None:
    found = told(np.array([[4.0, 9.0, 3.0, 6.0]]), np.full((1, 2), 3.0))
    assert found.startswith("no column is extreme, furthest out are 'price' (9 to 9, mean 9;")
    assert found.index("'price'") < found.index("'width'") < found.index("'age'")
    assert "'size'" not in found


def test_missing_values_do_not_count() -> None:
    numbers = np.full((3, 4), 3.0)
    numbers[:, 0] = np.nan
    numbers[0, 1] = np.nan
    found = told(numbers)
    assert "age" not in found
    assert "nan" not in found


def test_at_most_three_are_named() -> None:
    assert told(np.full((2, 4), np.inf)).endswith("(2 infinite, no other; usually about 3, give or take 4) and 1 more")


def test_a_target_that_is_a_number_is_looked_at() -> None:
    labels = np.array([[1e30, 3.0], [1.0, 1e30]], np.float32)
    found = told(np.full((2, 4), 3.0), labels)
    assert "'stars'" in found
    assert "click" not in found


@pytest.mark.parametrize("group", ["statistics", "pairs"])
def test_statistics_are_looked_at(group: str) -> None:
    column = StatisticColumn("rate(user)", ("user",), "rate", "click", 0.0, 1.0)
    layout = Layout(**{group: (column,)})
    found = suspects(layout, {group: np.array([[np.inf], [0.0]])}, np.ones((2, 0)))
    assert found.startswith("suspicious columns are 'rate(user)' (1 infinite")


def test_a_column_of_one_value_is_measured_by_its_deviation() -> None:
    layout = Layout(numbers=(NumberColumn("flag", "flag", 1.0, 1.0, 0.0, 1.0, (1.0,), 0.0),))
    assert "about 1, give or take 1" in suspects(layout, {"numbers": np.array([[2.0]])}, np.ones((1, 0)))


def test_nothing_is_said_without_columns_of_numbers() -> None:
    assert suspects(Layout(), {}, np.ones((2, 0))) == ""
