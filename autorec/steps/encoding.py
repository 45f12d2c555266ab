"""The rows of a run as local ids and numbers: encoded once, and checked for what only encoded rows tell."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autorec.config import SearchConfig
from autorec.data.cache import META, Cache
from autorec.data.encode import encode
from autorec.data.schema import Schema
from autorec.data.source import Source
from autorec.errors import DataError
from autorec.identity import CACHE
from autorec.steps.clock import Clock
from autorec.training.validation import check_objective
from autorec.training.workers import Workers

Emit = Callable[[dict[str, Any]], None]

_OTHER_ROWS = "give more rows, another `validation_fraction` or `split`, or `validation_data` of your own"


def encoded(
    place: Path,
    source: Source,
    schema: Schema,
    validation: Source | None,
    *,
    config: SearchConfig,
    workers: Workers,
    clock: Clock,
    emit: Emit,
) -> Cache:
    """Returns the cache of a run, made in `place` if it is not there.

    Args:
        place: The run directory, of a worker its own.
        source: Rows to learn from.
        schema: Their schema.
        validation: Rows to validate on, or None.
        config: How to split, and which statistics.
        workers: Those that must have the same cache.
        clock: Of the call.
        emit: Receives events.

    Raises:
        DataError: If the rows cannot be used, or workers found different ones.
    """
    folder = place / CACHE
    if (folder / META).exists():
        cache = Cache.open(folder)
    else:
        for rest in place.glob(f".{CACHE}.*"):
            shutil.rmtree(rest, ignore_errors=True)
        # Clocks differ between workers, columns may not.
        deadline = clock.until("encoding") if workers.count == 1 else None
        cache = _encode(folder, source, schema, validation, config, deadline, emit)
    workers.check_equal("data", (folder / META).read_text(encoding="utf-8"))
    return cache


def _encode(
    folder: Path,
    source: Source,
    schema: Schema,
    validation: Source | None,
    config: SearchConfig,
    deadline: float | None,
    emit: Emit,
) -> Cache:
    begin = time.monotonic()
    cache = encode(
        source,
        schema,
        folder,
        validation=validation,
        split=config.split,
        fraction=config.fraction,
        seed=config.seed,
        statistics=config.statistics,
        trees=config.trees,
        progress=emit,
        deadline=deadline,
    )
    rows = {"train": cache.train.rows, "validation": cache.validation.rows}
    emit({"event": "encoded", **rows, "seconds": time.monotonic() - begin})
    return cache


def check_encoded(cache: Cache, task: str, objective: str, source: Source) -> None:
    """Checks what is known only now: both parts' targets, and that the objective can be measured.

    Raises:
        ConfigError: If the objective is none of the metrics.
        DataError: If the targets are of another task, or a part has too few values of them.
    """
    layout = cache.layout
    wanted = "binary" if task == "ctr" else "real"
    for target in layout.targets:
        if target.kind != wanted:
            raise DataError(
                "a rating must have other values than 0 and 1; CTRRecommender learns clicks",
                file=source.name,
                column=target.name,
            )
    check_objective(objective, layout, cache.validation.users is not None)
    for name, part in (("training", cache.train), ("validation", cache.validation)):
        if part.weights is not None and not np.any(part.weights):
            raise DataError(f"all {part.rows} {name} rows have the weight 0; {_OTHER_ROWS}", file=source.name)
    names = [target.name for target in layout.targets]
    _check_part("training", cache.train.labels, names, 2, source)
    # An objective that is the mean over the targets leaves out those of one class.
    own = [name for name in names if objective.startswith(f"val_{name}_")]
    least = 2 if "auc" in objective else 1
    _check_part("validation", cache.validation.labels, names, least, source, own)


def _check_part(
    name: str,
    labels: np.ndarray,
    targets: Sequence[str],
    least: int,
    source: Source,
    needed: Sequence[str] | None = None,
) -> None:
    """Checks that a part has so many values of each target in `needed`; of any target where that is empty."""
    found = [np.unique(column[~np.isnan(column)]) for column in np.asarray(labels).T]
    poor = [place for place, values in enumerate(found) if len(values) < least]
    if needed:
        poor = [place for place in poor if targets[place] in needed]
    elif needed is not None and len(poor) < len(targets):
        return
    if not poor:
        return
    values = found[poor[0]]
    shown = f"only the value {values[0]:g}" if len(values) else "no value"
    raise DataError(
        f"the {len(labels)} {name} rows have {shown} of the target; {_OTHER_ROWS}",
        file=source.name,
        column=targets[poor[0]],
    )
