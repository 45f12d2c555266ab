"""Loads what a search or an export left on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autorec.calibration.calibrator import Calibrator
from autorec.data.cache import Cache
from autorec.data.encoder import Encoder
from autorec.errors import ConfigError, DataError
from autorec.export import folder as exported
from autorec.export.folder import load_model
from autorec.export.predictor import Predictor
from autorec.run import Run

MODEL = "model.keras"
ENCODER = "encoder"  # in a cache, and beside a refitted model
ENSEMBLE = "ensemble"  # folder of the models of several trials
REFIT = "refit"  # folder of the run's model, trained once more on all rows


def load(path: str | Path) -> Predictor:
    """Returns the predictor of an exported folder, or of the best model of a run directory.

    Raises:
        DataError: If it is neither.

    Example:
        >>> autorec.load("model/").predict(frame)
    """
    path = Path(path).expanduser()
    if (path / exported.CARD).exists():
        return exported.load(path)
    if (path / "journal.jsonl").exists():
        return load_run(path)
    raise DataError(f"neither an exported folder ({exported.CARD}) nor a run directory (journal.jsonl)", file=path)


def load_run(directory: str | Path, trial: int | None = None, *, calibrated: bool = True) -> Predictor:
    """Returns the predictor of a trial of a run, or of its ensemble.

    Args:
        directory: Run directory.
        trial: Number of the trial; None takes the run's model: the ensemble that was made last, else the best trial,
            each refitted if it was, and calibrated if it was.
        calibrated: Whether the run's model comes with its calibration.

    Raises:
        ConfigError: If the trial is not there or its files are not kept.
        DataError: If the ensemble's file is gone.
    """
    run = Run(directory, read_only=True)
    found = _uncalibrated(run, trial)
    if trial is not None or not calibrated or run.calibration is None:
        return found
    return _calibrated(found, run.calibration)


def _uncalibrated(run: Run, trial: int | None) -> Predictor:
    refit = run.refit if trial is None else None
    if trial is None and run.ensemble is not None:
        return _ensemble(run, run.ensemble, refit)
    row = trained_trial(run, trial)
    path = run.trial_directory(row["number"]) / MODEL
    if refit is None and not path.exists():
        kept = sorted(int(item.name) for item in (run.directory / "trials").glob("[0-9]*"))
        raise ConfigError("trial", f"one whose files are kept: {kept}", trial)
    return _predictor(run, row, path, refit)


def _predictor(run: Run, row: Mapping[str, Any], path: Path, refit: Mapping[str, Any] | None) -> Predictor:
    """Returns the predictor of a row's model, or of the refitted one, which has the encoder of all rows."""
    cache, encoder = Cache.open(run.directory / "cache"), None
    if refit is not None:
        folder = refit_directory(run, refit)
        path, encoder = folder / MODEL, Encoder.load(folder / ENCODER)
    return Predictor(load_model(path), encoder or cache.encoder, _card(run, row, cache, refit))


def _calibrated(predictor: Predictor, event: Mapping[str, Any]) -> Predictor:
    """Returns a predictor whose model is calibrated as an event of its run says."""
    from autorec.calibration.model import calibrate

    calibrators = {name: Calibrator.from_dict(told["calibrator"]) for name, told in event["targets"].items()}
    columns = len(predictor.encoder.layout.ids)
    changed = any(calibrator.changes for calibrator in calibrators.values())  # where nothing helped, nothing is
    card = {**predictor.card, "calibrated": changed, "calibration": calibration_facts(event)}
    return Predictor(calibrate(predictor.model, calibrators, columns=columns), predictor.encoder, card)


def calibration_facts(event: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a card tells of a calibration: all but its curves."""
    facts = {name: event[name] for name in ("method", "by", "rows", "negatives_kept")}
    told = event["targets"].items()
    return {**facts, "targets": {name: {k: v for k, v in one.items() if k != "calibrator"} for name, one in told}}


def refit_directory(run: Run, refit: Mapping[str, Any]) -> Path:
    """Returns the folder of a refit: the model, and the encoder of its rows."""
    return run.directory / REFIT / refit["folder"]


def _ensemble(run: Run, row: Mapping[str, Any], refit: Mapping[str, Any] | None) -> Predictor:
    path = run.directory / ENSEMBLE / row["folder"] / MODEL
    if refit is None and not path.exists():
        raise DataError("the model of the run's ensemble is not there; make it again or name a trial", file=path)
    found = _predictor(run, row, path, refit)
    found.card["ensemble"] = {name: row[name] for name in ("pruning", "members", "diversity")}
    return found


def trained_trial(run: Run, trial: int | None = None) -> dict[str, Any]:
    """Returns the row of a trained trial, by default of the best one.

    Raises:
        ConfigError: If there is none, or none of this number.
    """
    rows = {row["number"]: row for row in run.trials() if row["status"] == "completed"}
    best = run.best
    if best is None:
        raise ConfigError("directory", "a run with a trained trial", str(run.directory))
    if trial is not None and trial not in rows:
        raise ConfigError("trial", f"the number of a trained trial: {sorted(rows)}", trial)
    return best if trial is None else rows[trial]


def _card(run: Run, row: Mapping[str, Any], cache: Cache, refit: Mapping[str, Any] | None) -> dict[str, Any]:
    config = run.config or {}
    return {
        "task": config.get("task"),
        "targets": cache.schema.targets,
        "utility": config.get("utility"),
        "data": {
            "source": config.get("data"),
            "fingerprint": cache.fingerprint,
            "training_rows": cache.train.rows if refit is None else refit["rows"],
            "validation_rows": cache.validation.rows if refit is None else 0,
        },
        "trial": row["number"],
        "metrics": row["metrics"],
        "metrics_of": "the model" if refit is None else "the model before the refit",
        "values": row["values"],
        "parameters": row["parameters"] if refit is None else refit["parameters"],
        "seed": row["seed"],
        "search_seed": config.get("seed"),
        "refitted": refit is not None,
        "networks": None if refit is None else refit.get("networks"),
        "calibrated": False,
    }
