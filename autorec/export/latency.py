"""How long a model takes for one row."""

from __future__ import annotations

import math
import statistics
import time
from typing import Any

import tensorflow as tf

from autorec.data.cache import Part
from autorec.training.prediction import compiled, input_groups

_ROWS = 10  # different rows, one a call: lists differ in length
_WARM = 5  # calls before the first measured one
_TURNS, _WITHIN = 5, 0.95  # so many turns must not have lowered the result by more than a twentieth
_SECONDS = 1.5  # no turn starts later


def latency(model: Any, part: Part) -> float:
    """Returns the milliseconds that a model takes for one encoded row.

    The model is one compiled function, the one that validation calls too; a call has one row, and ends when its
    outputs are there. The first 10 rows of the part take turns; of each row the least time counts, for what else runs
    on the machine only adds to it, and of the rows the median. Turns go on until five of them hardly lowered it, or
    for 1.5 seconds. Threads are as they are.

    A server that holds the exported signature adds what it takes to encode a raw row, which hardly depends on the
    model.

    Args:
        model: Keras model on groups of columns, built; its weights do not matter.
        part: Encoded rows, one or more.

    Example:
        >>> latency(model, cache.validation)
        0.41
    """
    call, groups = compiled(model), input_groups(model)
    rows = [_row(part, place, groups) for place in range(min(part.rows, _ROWS))]
    for place in range(_WARM):
        _time(call, rows[place % len(rows)])
    end = time.perf_counter() + _SECONDS
    least = [math.inf] * len(rows)
    course: list[float] = []
    while not course or (not _settled(course) and time.perf_counter() < end):
        least = [min(known, _time(call, row)) for known, row in zip(least, rows)]
        course.append(statistics.median(least))
    return 1000.0 * course[-1]


def _settled(course: list[float]) -> bool:
    return len(course) > _TURNS and course[-1] >= _WITHIN * course[-1 - _TURNS]


def _row(part: Part, place: int, groups: list[str]) -> dict[str, Any]:
    found = part.take(slice(place, place + 1), groups)
    return {group: tf.constant(values) for group, values in found.items()}


def _time(call: Any, row: dict[str, Any]) -> float:
    begin = time.perf_counter()
    for output in call(row).values():
        output.numpy()  # the answer is here, whatever device made it
    return time.perf_counter() - begin
