"""Whether the run in a directory is the experiment that is asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autorec.config import SearchConfig
from autorec.data.pretrained import content
from autorec.data.schema import Schema
from autorec.data.source import Source
from autorec.errors import ConfigError
from autorec.run import Run

CACHE = "cache"
# What changes the encoded rows, and what is called otherwise in `search` than in its configuration.
_ENCODING = {"target", "roles", "seed", "split", "fraction", "statistics", "trees"}
_ARGUMENTS = {"fraction": "validation_fraction"}


def check_foreign(directory: Path) -> None:
    """Refuses a directory of something else, before anything is written into it.

    Raises:
        ConfigError: If it holds files and is no run.
    """
    if not directory.is_dir() or (directory / "journal.jsonl").exists():
        return
    others = sorted(path.name for path in directory.iterdir() if path.name != "lock")
    if others:
        raise ConfigError(
            "directory", "a new directory, an empty one or a run", str(directory), f"It holds {others[:3]}."
        )


def has_begun(run: Run) -> bool:
    """Returns whether anything was trained in a run; until then it may still become another experiment."""
    return bool(run.events("baseline", "search"))


def identify(run: Run, config: SearchConfig, schema: Schema, train: Source, validation: Source | None) -> None:
    """Checks that a run is the experiment that is asked for, or writes down what it is.

    Args:
        run: Open for writing.
        config: What is asked for.
        schema: Schema of the rows.
        train: Rows to learn from.
        validation: Rows to validate on, or None.

    Raises:
        ConfigError: If something was trained in it with other arguments, columns or rows; names the first difference.
    """
    there, known = run.config or {}, run.events("data")
    event = {
        "event": "data",
        "train": train.fingerprint(),
        "validation": None if validation is None else validation.fingerprint(),
        "schema": _facts(schema),
    }
    differences = config.differences(there)
    if there and known and has_begun(run):
        _refuse_other_arguments(run, differences)
        _refuse_other_data(run, known[-1], event, {"train": train, "validation": validation})
    elif not known or event != known[-1] or set(differences) & _ENCODING:
        shutil.rmtree(run.directory / CACHE, ignore_errors=True)
        run.append(event)
    run.write_config(config.to_dict())


def _refuse_other_arguments(run: Run, differences: Mapping[str, tuple[Any, Any]]) -> None:
    for name, (old, new) in differences.items():
        raise ConfigError(
            _ARGUMENTS.get(name, name),
            f"{old!r} as in the run {run.directory}",
            new,
            "Use another directory for another search.",
        )


def _refuse_other_data(
    run: Run, old: Mapping[str, Any], new: Mapping[str, Any], sources: Mapping[str, Source | None]
) -> None:
    changed = _changes(old["schema"], new["schema"])
    if changed:
        raise ConfigError(
            "schema",
            f"the one of the run {run.directory}",
            f"another one: {'; '.join(changed)}",
            "Use another directory for another schema.",
        )
    for part, source in sources.items():
        if old[part] != new[part]:
            raise ConfigError(
                "data" if part == "train" else "validation_data",
                f"the rows that the run {run.directory} was made with",
                "none" if source is None else f"other rows in {source.name}",
                "Use another directory for other data.",
            )


def _facts(schema: Schema) -> dict[str, Any]:
    """Returns the schema as JSON gives it back, without its warnings, which change no model."""
    facts: dict[str, Any] = json.loads(json.dumps(schema.to_dict()))
    for feature in facts["features"]:
        feature["pretrained"] = content(feature["pretrained"])  # what the file holds, wherever it lies
    return {name: value for name, value in facts.items() if name != "warnings"}


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Returns in words how one schema's facts differ from another's."""
    before, after = ({feature["name"]: feature for feature in facts["features"]} for facts in (old, new))
    words = [f"without {name!r}" for name in before if name not in after]
    words += [f"with {name!r}" for name in after if name not in before]
    for name in before:
        for key, value in after.get(name, {}).items():
            if before[name].get(key) != value:
                words.append(f"{name!r} has {key} {value!r}, not {before[name].get(key)!r}")
    rest = [name for name in new if name != "features" and new[name] != old.get(name)]
    words += [f"{name} is {new[name]!r}, not {old.get(name)!r}" for name in rest]
    if not words and list(before) != list(after):
        words.append("its features are in another order")
    return words
