"""Values of hyperparameters that are carried from one search to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras_tuner as kt

#: First parts of the names of what is no part of an architecture: the recipe, and what a trial was allowed.
_OTHERS = ("train/", "fidelity/", "tuner/")
_SHOWN = 3


def architecture(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values that make the model: without the recipe's (`train/*`) and the fidelity's."""
    return {name: value for name, value in values.items() if not name.startswith(_OTHERS)}


def allows(hp: Any, value: Any) -> bool:
    """Returns whether a hyperparameter of KerasTuner may have a value."""
    kind = type(hp).__name__
    if kind == "Boolean":
        return isinstance(value, bool)
    if kind == "Fixed":
        return bool(value == hp.value)
    if kind == "Choice":
        return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in hp.values)
    whole = isinstance(value, int) and not isinstance(value, bool)
    number = whole or (isinstance(value, float) and kind == "Float")
    return number and hp.min_value <= value <= hp.max_value


def carry_over(space: Iterable[Any], values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns a point of a space that has the values it knows and allows, and the values it does not allow.

    Values of hyperparameters that the space does not have are left out; what has no value, or one that is not
    allowed, has its default.

    Args:
        space: Hyperparameters of KerasTuner, parents before what depends on them.
        values: Hyperparameter name -> value, such as those of a trial of another run.

    Returns:
        Values of all active hyperparameters, and the refused ones of `values`.

    Example:
        >>> carry_over(oracle.hyperparameters.space, row["values"])
        ({'mlp/units': 64, 'features/dim': 16}, {'features/dim': 64})
    """
    hps = kt.HyperParameters()
    refused = {}
    for hp in space:
        if hp.name in hps.values or not hps.is_active(hp):
            continue
        value = values.get(hp.name, hp.default)
        if not allows(hp, value):
            refused[hp.name] = value
            value = hp.default
        hps.values[hp.name] = value
    return hps.values, refused


def in_words(values: Mapping[str, Any]) -> str:
    """Returns a few values as `name=value, ...`, and how many more there are."""
    shown = [f"{name}={value!r}" for name, value in list(values.items())[:_SHOWN]]
    more = len(values) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
