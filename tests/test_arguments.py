"""Arguments of `search`, checked one at a time."""

from __future__ import annotations

from typing import Any

import keras_tuner as kt
import pytest

from autorec import arguments as checked
from autorec.errors import ConfigError
from autorec.searchers.fidelity import Fidelity, Schedule

SCHEDULE = Schedule(Fidelity(rows=100), finalists=2, seeds=1)


@pytest.mark.parametrize(
    ("given", "trees", "later", "kept"),
    [
        ("auto", True, False, "kfold"),
        ("auto", True, True, "ordered"),
        ("auto", False, False, "ordered"),
        ("ordered", True, False, "ordered"),
        (None, True, False, None),
    ],
)
def test_statistics_beside_trees_are_of_folds_unless_validation_rows_are_later(
    given: str | None, trees: bool, later: bool, kept: str | None
) -> None:
    assert checked.statistics(given, trees=trees, later=later) == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ("full", None),
        ("auto", "auto"),
        (SCHEDULE, SCHEDULE.to_dict()),
        ({"low": {"rows": 100}, "finalists": 2, "seeds": 1}, SCHEDULE.to_dict()),
    ],
)
def test_a_fidelity_is_kept_as_plain_values(given: Any, kept: Any) -> None:
    assert checked.fidelity(given) == kept
    assert checked.fidelity(kept) == kept


@pytest.mark.parametrize("bad", ["low", 3, Fidelity(rows=3)])
def test_anything_else_is_no_fidelity(bad: Any) -> None:
    with pytest.raises(ConfigError, match="`fidelity` must be None, 'full', 'auto', a Schedule or a dict"):
        checked.fidelity(bad)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, [("val_auc", "max")]),
        ("val_log_loss", [("val_log_loss", "min")]),
        (kt.Objective("val_auc", "max"), [("val_auc", "max")]),
        (["val_auc", "latency", "val_ece"], [("val_auc", "max"), ("latency", "min"), ("val_ece", "min")]),
        (("val_auc", kt.Objective("operations", "min")), [("val_auc", "max"), ("operations", "min")]),
    ],
)
def test_objectives_have_their_directions(given: Any, found: list[tuple[str, str]]) -> None:
    assert [(one.name, one.direction) for one in checked.objectives(given, "val_auc")] == found


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([], "a list that begins with one"),
        (["latency", "val_auc"], "got 'latency'"),
        (["val_auc", "val_auc"], "different names"),
        (["val_auc", kt.Objective("latency", "max")], "'latency' with the direction 'min'"),
        ("min:val_auc", "'val_auc' with the direction 'max'"),
        ([None, "latency"], "`objective` must be"),
    ],
)
def test_wrong_objectives_are_refused(bad: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        checked.objectives(bad, "val_auc")
