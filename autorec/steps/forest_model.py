"""The trees of a run as a model of their own: what they predict, without a network behind it."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from typing import Any

import keras

from autorec.blocks import ClickHead, RatingHead
from autorec.data.cache import Cache
from autorec.data.layout import Layout
from autorec.files import new_folder
from autorec.loading import MODEL
from autorec.run import FOREST, Run
from autorec.searchers.outputs import outputs_of, write_outputs
from autorec.steps.members import metrics_of


def forest_model(layout: Layout) -> keras.Model:
    """Returns the Keras model whose output for each target is what the small forests predict.

    `logit = margin`, for a rating `value = margin`. Beside networks it is a good member of an ensemble: one that reads
    margins trains on top of them, and what it makes of them is not the same as the mean of both.

    Args:
        layout: Columns of the rows, with margins.
    """
    margins = keras.Input((len(layout.margins),), name="margins")
    names = [target.name for target in layout.targets]
    head = RatingHead(dict.fromkeys(names, (0.0, 1.0))) if layout.targets[0].kind == "real" else ClickHead(names)
    return keras.Model({"margins": margins}, head([], offsets=[margins]), name=FOREST)


def keep_forest(run: Run, cache: Cache, *, objective: str, emit: Callable[[dict[str, Any]], None]) -> None:
    """Writes the forest's model into the run, and down as a baseline, once and where there are trees.

    What goes wrong is written down too, and the search goes on.

    Args:
        run: Open for writing.
        cache: Rows to validate on.
        objective: Metric of its score.
        emit: Receives the event.
    """
    if not cache.layout.margins or any(row["name"] == FOREST for row in run.baselines()):
        return
    begin = time.monotonic()
    event: dict[str, Any] = {"event": "baseline", "kind": "baseline", "name": FOREST, "status": "failed", "score": None}
    try:
        event |= _kept(run, cache, objective)
    except Exception as error:
        event |= {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    event["seconds"] = round(time.monotonic() - begin, 3)
    run.append(event)
    emit(event)


def _kept(run: Run, cache: Cache, objective: str) -> dict[str, Any]:
    """Writes the model and its outputs; returns what the event tells of it."""
    model = forest_model(cache.layout)
    outputs = outputs_of(model, cache.validation, cache.layout)
    with new_folder(run.directory / FOREST) as folder:
        model.save(folder / MODEL)
        write_outputs(folder, outputs)
    metrics = metrics_of(run, outputs, cache.validation, cache.layout)
    score = metrics.get(objective, math.nan)
    if math.isnan(score):
        return {"metrics": metrics, "error": f"the objective {objective!r} is not measured for it"}
    return {"status": "completed", "metrics": metrics, "score": score, "parameters": model.count_params()}
