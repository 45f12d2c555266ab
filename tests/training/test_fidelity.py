"""The record of a fidelity among a trial's values."""

from __future__ import annotations

from typing import Any

import pytest

from autorec.errors import ConfigError
from autorec.training.fidelity import read


def test_reserved_names_are_read_and_others_left() -> None:
    assert read({"mlp/units": 64, "fidelity/rows": 1000, "fidelity/dim": 8}) == {"rows": 1000, "dim": 8}


def test_kerastuners_epochs_are_a_fidelity() -> None:
    assert read({"tuner/epochs": 3, "tuner/bracket": 1}) == {"epochs": 3}


@pytest.mark.parametrize(
    "values", [{"tuner/epochs": 3, "fidelity/epochs": 2}, {"fidelity/epochs": 2, "tuner/epochs": 3}]
)
def test_our_own_name_wins_over_kerastuners(values: dict[str, Any]) -> None:
    assert read(values) == {"epochs": 2}


@pytest.mark.parametrize("value", [0, 1.5, True, "3"])
def test_a_limit_is_a_positive_whole_number(value: Any) -> None:
    with pytest.raises(ConfigError, match="fidelity/rows"):
        read({"fidelity/rows": value})


def test_an_unknown_limit_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'epochs'"):
        read({"fidelity/epoch": 3})
