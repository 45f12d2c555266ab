"""What `search` takes, checked one argument at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np

from autorec.calibration.choice import METHODS
from autorec.data.schema import Schema
from autorec.data.table import Source, as_source
from autorec.errors import AutoRecError, ConfigError, DataError, nearest
from autorec.progress import ProgressPrinter
from autorec.searchers.fidelity import Schedule
from autorec.searchers.oracles import get_objective
from autorec.searchers.pareto import COSTS
from autorec.training.metrics import direction as known_direction
from autorec.training.options import TrainOptions

Progress = Callable[[dict[str, Any]], None]


def emitter(progress: bool | Progress) -> Progress:
    """Returns what receives the events of a search."""
    if callable(progress):
        return progress
    if not isinstance(progress, bool):
        raise ConfigError("progress", "True, False or a function of an event", progress)
    return ProgressPrinter() if progress else lambda event: None


def options(value: Any) -> TrainOptions:
    """Returns the options of training, the defaults for None."""
    if value is None:
        return TrainOptions()
    if not isinstance(value, TrainOptions):
        hint = "Write TrainOptions(...)." if isinstance(value, (dict, type)) else ""
        raise ConfigError("options", "a TrainOptions object", value, hint)
    return value


def callbacks(value: Any) -> list[Any]:
    """Returns a list of callbacks; `copy_callbacks` looks at each of them."""
    if value is None:
        return []
    if not isinstance(value, (list, tuple)):
        raise ConfigError("callbacks", "a list of keras.callbacks.Callback objects", value)
    return list(value)


def flag(name: str, value: Any) -> bool:
    """Returns a truth value; 0 and 1 are none."""
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigError(name, "True or False", value)
    return bool(value)


def calibrate(value: Any, task: str) -> str | None:
    """Returns the method of a calibration, None for none."""
    if value is None or value is False:
        return None
    if task != "ctr":
        raise ConfigError("calibrate", "left out for ratings: only probabilities are calibrated", value)
    method = "auto" if value is True else value
    if method not in METHODS:
        hint = nearest(method, METHODS)
        raise ConfigError("calibrate", f"True, False, None or one of {list(METHODS)}", value, hint)
    return str(method)


def utility(value: Any) -> dict[str, float] | None:
    """Returns the weights of a utility, None for none."""
    if value is None:
        return None
    number = (int, float, np.integer, np.floating)
    fits = isinstance(value, Mapping) and bool(value)
    if not fits or not all(
        isinstance(w, number) and not isinstance(w, bool) and np.isfinite(w) for w in value.values()
    ):
        raise ConfigError("utility", "a dict {target: a finite number}, or None", value)
    return {str(name): float(weight) for name, weight in value.items()}


def plain(value: Any) -> Any:
    """Returns a NumPy scalar as Python's own number."""
    return value.item() if isinstance(value, np.generic) else value


def fidelity(value: Any) -> str | dict[str, Any] | None:
    """Returns how cheap trials are as a configuration keeps it: None in full, `auto`, or a schedule as a dict."""
    if value is None or value == "full":
        return None
    if value == "auto":
        return "auto"
    if isinstance(value, Mapping):
        return Schedule.from_dict(value).to_dict()
    if not isinstance(value, Schedule):
        raise ConfigError("fidelity", "None, 'full', 'auto', a Schedule or a dict of its arguments", value)
    return value.to_dict()


def objectives(value: Any, default: str) -> list[kt.Objective]:
    """Returns the objectives, the one that ranks first.

    What is no metric, such as the latency, is less better.
    """
    found = list(value) if isinstance(value, (list, tuple)) else [value]
    found = [default if one is None and len(found) == 1 else one for one in found]
    if not found:
        raise ConfigError("objective", "the name of a metric, or a list that begins with one", value)
    first = get_objective(found[0])
    costs = {name: kt.Objective(name, "min") for name in COSTS}
    rest = [costs[one] if isinstance(one, str) and one in costs else get_objective(one) for one in found[1:]]
    chosen = [first, *rest]
    names = [one.name for one in chosen]
    if len(set(names)) < len(names):
        raise ConfigError("objective", "different names", names)
    for one in chosen:
        direction = "min" if one.name in COSTS else known_direction(one.name)
        if one.direction != direction:
            raise ConfigError("objective", f"{one.name!r} with the direction {direction!r}", one.direction)
    return chosen


def statistics(value: Any, *, trees: bool, later: bool) -> Any:
    """Returns how statistics are made.

    Trees split where an ordered statistic of few rows is off, which it is on training rows alone; of k folds all rows
    have about as many. Where models are to predict what comes later, only ordered ones know nothing of the future.
    """
    if value != "auto":
        return value
    return "kfold" if trees and not later else "ordered"


def target(value: Any) -> str | list[str] | None:
    """Returns the name of a target, or a list of names."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        raise ConfigError("target", "the name of a column, or a list of names", value)
    return list(value)


def schema(value: Any) -> Schema | None:
    """Returns a schema, read from its file where a path is given."""
    if value is None or isinstance(value, Schema):
        return value
    if not isinstance(value, (str, Path)) or not Path(value).is_file():
        raise ConfigError("schema", "a Schema or the path of one", value)
    try:
        return Schema.load(value)
    except AutoRecError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise DataError(f"not a schema as `Schema.save` writes it ({cause})", file=value) from error


def validation_source(value: Any, targets: Sequence[str]) -> Source | None:
    """Returns the source of `validation_data`: rows, or a pair of rows and their target's values."""
    if value is None:
        return None
    if not isinstance(value, (tuple, list)):
        return as_source(value)
    if len(value) != 2:
        raise ConfigError("validation_data", "rows, or a pair (rows, target values)", f"{len(value)} things")
    return as_source(value[0], value[1], target=list(targets))
