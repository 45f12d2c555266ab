"""The record of a trial's fidelity: how much of the rows, vocabulary, width and epochs it may use.

It travels among a trial's values under reserved names, so that every oracle, journal and leaderboard carries it:

=======================  ==========================================================
`fidelity/rows`          training rows, at most
`fidelity/vocabulary`    ids a table keeps, at most
`fidelity/dim`           width of the embedded fields, at most
`fidelity/epochs`        epochs, at most; KerasTuner's Hyperband says `tuner/epochs`
=======================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorec.errors import ConfigError, unknown_name

PREFIX = "fidelity/"
NAMES = ("rows", "vocabulary", "dim", "epochs")
_ALIASES = {"tuner/epochs": "epochs"}


def read(values: Mapping[str, Any]) -> dict[str, int]:
    """Returns the fidelity among a trial's values; what is absent is not limited.

    Args:
        values: Hyperparameter name -> value.

    Raises:
        ConfigError: If a reserved name is not known or its value is not a positive whole number.

    Example:
        >>> read({"mlp/units": 64, "fidelity/rows": 1000, "tuner/epochs": 3})
        {'rows': 1000, 'epochs': 3}
    """
    found: dict[str, int] = {}
    for key, value in values.items():
        if key in _ALIASES:
            name = _ALIASES[key]
        elif key.startswith(PREFIX):
            name = key.removeprefix(PREFIX)
        else:
            continue
        if name not in NAMES:
            raise unknown_name("fidelity", name, NAMES)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigError(key, "a whole number of 1 or more", value)
        if key not in _ALIASES or PREFIX + name not in values:
            found[name] = value
    return found
