"""Checks of data against a schema, before anything is trained or predicted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from autorec.data import columns
from autorec.data.arrow_types import TIME
from autorec.data.long_target import LongTarget
from autorec.data.schema import ROLES, Feature, Schema
from autorec.data.source import Source
from autorec.errors import ConfigError, DataError, nearest, unknown_name

TASKS = ("ctr", "rating")
_NUMBERS = (pa.int64(), pa.float64())
_WORDS = {pa.int64(): "whole numbers", pa.float64(): "numbers", pa.string(): "text", TIME: "times"}
_SHOWN = 10
_MOST = 1_000  # distinct values of a target that are counted
_LARGEST = 1e15  # value of a rating; its square is far from what 32 bits hold
_STEPS = 100  # 32-bit numbers that must lie between the least and the largest rating


def check_same_columns(schema: Schema, source: Source) -> None:
    """Checks that a source has the schema's features in their types; reads rows of columns of another type alone.

    Whole numbers may stand where the schema has fractions or text, and a column without any value is of every type.
    Text files are read as the schema says.

    Raises:
        DataError: If a column is absent or of another type.
    """
    for feature in schema:
        if feature.name in source.problems:
            source.select([feature.name])
        if feature.name not in source.schema.names:
            reason = source.notes.get(feature.name)
            allowed = f"the schema expects {_expected(feature)}; the data has the columns {source.schema.names}"
            hint = nearest(feature.name, source.schema.names)
            message = reason or f"the column is absent; {allowed}. {hint}".rstrip()
            raise DataError(message, file=source.name, column=feature.name)
        _check_type(feature, source)


def _check_type(feature: Feature, source: Source) -> None:
    received = source.schema.field(feature.name).type
    if _fits(feature, received):
        return
    if _reads_text(feature) and source.read_as_text(feature.name):
        return  # also where a text file has words such as NA alone, which may be categories
    if received == pa.null():
        return
    if source.read_as_missing(feature.name):
        return
    hint = ""
    if feature.kind == "categorical" and feature.dtype == "string" and received == pa.int64():
        hint = f"; make it text, or set schema[{feature.name!r}].dtype = 'int'"
    note = source.notes.get(feature.name)  # knows the cell that made it this type
    if note:
        hint += f"; {note}"
    raise DataError(
        f"the schema expects {_expected(feature)}, got {_received(received)}{hint}",
        file=source.name,
        column=feature.name,
    )


def _reads_text(feature: Feature) -> bool:
    return feature.separator is not None or (feature.kind == "categorical" and feature.dtype == "string")


def _fits(feature: Feature, received: pa.DataType) -> bool:
    if feature.kind == "time":
        as_number = feature.dtype in ("int", "float") and received in _NUMBERS
        return received in (TIME, pa.string()) or as_number
    if feature.kind in ("bag", "sequence"):
        if feature.separator is not None:
            return received == pa.string()
        return pa.types.is_list(received) and _fits(
            Feature(feature.name, "categorical", feature.dtype), received.value_type
        )
    if feature.kind == "categorical" and feature.dtype == "string":
        return received == pa.string()
    return received in _NUMBERS


def _expected(feature: Feature) -> str:
    if feature.kind == "time":
        return "times" if feature.dtype == "time" else f"Unix times in {feature.unit or 's'}"
    if feature.separator is not None:
        return f"text split at {feature.separator!r}"
    if feature.kind == "numeric":
        return "numbers"
    values = {"string": "text", "int": "whole numbers"}.get(feature.dtype, "numbers")
    return f"lists of {values}" if feature.kind in ("bag", "sequence") else values


def _received(kind: pa.DataType) -> str:
    return f"lists of {_received(kind.value_type)}" if pa.types.is_list(kind) else _WORDS.get(kind, str(kind))


def check_roles(source: Source, schema: Schema) -> None:
    """Checks the columns with a role; reads rows only where times are written as text.

    Raises:
        ConfigError: If a target has a role.
        DataError: If a column is absent, a weight is no number, another one holds lists, or a text is no time.
    """
    for role in ROLES:
        name = getattr(schema, role)
        if name is None:
            continue
        if name in schema.targets:
            raise ConfigError(role, "another column than the target", name)
        source.select([name])
        kind = source.schema.field(name).type
        if role == "weight" and kind not in _NUMBERS:
            raise DataError(f"a weight must be a number, got {kind}", file=source.name, column=name)
        if role != "weight" and pa.types.is_list(kind):
            raise DataError(f"the {role} must be one value, got {kind}", file=source.name, column=name)
        if role == "time" and kind == pa.string():
            _check_times(source, name)


def _check_times(source: Source, name: str) -> None:
    """Reads the texts that shall order the rows, while the place of one that is no time can be told."""
    start = 0
    for batch in source.batches([name]):
        try:
            columns.microseconds(batch.column(0), None, name)
        except DataError as error:
            row = None if error.row is None else source.line(start + error.row)
            raise DataError(error.message, file=source.name, row=row, column=name) from error
        start += batch.num_rows


def check_targets(source: Source, schema: Schema, task: str, *, training: bool = True) -> None:
    """Checks targets, weights and numeric features in one pass.

    A label may be missing. For `ctr` the others must be 0 and 1 (or booleans), for `rating` and for a long target
    finite numbers; all must vary in training data. Weights must be finite and not negative, numeric features not
    infinite.

    Args:
        source: The rows.
        schema: Names the columns.
        task: `ctr` or `rating`.
        training: Whether these are training rows, whose targets must vary.

    Raises:
        DataError: With file, row and column of the first value that cannot be used.
    """
    if task not in TASKS:
        raise unknown_name("task", task, TASKS)
    for name in schema.targets:
        _check_target_type(source, name)
    weights = [] if schema.weight is None else [schema.weight]
    numbers = [feature.name for feature in schema if feature.kind == "numeric"]
    tallies = {name: _Tally("rating" if name in (schema.long or {}) else task) for name in schema.targets}
    for long in (schema.long or {}).values():
        _check_contexts(source, long)
    total, start = 0.0, 0
    for batch in source.batches(list(dict.fromkeys([*schema.targets, *weights, *numbers]))):
        values = {name: columns.numbers(array) for name, array in zip(batch.schema.names, batch.columns)}
        for name, tally in tallies.items():
            _refuse(source, name, values[name], start, np.isinf, "a target must be finite")
            tally.add(values[name], source, name, start)
        for name in weights:
            _refuse(source, name, values[name], start, _is_no_weight, "a weight must be a finite number, 0 or more")
            total += float(values[name].sum())
        for name in numbers:
            _refuse(source, name, values[name], start, np.isinf, "a numeric feature must be finite or missing")
        start += batch.num_rows
    if start == 0:
        raise DataError("there are no rows", file=source.name)
    for name, tally in tallies.items():
        tally.finish(source, name, training)
        if training and task == "rating":
            tally.check_range(source, name)
    if weights and total == 0:
        raise DataError("all weights are 0", file=source.name, column=weights[0])


def _check_contexts(source: Source, long: LongTarget) -> None:
    for name, kind in zip(long.by, source.select(long.by).types):
        if pa.types.is_nested(kind):
            message = f"what is long cannot depend on it: it must hold one value a row, got {_received(kind)}"
            raise DataError(message, file=source.name, column=name)


def _check_target_type(source: Source, name: str) -> None:
    if name in source.problems:
        source.select([name])
    if name not in source.schema.names:
        hint = nearest(name, source.schema.names)
        message = f"missing target: the data has the columns {source.schema.names}. {hint}".rstrip()
        raise DataError(message, file=source.name, column=name)
    kind = source.schema.field(name).type
    if kind == pa.null():
        raise DataError("the target is missing in every row", file=source.name, column=name)
    if kind not in _NUMBERS:
        shown = ""
        if kind == pa.string():
            cells = source.sample([name], 1_000).column(0).drop_null().unique().to_pylist()[:3]
            shown = f" such as {', '.join(map(repr, cells))}"
        raise DataError(
            f"a target must hold numbers (0 and 1, or a rating), got {_received(kind)}{shown}",
            file=source.name,
            column=name,
        )


def _is_no_weight(values: np.ndarray) -> np.ndarray:
    return ~(np.isfinite(values) & (values >= 0))


def _refuse(
    source: Source,
    name: str,
    values: np.ndarray,
    start: int,
    test: Callable[[np.ndarray], np.ndarray],
    allowed: str,
) -> None:
    bad = test(values)
    if bad.any():
        row = int(np.argmax(bad))
        shown = f"{values[row]:g}"
        raise DataError(f"{allowed}, got {shown}", file=source.name, row=source.line(start + row), column=name)


@dataclass
class _Tally:
    """The distinct values of a target, as far as they matter."""

    task: str
    seen: set[float] = field(default_factory=set)
    low: float = np.inf
    high: float = -np.inf

    def add(self, values: np.ndarray, source: Source, name: str, start: int) -> None:
        known = values[~np.isnan(values)]
        if self.task == "rating" and len(known):
            self.low, self.high = min(self.low, float(known.min())), max(self.high, float(known.max()))
            if len(self.seen) > 1:
                return
        found = np.unique(known)
        self.seen.update(found[:_SHOWN].tolist())
        if self.task == "ctr" and not self.seen <= {0.0, 1.0}:
            self._refuse_classes(source, name)

    def _refuse_classes(self, source: Source, name: str) -> None:
        """Collects the classes of the whole column for the message."""
        for batch in source.batches([name]):
            values = columns.numbers(batch.column(0))
            self.seen.update(np.unique(values[np.isfinite(values)])[: _MOST + 1].tolist())
            if len(self.seen) > _MOST:
                break
        classes = sorted(self.seen)
        number = str(len(classes)) if len(classes) <= _MOST else f"more than {_MOST}"
        shown = ", ".join(f"{value:g}" for value in classes[:_SHOWN]) + (", ..." if len(classes) > _SHOWN else "")
        if len(classes) == 2:
            hint = f" Turn {classes[0]:g} into 0 and {classes[1]:g} into 1."
        else:
            hint = " For ratings use RatingRecommender; for clicks choose the class that counts as 1."
        raise DataError(
            f"a click target must have the two classes 0 and 1, got {number} values: {shown}.{hint}",
            file=source.name,
            column=name,
        )

    def finish(self, source: Source, name: str, training: bool) -> None:
        if not self.seen:
            raise DataError("the target is missing in every row", file=source.name, column=name)
        if training and len(self.seen) == 1:
            raise DataError(
                f"the target is constant: every labelled row has {min(self.seen):g}; there is nothing to learn",
                file=source.name,
                column=name,
            )

    def check_range(self, source: Source, name: str) -> None:
        """Refuses values that 32-bit numbers, which labels and weights are, cannot hold or tell apart."""
        largest, spread = max(abs(self.low), abs(self.high)), self.high - self.low
        if largest > _LARGEST or spread < 1.0 / _LARGEST:
            hint = "divide the values by their spread"
        elif np.spacing(np.float32(largest)) > spread / _STEPS:
            hint = f"subtract {(self.low + self.high) / 2:.15g} from the values"
        else:
            return
        raise DataError(
            f"32-bit numbers cannot tell the values of the target apart: they lie between {self.low:.9g} and "
            f"{self.high:.9g}; {hint}",
            file=source.name,
            column=name,
        )
