"""Infers a schema from data: what kind each column is, and what about it should be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from autorec.data import columns
from autorec.data.arrow_types import CATEGORICAL
from autorec.data.checks import check_roles
from autorec.data.feature_kinds import Found, feature_of, present
from autorec.data.leaks import separation
from autorec.data.schema import ROLES, Feature, Schema
from autorec.data.source import Source
from autorec.data.table import as_source
from autorec.errors import ConfigError, DataError, nearest, unknown_name

SAMPLE = 100_000
_LEAK = 0.995
_OFTEN = 20  # rows of one value that make a group worth an embedding


def infer(
    source: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    **roles: str | None,
) -> Schema:
    """Infers a schema from a sample of at most 100,000 rows, spread evenly over the data.

    Fractions are numeric; whole numbers are told from ids by the distribution of their values (see
    `autorec.data.whole_numbers`); ISO 8601 texts, timestamps and Unix times are times; texts like `"Action|Comedy"`
    are bags; lists are bags or sequences; other texts are categories. Columns without a value, or with the same one in
    every row, are left out with a warning.

    Args:
        source: Data in any form that `as_source` takes.
        y: The target's values, if the data does not hold them.
        target: Name of the target column, or a list of names.
        **roles: `weight`, `user`, `item`, `group`, `time`: names of columns. User and item are categories; the weight
            is no feature; a group that is neither is a category if its values come often.

    Raises:
        ConfigError: If the target is not named or a role is unknown.
        DataError: If a named column is absent or empty, a column has a problem (see `Source`), or no feature is left.

    Example:
        >>> schema = infer({"user": [3, 9, 3], "price": [0.5, 1.2, 3.0], "click": [0, 1, 0]}, target="click")
        >>> [feature.kind for feature in schema]
        ['categorical', 'numeric']
    """
    source = as_source(source, y, target)
    if target is None and y is not None:
        target = source.schema.names[-1]
    named = _roles(roles)
    schema = Schema(targets=_targets(source, target))
    for role, name in named.items():
        setattr(schema, role, name)
    check_roles(source, schema)
    source.select(list(source.problems))  # raises the first: a column is not left out because it cannot be read
    names = [name for name in source.schema.names if name not in schema.targets and name != schema.weight]
    sample = source.sample([*names, *schema.targets], SAMPLE)
    found = {name: _found(source, schema, sample, name) for name in names}
    _leave_out(source, schema, found)
    for column in found.values():
        if column.feature is not None:
            schema.features.append(column.feature)
        schema.warnings.extend(column.warnings)
    schema.warnings.extend(f"`{name}`: {note}" for name, note in source.notes.items())
    if not schema.features:
        raise DataError(f"there is no feature to learn from; {' '.join(schema.warnings)}", file=source.name)
    _share_items(schema, sample)
    _find_leaks(schema, sample)
    return schema


def describe(schema: Schema) -> str:
    """Returns the schema as a table to read: name, kind, dtype, note; then the warnings."""
    rows = [("column", "kind", "dtype", "note")]
    rows += [(f.name, f.kind, f.dtype, _note(schema, f)) for f in schema]
    rows += [(name, "target", "", "") for name in schema.targets]
    rows += [
        (name, role, "", "no feature")
        for role in ROLES
        if (name := getattr(schema, role)) is not None and name not in schema
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join([*(word.ljust(width) for word, width in zip(row, widths)), row[3]]).rstrip() for row in rows]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in schema.warnings)])


def _note(schema: Schema, feature: Feature) -> str:
    notes = [f"role {role}" for role in ROLES if getattr(schema, role) == feature.name]
    if feature.unit:
        notes.append(f"Unix time in {feature.unit}")
    if feature.separator:
        notes.append(f"split at {feature.separator!r}")
    if feature.vocabulary:
        notes.append(f"ids of {feature.vocabulary}")
    return ", ".join(notes)


def _roles(roles: Mapping[str, str | None]) -> dict[str, str | None]:
    for role, name in roles.items():
        if role not in ROLES:
            raise unknown_name("role", role, ROLES)
        if name is not None and not isinstance(name, str):
            raise ConfigError(role, "the name of a column", name)
    return dict(roles)


def _targets(source: Source, target: str | Sequence[str] | None) -> list[str]:
    names = [target] if isinstance(target, str) else list(target or ())
    if not names:
        hint = nearest("target label click rating", source.schema.names)
        raise ConfigError("target", f"the name of a column of {source.schema.names}", target, hint)
    for name in names:
        if name in source.problems:
            source.select([name])
        if name not in source.schema.names:
            hint = source.notes.get(name) or nearest(name, source.schema.names)
            raise DataError(
                f"missing target: the data has the columns {source.schema.names}. {hint}".rstrip(),
                file=source.name,
                column=name,
            )
    if len(set(names)) < len(names):
        raise ConfigError("target", "a list without repeats", target)
    return names


def _found(source: Source, schema: Schema, sample: pa.Table, name: str) -> Found:
    declared = source.schema.field(name).metadata == CATEGORICAL
    is_id = declared or name in (schema.user, schema.item, schema.group)
    found = feature_of(name, sample.column(name), is_id=is_id, is_time=name == schema.time)
    only_group = name == schema.group and name not in (schema.user, schema.item, schema.time)
    if only_group and found.distinct > 1 and sample.num_rows < _OFTEN * found.distinct:
        found.feature = None
    if found.distinct == 1 and present(sample.column(name).combine_chunks())[1]:
        found.distinct = 2  # that a value is there or is missing says something, too
    return found


def _leave_out(source: Source, schema: Schema, found: Mapping[str, Found]) -> None:
    """Drops columns without a value or with one; a sample may mislead, so the whole column is read first."""
    suspects = {name for name, column in found.items() if column.distinct < 2}
    if source.count() > SAMPLE:
        suspects -= _vary(source, sorted(suspects))
    for name in suspects:
        column = found[name]
        if column.distinct == 0:
            role = next((role for role in ROLES if getattr(schema, role) == name), None)
            if role is not None:
                raise DataError(
                    f"the column of the role `{role}` has no value in any row", file=source.name, column=name
                )
            column.warnings = [f"`{name}` has no value in any row; it was left out"]
        else:
            column.warnings = [f"`{name}` has one value only; it was left out"]
        column.feature = None


def _vary(source: Source, names: list[str]) -> set[str]:
    """Returns the columns with more than one value, a missing one counted, reading until all are known or the end."""
    seen: dict[str, set[Any]] = {name: set() for name in names}
    varied: set[str] = set()
    for batch in source.batches(names) if names else ():
        for name, array in zip(names, batch.columns):
            if name in varied:
                continue
            if pa.types.is_dictionary(array.type):
                array = array.unique().dictionary_decode()  # a dictionary may hold values of other rows
            values, missing = present(array)
            seen[name].update(values.unique()[:2].to_list(), [None] * missing)
            if len(seen[name]) > 1:
                varied.add(name)
        if len(varied) == len(names):
            break
    return varied


def _share_items(schema: Schema, sample: pa.Table) -> None:
    """Lets lists of item ids use the item's vocabulary."""
    if schema.item is None or schema.item not in schema or schema[schema.item].kind != "categorical":
        return
    items = sample.column(schema.item).combine_chunks().unique()
    for feature in schema:
        if feature.kind not in ("bag", "sequence") or feature.separator or feature.dtype != schema[schema.item].dtype:
            continue
        values = pc.list_flatten(sample.column(feature.name)).drop_null()
        if len(values) and float(pc.is_in(values, items).to_numpy().mean()) >= 0.8:
            feature.vocabulary = schema.item


def _find_leaks(schema: Schema, sample: pa.Table) -> None:
    for target in schema.targets:
        labels = sample.column(target).combine_chunks()
        if labels.type not in (pa.int64(), pa.float64()):
            continue
        values = columns.numbers(labels)
        values = np.where(np.isfinite(values), values, np.nan)
        for feature in schema:
            column = sample.column(feature.name).combine_chunks()
            if feature.kind not in ("bag", "sequence") and len(present(column)[0]):
                found = separation(*_single(column, feature, values))
                if found >= _LEAK:
                    schema.warnings.append(
                        f"`{feature.name}` alone orders `{target}` almost perfectly (AUC {found:.3f} in a sample of "
                        f"{sample.num_rows} rows), which looks like a leak: if it is not known before the outcome, "
                        f"schema.drop({feature.name!r})"
                    )


def _single(array: pa.Array, feature: Feature, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    if feature.kind == "categorical":
        codes = pc.if_else(pc.equal(array, ""), None, array) if array.type == pa.string() else array
        indices = codes.dictionary_encode().indices.fill_null(-1)
        return indices.to_numpy(zero_copy_only=False).astype(np.int64), target, False
    if feature.kind == "time":
        micros = columns.microseconds(array, feature.unit, feature.name)
        return np.where(micros == columns.MISSING_INT, np.nan, micros.astype(float)), target, True
    values = columns.numbers(array)
    return np.where(np.isfinite(values), values, np.nan), target, True
