"""What one run gives to another: its best architectures to start from, its winner as a space, its recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner as kt

from autorec.errors import ConfigError
from autorec.loading import trained_trial
from autorec.run import Run
from autorec.spaces.fixed import FixedSpace
from autorec.spaces.values import architecture
from autorec.training.options import TrainOptions

#: So many architectures of another run are tried first.
ARCHITECTURES = 5


def best_architectures(directory: str | Path, count: int = ARCHITECTURES) -> list[dict[str, Any]]:
    """Returns the values of the best trials of a run that differ in more than their recipe, the best first.

    Trials at full fidelity come first, then those at lower ones.

    Args:
        directory: The run directory; another process may be writing to it.
        count: Most of them.

    Raises:
        ConfigError: If there is no run, or nothing was trained in it.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in Run(directory, read_only=True).leaderboard():
        if row["kind"] == "trial" and row["status"] == "completed":
            key = json.dumps(architecture(row["values"]), sort_keys=True)
            found.setdefault(key, _without_fidelity(row["values"]))
    if not found:
        raise ConfigError("warm_start", "the directory of a run with a trained trial", str(directory))
    return list(found.values())[:count]


def get_warm_start(value: Any, directory: Path) -> dict[str, Any] | None:
    """Returns where a search starts from, as its configuration keeps it: the other run and the values of its best.

    A run that began with another's trials keeps their values, so that the other may change or go.

    Args:
        value: The directory of another run, what a configuration holds, or None.
        directory: The run directory of the search.

    Raises:
        ConfigError: If it is none of them.
    """
    if value is None:
        return None
    if isinstance(value, Mapping) and set(value) == {"run", "trials"}:
        return dict(value)
    if not isinstance(value, (str, Path)):
        raise ConfigError("warm_start", "the directory of another run", value)
    path = Path(value).expanduser().resolve()
    if path == directory.resolve():
        raise ConfigError("warm_start", "the directory of another run", str(value), "A run goes on by itself.")
    kept = _kept(directory)
    if kept is not None and kept["run"] == str(path):
        return kept
    if not (path / "journal.jsonl").exists():
        raise ConfigError("warm_start", "the directory of another run", str(value), "It holds no journal.jsonl.")
    return {"run": str(path), "trials": best_architectures(path)}


def best_space(directory: str | Path, space: Any, trial: int | None = None) -> FixedSpace:
    """Returns the architecture of a trial as a space in which everything is fixed.

    Args:
        directory: The run directory.
        space: The space that was searched.
        trial: Number of the trial; None takes the best.

    Raises:
        ConfigError: If there is no such trial.
    """
    values = architecture(trained_trial(Run(directory, read_only=True), trial)["values"])
    if isinstance(space, FixedSpace):
        return FixedSpace(space.space, {**space.values, **values})
    return FixedSpace(space, values)


def best_options(directory: str | Path, options: TrainOptions, trial: int | None = None) -> TrainOptions:
    """Returns the recipe of a trial, with nothing left to search.

    Args:
        directory: The run directory.
        options: Those of the search.
        trial: Number of the trial; None takes the best.

    Raises:
        ConfigError: If there is no such trial.
    """
    hp = kt.HyperParameters()
    hp.values = dict(trained_trial(Run(directory, read_only=True), trial)["values"])
    return options.tune(hp)


def _kept(directory: Path) -> dict[str, Any] | None:
    """Returns the warm start of the run that a directory may hold."""
    path = directory / "config.json"
    if not path.is_file():
        return None
    found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")).get("warm_start")
    return found


def _without_fidelity(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not name.startswith(("fidelity/", "tuner/"))}
