"""Whether a run is the experiment that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autorec.config import SearchConfig
from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import ConfigError
from autorec.identity import CACHE, has_begun, identify
from autorec.run import Run


def schema(**changes: Any) -> Schema:
    return Schema([Feature("a", "categorical", **changes), Feature("b", "numeric", "float")], targets=["y"])


def ask(directory: Path, columns: Schema | None = None, rows: int = 4, begin: bool = False, **config: Any) -> None:
    source = as_source({"a": ["x"] * rows, "b": [0.5] * rows, "y": [0, 1] * (rows // 2)})
    with Run(directory) as run:
        identify(run, SearchConfig("ctr", "dict", ["y"], **config), columns or schema(), source, None)
        if begin:
            run.append({"event": "search"})


def test_the_same_experiment_is_let_in_again(tmp_path: Path) -> None:
    ask(tmp_path, begin=True)
    ask(tmp_path, max_trials=9, keep=1)
    run = Run(tmp_path, read_only=True)
    assert has_begun(run)
    assert run.config is not None
    assert run.config["max_trials"] == 9
    assert len(run.events("data")) == 1


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (schema(min_count=5), "'a' has min_count 5, not 2"),
        (schema().drop("b"), "without 'b'"),
        (Schema([*schema(), Feature("c", "numeric", "float")], targets=["y"]), "with 'c'"),
        (Schema([*schema()][::-1], targets=["y"]), "its features are in another order"),
        (Schema([*schema()], targets=["y"], weight="w"), "weight is 'w', not None"),
    ],
)
def test_another_schema_is_refused_by_its_difference(tmp_path: Path, columns: Schema, words: str) -> None:
    ask(tmp_path, begin=True)
    with pytest.raises(ConfigError, match=words):
        ask(tmp_path, columns)


def test_other_pretrained_vectors_are_another_schema(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    path.write_bytes(b"these")
    ask(tmp_path / "run", schema(pretrained=str(path)), begin=True)
    ask(tmp_path / "run", schema(pretrained=str(path.rename(tmp_path / "moved.npz"))))
    path.write_bytes(b"others")
    with pytest.raises(ConfigError, match="'a' has pretrained"):
        ask(tmp_path / "run", schema(pretrained=str(path)))


def test_warnings_make_no_other_schema(tmp_path: Path) -> None:
    ask(tmp_path, begin=True)
    ask(tmp_path, Schema([*schema()], targets=["y"], warnings=["something to look at"]))


def test_other_rows_are_refused(tmp_path: Path) -> None:
    ask(tmp_path, begin=True)
    with pytest.raises(ConfigError, match="`data` must be the rows that the run .* got 'other rows in dict'"):
        ask(tmp_path, rows=6)


@pytest.mark.parametrize(("config", "kept"), [({"seed": 1}, False), ({"epochs": 3}, True)])
def test_before_anything_was_trained_all_may_change_and_old_encodings_go(
    tmp_path: Path, config: dict[str, Any], kept: bool
) -> None:
    ask(tmp_path)
    (tmp_path / CACHE).mkdir()
    ask(tmp_path, **config)
    assert (tmp_path / CACHE).exists() == kept
