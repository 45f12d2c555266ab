"""The schema of a search, and whether the rows fit it."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import ConfigError, DataError
from autorec.steps.columns import check_sources, get_schema

ROWS = pl.DataFrame({"a": ["x", "y"] * 5, "b": [0.5, 1.5] * 5, "u": list(range(10)), "y": [0, 1] * 5})
GIVEN = Schema([Feature("a", "categorical"), Feature("b", "numeric", "float")], targets=["y"], user="a")


def found(given: Schema | None, **changes: Any) -> tuple[Schema, bool]:
    arguments: dict[str, Any] = {"target": None, "labelled": False, "roles": {}, **changes}
    return get_schema(given, as_source(ROWS), **arguments)


def test_without_one_it_is_inferred() -> None:
    schema, inferred = found(None, target="y", roles={"user": "u"})
    assert inferred
    assert (schema.targets, schema.user, schema.names) == (["y"], "u", ["a", "b", "u"])


def test_labels_that_came_apart_are_the_last_column() -> None:
    assert found(None, labelled=True)[0].targets == ["y"]
    assert found(Schema([*GIVEN]), labelled=True)[0].targets == ["y"]


def test_a_given_one_is_copied_and_what_is_named_beside_it_wins() -> None:
    schema, inferred = found(GIVEN, target=["b", "y"], roles={"user": "u", "item": None})
    assert not inferred
    assert (schema.targets, schema.user, schema.item) == (["b", "y"], "u", None)
    assert (GIVEN.targets, GIVEN.user) == (["y"], "a")


def test_a_target_is_needed() -> None:
    with pytest.raises(ConfigError, match="`target` must be the name of a column, got None"):
        found(Schema([*GIVEN]))


def test_rows_without_a_feature_are_refused() -> None:
    with pytest.raises(DataError, match="there is no feature to learn from"):
        check_sources(Schema([], targets=["y"]), "ctr", as_source(ROWS), None)


def test_both_sources_are_checked() -> None:
    check_sources(GIVEN, "ctr", as_source(ROWS), as_source(ROWS))
    with pytest.raises(DataError, match="column 'b': the column is absent"):
        check_sources(GIVEN, "ctr", as_source(ROWS), as_source(ROWS.drop("b")))
