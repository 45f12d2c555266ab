"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest

from autorec.errors import ConfigError
from autorec.units import milliseconds, seconds, size


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("45", 45), (2.5, 2.5)])
def test_durations_are_read_as_seconds(text: str | float, value: float) -> None:
    assert seconds("time_limit", text) == value


@pytest.mark.parametrize("bad", ["ten minutes", "-5s", 0, -1, float("inf"), True, "5m junk"])
def test_a_wrong_duration_names_the_argument(bad: object) -> None:
    with pytest.raises(ConfigError, match="`time_limit` must be a positive duration"):
        seconds("time_limit", bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"), [("10MB", 10_000_000), ("1.5 kB", 1500), ("2KiB", 2048), ("77", 77), (9, 9)]
)
def test_sizes_are_read_as_bytes(text: str | int, value: int) -> None:
    assert size("max_model_size", text) == value


@pytest.mark.parametrize("bad", ["ten", "10XB", 0, -1, float("nan"), False, "MB"])
def test_a_wrong_size_names_the_argument(bad: object) -> None:
    with pytest.raises(ConfigError, match="`max_model_size` must be a positive number of bytes, or a text such as"):
        size("max_model_size", bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "value"), [(2, 2.0), ("0.5", 0.5), ("3ms", 3.0), (None, None)])
def test_milliseconds_are_numbers_or_texts_of_one(text: str | float | None, value: float | None) -> None:
    assert milliseconds("max_latency", text) == value


@pytest.mark.parametrize("bad", ["fast", 0, True, "2s"])
def test_wrong_milliseconds_name_the_argument(bad: object) -> None:
    with pytest.raises(ConfigError, match="`max_latency` must be a positive number of milliseconds"):
        milliseconds("max_latency", bad)  # type: ignore[arg-type]
