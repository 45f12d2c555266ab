"""The schema of a search, and whether the rows fit it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import ConfigError, DataError
from autorec.steps.columns import check_sources, get_schema, leave_out_weight

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


def test_a_weight_is_no_feature_also_where_the_schema_has_it_among_them() -> None:
    given = Schema([*GIVEN, Feature("u", "numeric", "int")], targets=["y"], weight="u")
    for schema, roles in ((given, {}), (Schema(given.features, targets=["y"], pairs=[("a", "u")]), {"weight": "u"})):
        made, _ = found(schema, roles=roles)
        assert leave_out_weight(made) == "`u` is the weight of the rows; as a feature it was left out"
        assert (made.names, made.weight) == (["a", "b"], "u")
        assert not made.pairs
        assert leave_out_weight(made) is None
        assert schema.names == ["a", "b", "u"]


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"user": "l"}, "file 'polars.DataFrame', column 'l': the user must be one value, got list"),
        ({"group": "l"}, "file 'polars.DataFrame', column 'l': the group must be one value, got list"),
        ({"weight": "a"}, "file 'polars.DataFrame', column 'a': a weight must be a number, got string"),
        ({"time": "a"}, "column 'a': a time must be"),
        ({"item": "none"}, "column 'none': the column is absent"),
    ],
)
def test_roles_beside_a_given_schema_are_checked(roles: dict[str, str], message: str) -> None:
    rows = as_source(ROWS.with_columns(l=pl.Series([[1, 2]] * 10)))
    schema, _ = get_schema(GIVEN, rows, target=None, labelled=False, roles=roles)
    with pytest.raises(DataError, match=message):
        check_sources(schema, "ctr", rows, None)


def test_a_role_of_a_text_file_may_be_read_as_the_text_that_the_schema_says_it_is(tmp_path: Path) -> None:
    cells = [f"{row}.5" for row in range(19)] + ["guest"]
    (tmp_path / "x.csv").write_text("\n".join(["user,y", *(f"{cell},{row % 2}" for row, cell in enumerate(cells))]))
    schema = Schema([Feature("user", "categorical")], targets=["y"], user="user")
    check_sources(schema, "ctr", as_source(tmp_path / "x.csv"), as_source(tmp_path / "x.csv"))


def test_a_target_has_no_role() -> None:
    schema, _ = found(GIVEN, roles={"weight": "y"})
    with pytest.raises(ConfigError, match="`weight` must be another column than the target"):
        check_sources(schema, "ctr", as_source(ROWS), None)


@pytest.mark.parametrize(
    ("role", "validation", "message"),
    [
        ("group", ROWS.drop("u"), "column 'u': the column is absent"),
        ("weight", ROWS.with_columns(u=pl.lit("x")), "column 'u': a weight must be a number"),
    ],
)
def test_validation_rows_need_the_columns_with_a_role(role: str, validation: pl.DataFrame, message: str) -> None:
    schema = Schema([*GIVEN], targets=["y"], **{role: "u"})
    with pytest.raises(DataError, match=message):
        check_sources(schema, "ctr", as_source(ROWS), as_source(validation))


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
