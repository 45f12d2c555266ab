"""Checks of arguments that many blocks take."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import keras
import numpy as np

from autorec.errors import ConfigError


def whole(argument: str, value: Any, least: int = 1) -> int:
    """Returns a whole number of `least` or more as an int.

    Raises:
        ConfigError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ConfigError(argument, f"a whole number of {least} or more", value)
    return int(value)


def flag(argument: str, value: Any) -> bool:
    """Returns True or False as a bool.

    Raises:
        ConfigError: If it is neither.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigError(argument, "True or False", value)
    return bool(value)


def share(argument: str, value: Any) -> float:
    """Returns a number of 0 or more and below 1 as a float.

    Raises:
        ConfigError: If it is none.
    """
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 <= value < 1:
        raise ConfigError(argument, "a number of 0 or more and below 1", value)
    return float(value)


def activation_name(name: Any) -> str:
    """Returns the name of a Keras activation.

    Raises:
        ConfigError: If it is none.
    """
    try:
        if isinstance(name, str):
            keras.activations.get(name)
            return name
    except ValueError:
        pass
    raise ConfigError("activation", "the name of a Keras activation, such as 'relu' or 'gelu'", name)
