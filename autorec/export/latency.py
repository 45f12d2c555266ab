"""How long a model takes for one row."""

from __future__ import annotations

import statistics
import time
from typing import Any

import tensorflow as tf

from autorec.data.cache import Part
from autorec.training.prediction import compiled, input_groups

_ROWS = 10  # different rows, one a call: lists differ in length
_WARM = 5  # calls before the first measured one
_AGREE, _WITHIN = 3, 1.1  # so many turns have to be within a tenth of the least
_SECONDS = 1.5  # no turn starts later


def latency(model: Any, part: Part) -> float:
    """Returns the milliseconds that a model takes for one encoded row.

    The model is one compiled function, the one that validation calls too; a call has one row, and ends when its
    outputs are there. The first 10 rows of the part take turns; of each turn the median counts, and of several turns
    the least, for what else runs on the machine only adds to a time. Turns go on until three agree within a tenth, or
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
    turns = [_turn(call, rows)]
    while sum(turn <= _WITHIN * min(turns) for turn in turns) < _AGREE and time.perf_counter() < end:
        turns.append(_turn(call, rows))
    return 1000.0 * min(turns)


def _row(part: Part, place: int, groups: list[str]) -> dict[str, Any]:
    found = part.take(slice(place, place + 1), groups)
    return {group: tf.constant(values) for group, values in found.items()}


def _turn(call: Any, rows: list[dict[str, Any]]) -> float:
    return statistics.median(_time(call, row) for row in rows)


def _time(call: Any, row: dict[str, Any]) -> float:
    begin = time.perf_counter()
    for output in call(row).values():
        output.numpy()  # the answer is here, whatever device made it
    return time.perf_counter() - begin
