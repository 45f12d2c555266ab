"""Durations and sizes as people write them."""

from __future__ import annotations

import math
import re

from autorec.errors import ConfigError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def seconds(argument: str, value: float | str | None) -> float | None:
    """Returns a duration in seconds.

    Args:
        argument: Name of the argument, for the error.
        value: Seconds, or a text such as `"90s"`, `"10m"`, `"1h30m"`; None stays None.

    Raises:
        ConfigError: If it is not a positive duration.

    Example:
        >>> seconds("time_limit", "1h30m")
        5400.0
    """
    allowed = "a positive duration in seconds, or a text such as '90s', '10m', '1h30m'"
    return None if value is None else _positive(argument, _text_seconds(value), value, allowed)


def milliseconds(argument: str, value: float | str | None) -> float | None:
    """Returns a duration in milliseconds, from a number or a text that holds one; None stays None.

    Raises:
        ConfigError: If it is not positive.
    """
    text = value.strip().lower().removesuffix("ms") if isinstance(value, str) else value
    return None if value is None else _positive(argument, _number(text), value, "a positive number of milliseconds")


def size(argument: str, value: int | str | None) -> int | None:
    """Returns a size in bytes.

    Args:
        argument: Name of the argument, for the error.
        value: Bytes, or a text such as `"10MB"` or `"512KiB"`; None stays None.

    Raises:
        ConfigError: If it is not a positive size.

    Example:
        >>> size("max_model_size", "10MB")
        10000000
    """
    if value is None:
        return None
    found = _positive(argument, _text_bytes(value), value, "a positive number of bytes, or a text such as '10MB'")
    return max(1, round(found))


def _positive(argument: str, found: object, value: object, allowed: str) -> float:
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found < math.inf:
        raise ConfigError(argument, allowed, value)
    return float(found)


def _number(text: object) -> object:
    if not isinstance(text, str):
        return text
    return float(text) if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) else None


def _text_seconds(text: object) -> object:
    if not isinstance(text, str):
        return text
    text = text.strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return _number(text)


def _text_bytes(text: object) -> object:
    if not isinstance(text, str):
        return text
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    return float(found[1]) * _BYTES[found[2]] if found and found[2] in _BYTES else None
