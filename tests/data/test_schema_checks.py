"""Schemas that contradict themselves are refused before any row is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from autorec.data.encode import encode
from autorec.data.schema import Feature, Schema
from autorec.data.schema_checks import check_schema
from autorec.data.table import as_source
from autorec.errors import ConfigError


def example() -> Schema:
    features = [
        Feature("item", "categorical", "int"),
        Feature("zone", "categorical"),
        Feature("seen", "sequence", "int", vocabulary="item"),
        Feature("time", "time", "time"),
        Feature("price", "numeric", "float"),
    ]
    return Schema(features, targets=["click"], pairs=[("item", "zone"), ("zone", "time:hour")])


def test_a_schema_of_parts_that_agree_passes() -> None:
    check_schema(example())


def test_a_target_that_is_a_feature_is_refused() -> None:
    schema = example()
    schema.targets = ["price"]
    with pytest.raises(ConfigError, match=r"`target` must be a column that is no feature, got 'price'.*schema.drop"):
        check_schema(schema)


def test_a_feature_that_stands_there_twice_is_refused() -> None:
    schema = example()
    schema.features.append(Feature("price", "numeric"))
    with pytest.raises(ConfigError, match="'price' stands there twice"):
        check_schema(schema)


def test_a_feature_with_the_name_of_a_part_of_a_time_is_refused() -> None:
    schema = example()
    schema.features.append(Feature("time:hour", "categorical"))
    with pytest.raises(ConfigError, match=r"without 'time:hour', which is made of the time 'time'.*schema.drop"):
        check_schema(schema)


def test_a_vocabulary_must_be_that_of_another_column_with_ids() -> None:
    schema = example()
    for name in ("itm", "price", "seen"):
        schema["zone"].vocabulary = name
        with pytest.raises(ConfigError, match=r"`schema\['zone'\].vocabulary` must be one of"):
            check_schema(schema)


def test_numbers_and_texts_share_no_vocabulary() -> None:
    schema = example()
    schema["zone"].vocabulary = "item"
    with pytest.raises(ConfigError, match="string values with the vocabulary of 'item'"):
        check_schema(schema)


def test_a_text_is_not_split_into_numbers() -> None:
    schema = example()
    schema["seen"].separator = "|"
    with pytest.raises(ConfigError, match=r"`schema\['seen'\].dtype` must be 'string' where .*'\|', got 'int'.*'07'"):
        check_schema(schema)


def test_pairs_are_of_two_columns_of_ids() -> None:
    schema = example()
    for pair, message in ((("item", "price"), "got 'price'"), (("item", "item"), "two different columns")):
        schema.pairs = [pair]
        with pytest.raises(ConfigError, match=message):
            check_schema(schema)


def test_encoding_checks_the_schema_and_writes_nothing(tmp_path: Path) -> None:
    source = as_source({"price": [1.0, 2.0, 3.0], "click": [0, 1, 0]})
    schema = Schema([Feature("price", "numeric", "float"), Feature("click", "numeric", "int")], ["click"])
    with pytest.raises(ConfigError, match="no feature"):
        encode(source, schema, tmp_path / "cache")
    assert not list(tmp_path.iterdir())
