"""The schema: editing, checking, saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autorec.data.schema import Feature, Schema
from autorec.errors import ConfigError


def example() -> Schema:
    features = [
        Feature("zip", "numeric", "int"),
        Feature("item", "categorical", "int", dim=16, pretrained="items.npz"),
        Feature("history", "sequence", "int", vocabulary="item", max_length=20),
    ]
    return Schema(features, ["click"], weight="w", user="u", time="t", pairs=[("zip", "item")], warnings=["look"])


def test_a_feature_is_edited_in_place() -> None:
    schema = example()
    schema["zip"].kind = "categorical"
    schema["zip"].min_count = 5
    assert (schema.features[0].kind, schema.features[0].min_count) == ("categorical", 5)


def test_names_length_iteration_and_membership_follow_the_features() -> None:
    schema = example()
    assert schema.names == [feature.name for feature in schema] == ["zip", "item", "history"]
    assert len(schema) == 3
    assert "zip" in schema
    assert "click" not in schema


def test_columns_are_all_that_encoding_reads_each_once() -> None:
    schema = example()
    schema.user = "item"
    assert schema.columns == ["zip", "item", "history", "click", "w", "t"]


def test_drop_removes_features_and_gives_the_schema_back() -> None:
    schema = example()
    assert schema.drop("zip", "history") is schema
    assert schema.names == ["item"]


def test_an_unknown_feature_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'history'"):
        example()["histroy"]
    with pytest.raises(ConfigError, match="Did you mean 'zip'"):
        example().drop("zipp")


def test_a_saved_schema_loads_equal(tmp_path: Path) -> None:
    schema = example()
    schema.save(tmp_path / "schema.json")
    assert Schema.load(tmp_path / "schema.json") == schema


def test_pairs_left_to_the_encoder_stay_none() -> None:
    assert Schema.from_dict(Schema([Feature("a", "numeric")]).to_dict()).pairs is None


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kind", "categoric", "Did you mean 'categorical'"),
        ("dtype", "str", "one of \\['float', 'int'\\]"),
        ("dtype", "string", "one of \\['float', 'int'\\]"),
        ("dim", 0, "`schema\\['zip'\\].dim` must be a positive whole number or None, got 0"),
        ("min_count", 1.5, "a positive whole number, got 1.5"),
        ("max_length", True, "a positive whole number, got True"),
        ("max_size", -1, "a positive whole number or None, got -1"),
        ("unit", "minutes", "one of \\['s', 'ms', 'us', 'ns'\\], got 'minutes'"),
        ("statistics", "no", "True or False, got 'no'"),
        ("separator", "", "a text of one character or more"),
        ("kinds", "numeric", "Did you mean 'kind'"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_on_assignment(field: str, value: Any, message: str) -> None:
    feature = example()["zip"]
    with pytest.raises(ConfigError, match=message):
        setattr(feature, field, value)


def test_a_value_that_is_not_allowed_is_refused_in_the_constructor() -> None:
    with pytest.raises(ConfigError, match="kind"):
        Feature("x", "number")


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("numeric", "float"), ("categorical", "string"), ("time", "time"), ("bag", "string"), ("sequence", "string")],
)
def test_the_type_of_a_feature_is_by_default_that_of_its_kind(kind: str, dtype: str) -> None:
    assert Feature("x", kind).dtype == dtype
    plain = {"features": [{"name": "x", "kind": kind}], "targets": ["y"]}
    assert Schema.from_dict(plain)["x"].dtype == dtype


def test_a_kind_that_does_not_have_the_type_brings_its_own() -> None:
    feature = Feature("x", "categorical", "string")
    feature.kind = "numeric"
    assert feature.dtype == "float"
    feature.dtype = "int"
    feature.kind = "categorical"
    assert feature.dtype == "int"


def test_a_mistyped_role_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'user'"):
        example().usr = "user_id"  # type: ignore[attr-defined]


def test_infer_makes_a_schema_from_data() -> None:
    schema = Schema.infer({"zone": ["a", "b", "a"], "price": [0.5, 1.5, 2.0], "click": [0, 1, 0]}, target="click")
    assert [(feature.name, feature.kind) for feature in schema] == [("zone", "categorical"), ("price", "numeric")]
    assert schema.targets == ["click"]
