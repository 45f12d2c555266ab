"""The calibration of a run's model: on which rows, by which curves, and the event that keeps them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from autorec.calibration.choice import MOST, Chosen, check_method, check_rows, choose
from autorec.calibration.fitting import Scored
from autorec.data.cache import Cache
from autorec.data.encoder import Encoder
from autorec.data.layout import Layout
from autorec.data.schema import Schema
from autorec.data.vocabulary import MISSING, UNKNOWN
from autorec.errors import ConfigError, unknown_name
from autorec.export.folder import load_model
from autorec.loading import ENCODER, ENSEMBLE, MODEL, load_run, refit_directory
from autorec.run import Run
from autorec.searchers.outputs import outputs_of, read_outputs
from autorec.training import metrics

VALIDATION = "validation rows"


@dataclass(frozen=True)
class Rows:
    """What a run's model answers for the rows of a calibration.

    Args:
        name: What they are, for messages.
        outputs: Target -> (rows,) logits.
        labels: (rows, targets), NaN where unlabelled.
        weights: (rows,) weights, or None.
        segments: (rows,) local ids of the segments, or None.
    """

    name: str
    outputs: Mapping[str, np.ndarray]
    labels: np.ndarray
    weights: np.ndarray | None
    segments: np.ndarray | None

    def of(self, target: str, position: int, seed: int) -> tuple[Scored, np.ndarray | None]:
        """Returns the labelled rows of a target, at most `MOST` of them by rising logit, and their segments."""
        labels = np.asarray(self.labels[:, position], np.float64)
        known = ~np.isnan(labels)
        if self.weights is not None:
            known &= self.weights > 0.0
        rows = np.flatnonzero(known)
        if len(rows) > MOST:
            rows = np.sort(np.random.default_rng([seed, 12]).choice(rows, MOST, replace=False))
        rows = rows[np.argsort(self.outputs[target][rows], kind="stable")]  # each fit sorts: it is done once for all
        weights = None if self.weights is None else np.asarray(self.weights)[rows]
        scored = Scored(np.asarray(self.outputs[target][rows], np.float64), labels[rows], weights)
        return scored, None if self.segments is None else self.segments[rows]


def calibrate_run(
    directory: str | Path,
    method: str | None = "auto",
    *,
    by: str | None = None,
    data: Any = None,
    y: Any = None,
    negatives_kept: float = 1.0,
    seed: int = 0,
    say: Callable[[str], None],
) -> None:
    """Calibrates the model of a run; see `Recommender.calibrate`.

    Args:
        directory: The run directory.
        method, by, data, y, negatives_kept, seed: As there.
        say: Receives in words what comes of it.

    Raises:
        ConfigError: If an argument is not allowed, or rows are too few or of one class.
        DataError: If the rows cannot be used.
    """
    check_calibration(method, negatives_kept)
    if y is not None and data is None:
        raise ConfigError("y", "left out without `data`: the validation rows have their labels", y)
    Run(directory, read_only=True)  # none is made where there is no run
    with Run(directory) as run:
        cache = Cache.open(run.directory / "cache")
        check_task(cache.layout)
        check_sampling(cache.layout, negatives_kept)
        if method is None:
            run.append({"event": "calibration", "of": run.model_id, "method": None})
            say("the model is no longer calibrated")
            return
        column = None if by is None else _column(cache.layout, cache.schema, by)
        rows = validation_rows(run, cache, column) if data is None else _named_rows(run, data, y, column)
        make_calibration(run, cache.layout, rows, method, by, column, float(negatives_kept), seed, say)


def make_calibration(
    run: Run,
    layout: Layout,
    rows: Rows,
    method: str,
    by: str | None = None,
    column: int | None = None,
    negatives_kept: float = 1.0,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Fits a calibrator for each target and writes the event that makes them part of the run's model.

    Args:
        run: Open for writing.
        layout: Columns of the rows.
        rows: What the model answers.
        method, by, negatives_kept, seed: As in `calibrate_run`.
        column: Place of the column `by` in the group `ids`.
        say: Receives in words what comes of it.

    Raises:
        ConfigError: If the rows of a target are too few or of one class.
    """
    begin = time.monotonic()
    parts = {target.name: rows.of(target.name, place, seed) for place, target in enumerate(layout.targets)}
    for name, (scored, _) in parts.items():
        check_rows(method, scored, name, rows.name)
    told = {}
    for name, (scored, segments) in parts.items():
        chosen = choose(method, scored, segments, column=column, seed=seed)
        told[name] = _told(chosen, scored, segments, negatives_kept)
    event = {
        "event": "calibration",
        "of": run.model_id,
        "method": method,
        "by": by,
        "rows": rows.name,
        "negatives_kept": negatives_kept,
        "targets": told,
        "seconds": round(time.monotonic() - begin, 3),
    }
    run.append(event)
    say(in_words(event))


def validation_rows(run: Run, cache: Cache, column: int | None = None) -> Rows:
    """Returns what the run's model answers for the validation rows.

    A refitted model was trained on them: what the trial or the ensemble answered before stands for it. Segments have
    the ids of the model's own encoder.

    Raises:
        ConfigError: If the files of the best trial, or of the ensemble, are not kept.
    """
    part, layout = cache.validation, cache.layout
    of = run.model_id or {}
    if "ensemble" in of:
        folder = run.directory / ENSEMBLE / of["ensemble"]
    else:
        folder = run.trial_directory(of.get("trial", -1))
    outputs = read_outputs(folder)
    if outputs is None or outputs.shape != part.labels.T.shape:
        if not (folder / MODEL).exists():
            raise ConfigError("directory", "a run whose model's files are kept", str(run.directory))
        outputs = outputs_of(load_model(folder / MODEL), part, layout)
    segments = None if column is None else np.asarray(part.arrays["ids"][:, column])
    if segments is not None and column is not None and run.refit is not None:
        own = Encoder.load(refit_directory(run, run.refit) / ENCODER)
        segments = _renumbered(segments, column, cache.encoder, own)
    by_target = {target.name: values for target, values in zip(layout.targets, outputs)}
    weights = None if part.weights is None else np.asarray(part.weights)
    return Rows(VALIDATION, by_target, np.asarray(part.labels), weights, segments)


def _renumbered(ids: np.ndarray, column: int, old: Encoder, new: Encoder) -> np.ndarray:
    """Returns the ids that another encoder gives to the values of a column."""
    table = old.layout.ids[column].table
    if table not in old.vocabularies:  # the parts of a time, which nothing learns
        return ids
    values = old.vocabularies[table].values.to_arrow()
    numbers = pa.array(np.arange(len(values), dtype=np.int32))
    known = new.vocabularies[table].lookup(pa.DictionaryArray.from_arrays(numbers, values))
    return np.concatenate([np.array([MISSING, UNKNOWN], known.dtype), known])[ids]


def check_calibration(method: Any, negatives_kept: Any = 1.0) -> None:
    """Checks what `calibrate` takes, as far as it goes without the run.

    Raises:
        ConfigError: If it is not allowed.
    """
    if method is not None:
        check_method(method)
    number = isinstance(negatives_kept, (int, float, np.number)) and not isinstance(negatives_kept, bool)
    if not number or not 0.0 < negatives_kept <= 1.0:
        raise ConfigError("negatives_kept", "a share above 0 and at most 1", negatives_kept)


def check_sampling(layout: Layout, negatives_kept: float) -> None:
    """Checks that it is known whose negatives were sampled: the shift is exact for that target alone.

    Raises:
        ConfigError: If there are several targets.
    """
    if negatives_kept < 1.0 and len(layout.targets) > 1:
        hint = "Rows that were sampled by one target are not so by the others: name rows as they are with `data=`."
        raise ConfigError("negatives_kept", "1 for several targets", negatives_kept, hint)


def check_task(layout: Layout) -> None:
    """Checks that there are probabilities to calibrate.

    Raises:
        ConfigError: If a target is a rating.
    """
    for target in layout.targets:
        if target.kind != "binary":
            raise ConfigError("calibrate", "left out for ratings: only probabilities are calibrated", target.name)


def _column(layout: Layout, schema: Schema, by: str) -> int:
    names = [column.name for column in layout.ids]
    if by in names:
        return names.index(by)
    if by in schema:
        kind = schema[by].kind
        raise ConfigError("by", f"a categorical column, one of {names}", by, f"It is a column of the kind {kind!r}.")
    raise unknown_name("by", by, names)


def _named_rows(run: Run, data: Any, y: Any, column: int | None) -> Rows:
    predictor = load_run(run.directory, calibrated=False)
    outputs, labels, weights, segments = predictor.raw(data, y, by=column)
    if len(outputs) == 1:  # a model names its one output as it likes
        outputs = {predictor.encoder.layout.targets[0].name: next(iter(outputs.values()))}
    return Rows("rows", outputs, labels, weights, segments)


def _told(chosen: Chosen, rows: Scored, segments: np.ndarray | None, negatives_kept: float) -> dict[str, Any]:
    """Returns what the journal keeps of a target's calibrator; the figures are of the rows as they are, sampled too."""
    before, after = (metrics.sigmoid(logits) for logits in (rows.logits, chosen.held_out))
    told: dict[str, Any] = {"method": chosen.method, "labels": len(rows.labels), "ones": int(rows.labels.sum())}
    for name, measure in (("log_loss", metrics.log_loss), ("ece", metrics.ece)):
        told[name] = {"before": measure(rows.labels, before, rows.weights)}
        told[name]["after"] = measure(rows.labels, after, rows.weights)
    if segments is not None:
        told["segments"] = {"of": len(np.unique(segments)), "own": len(chosen.methods)}
    return {**told, "calibrator": chosen.calibrator.shifted(math.log(negatives_kept)).to_dict()}


def in_words(event: Mapping[str, Any]) -> str:
    """Returns the event of a calibration as a sentence."""
    parts = []
    for name, told in event["targets"].items():
        loss, error = told["log_loss"], told["ece"]
        prefix = f"{name}: " if len(event["targets"]) > 1 else ""
        text = "nothing helps, logits stay as they are" if told["method"] == "none" else told["method"]
        if "segments" in told:
            own, of = told["segments"]["own"], told["segments"]["of"]
            text += f", curves of their own for {own} of {of} values of {event['by']!r}"
        text += f"; log loss {loss['before']:.5f} to {loss['after']:.5f}, ece {error['before']:.4f} to"
        parts.append(f"{prefix}{text} {error['after']:.4f} on held-out folds of {told['labels']:,} {event['rows']}")
    kept = event["negatives_kept"]
    sampled = "" if kept == 1.0 else f"; corrected for {kept:.4g} of the negatives"
    return f"calibrated ({'; '.join(parts)}){sampled}"
