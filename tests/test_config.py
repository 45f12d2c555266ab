"""The configuration of a search."""

from __future__ import annotations

import json

import pytest

from autorec.config import SearchConfig
from autorec.errors import ConfigError


def test_a_configuration_survives_json() -> None:
    config = SearchConfig(task="ctr", data="clicks.parquet", target=["click"], seed=3)
    assert SearchConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_unknown_key_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="max_trials"):
        SearchConfig.from_dict({"task": "ctr", "data": "x", "target": ["y"], "max_trial": 3})


def test_another_budget_is_no_difference_but_another_seed_is() -> None:
    first = SearchConfig(task="ctr", data="x", target=["y"], max_trials=3).to_dict()
    assert SearchConfig(task="ctr", data="x", target=["y"], max_trials=9).differences(first) == {}
    assert SearchConfig(task="ctr", data="x", target=["y"], seed=1).differences(first) == {"seed": (0, 1)}


@pytest.mark.parametrize(
    "bad", [{"split": "rows"}, {"fraction": 1.5}, {"max_trials": 0}, {"epochs": True}, {"seed": -1}]
)
def test_a_value_out_of_range_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SearchConfig(**{"task": "ctr", "data": "x", "target": ["y"], **bad})  # type: ignore[arg-type]
