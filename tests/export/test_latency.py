"""The time that a model takes for one row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from autorec.data.cache import Part
from autorec.data.lists import Lists
from autorec.export import latency as module
from autorec.export.latency import latency
from autorec.training.prediction import predict


def model_of(width: int, layers: int) -> keras.Model:
    inputs = keras.Input((4,), name="numbers")
    found = keras.layers.Dense(width)(inputs)
    for _ in range(layers):
        found = keras.layers.Dense(width, activation="relu")(found)
    return keras.Model({"numbers": inputs}, {"click": keras.layers.Dense(1)(found)})


def part_of(rows: int = 30) -> Part:
    return Part({"numbers": np.ones((rows, 4), np.float32)}, np.zeros((rows, 1), np.float32))


def test_a_larger_model_takes_longer() -> None:
    part = part_of()
    assert 0 < latency(model_of(4, 1), part) < latency(model_of(1500, 4), part)


def test_a_call_has_one_row_and_the_rows_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def time_of(call: Any, row: dict[str, Any]) -> float:
        seen.append(row["ids"].shape)
        return 0.1

    lists = Lists(np.array([0, 1, 3]), np.array([7, 8, 9], np.int32))
    monkeypatch.setattr(module, "_time", time_of)
    inputs = keras.Input((None,), name="ids", dtype="int32")
    model = keras.Model({"ids": inputs}, {"click": keras.ops.sum(inputs, axis=1, keepdims=True)})
    assert latency(model, Part({"ids": lists}, np.zeros((2, 1), np.float32))) == pytest.approx(100.0)
    assert seen[-2:] == [(1, 1), (1, 2)]


def times(monkeypatch: pytest.MonkeyPatch, *turns: list[float]) -> Iterator[float]:
    """Gives calls these times, those of the first calls before them; returns what is left of them."""
    left = iter([9.0] * 5 + [time for turn in turns for time in turn])
    monkeypatch.setattr(module, "_time", lambda call, row: next(left))
    return left


def test_the_least_time_of_each_row_counts_and_of_rows_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    left = times(monkeypatch, [0.3, 0.9, 0.4], [9.0, 0.5, 0.2], *[[0.8, 0.8, 0.8]] * 8)
    assert latency(model_of(2, 0), part_of(3)) == pytest.approx(300.0)
    assert len(list(left)) == 3 * 3  # five turns behind the second one changed nothing


def test_turns_go_on_while_they_find_less(monkeypatch: pytest.MonkeyPatch) -> None:
    falling = [[1.0 - turn / 50] * 3 for turn in range(20)]
    times(monkeypatch, *falling, *[[0.9, 0.9, 0.9]] * 9)
    assert latency(model_of(2, 0), part_of(3)) == pytest.approx(620.0)


def test_a_slow_model_is_called_for_one_turn_only(monkeypatch: pytest.MonkeyPatch) -> None:
    left = times(monkeypatch, *[[0.9] * 3] * 9)
    monkeypatch.setattr(module, "_SECONDS", -1.0)
    latency(model_of(2, 0), part_of(3))
    assert len(list(left)) == 3 * 8


def test_the_function_that_was_timed_is_the_one_that_predicts() -> None:
    model, part = model_of(4, 1), part_of()
    latency(model, part)
    before = module.compiled(model).experimental_get_tracing_count()
    predict(model, part)
    assert module.compiled(model).experimental_get_tracing_count() == before == 1
