"""What a long target is."""

from __future__ import annotations

from typing import Any

import pytest

from autorec.data.long_target import LongTarget, as_long_targets
from autorec.data.schema import Feature, Schema
from autorec.data.schema_checks import check_schema
from autorec.errors import ConfigError


def test_a_column_a_list_and_a_dict_stand_for_one() -> None:
    assert as_long_targets({"dwell": "category"}) == {"dwell": LongTarget(by="category")}
    assert as_long_targets({"dwell": ["a", "b"]}) == {"dwell": LongTarget(by=("a", "b"))}
    assert as_long_targets({"dwell": {"quantile": 0.9}}) == {"dwell": LongTarget(quantile=0.9)}
    assert as_long_targets({}) is None


@pytest.mark.parametrize(
    "bad",
    [
        {"quantile": 0.0},
        {"quantile": 1},
        {"quantile": True},
        {"least": 0},
        {"by": ["a", "a"]},
        {"by": [3]},
        {"by": 0.8},
    ],
)
def test_arguments_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        LongTarget(**bad)


def test_an_unknown_argument_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'quantile'"):
        as_long_targets({"dwell": {"quantil": 0.5}})
    with pytest.raises(ConfigError, match="`long` must be a dict"):
        as_long_targets(["dwell"])


def test_a_schema_keeps_it(tmp_path: Any) -> None:
    schema = Schema([Feature("a", "numeric")], targets=["dwell"], long={"dwell": "a"})
    schema.save(tmp_path / "schema.json")
    assert Schema.load(tmp_path / "schema.json") == schema


@pytest.mark.parametrize(("long", "words"), [({"dwel": None}, "Did you mean 'dwell'"), ({"dwell": "y"}, "no targets")])
def test_a_schema_that_contradicts_itself_is_refused(long: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_schema(Schema([Feature("a", "numeric")], targets=["dwell", "y"], long=long))
