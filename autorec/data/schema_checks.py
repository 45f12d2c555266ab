"""Checks of a schema by itself, before any row is read."""

from __future__ import annotations

from autorec.data.encoder import TIME_IDS, TIME_NUMBERS
from autorec.data.pretrained import check_pretrained
from autorec.data.schema import Feature, Schema
from autorec.errors import ConfigError, unknown_name

_WITH_IDS = ("categorical", "bag", "sequence")


def check_schema(schema: Schema) -> None:
    """Checks what its parts say of each other.

    Raises:
        ConfigError: If a name stands for two features or for a part of a time too, a target is a feature too, a text
            is to be split into numbers, a feature's vocabulary is not that of a column of the same values, a pair is
            not of two columns of ids, a long target is none of the targets or has one for its context, or a file of
            pretrained vectors cannot be used.
    """
    for name in schema.names:
        if schema.names.count(name) > 1:
            raise ConfigError("schema", "one with each feature once", schema.names, f"{name!r} stands there twice.")
    _check_parts_of_times(schema)
    for target in schema.targets:
        if target in schema:
            hint = f"A model that reads its target learns nothing: schema.drop({target!r})."
            raise ConfigError("target", "a column that is no feature", target, hint)
    for name, long in (schema.long or {}).items():
        if name not in schema.targets:
            raise unknown_name("long", name, schema.targets)
        for column in long.by:
            if column in schema.targets:
                raise ConfigError("long", f"{name!r} by columns that are no targets", column)
    for feature in schema:
        _check_separator(feature)
        if feature.vocabulary is not None and feature.kind in _WITH_IDS:
            _check_vocabulary(schema, feature)
    _check_pairs(schema)
    check_pretrained(schema)


def _check_parts_of_times(schema: Schema) -> None:
    """Refuses features that have the name of what is made of a time, such as `sent:hour`."""
    parts = [part for part, _ in TIME_IDS] + list(TIME_NUMBERS)
    made = {f"{feature.name}:{part}": feature.name for feature in schema if feature.kind == "time" for part in parts}
    for name in schema.names:
        if name in made:
            hint = f"Rename the column, or leave one of the two out: schema.drop({name!r})."
            raise ConfigError("schema", f"one without {name!r}, which is made of the time {made[name]!r}", name, hint)


def _check_separator(feature: Feature) -> None:
    if feature.separator is not None and feature.dtype != "string":
        raise ConfigError(
            f"schema[{feature.name!r}].dtype",
            f"'string' where texts are split at {feature.separator!r}",
            feature.dtype,
            "The parts of a text are texts ('07' is not '7'); make the column lists of whole numbers to have numbers.",
        )


def _check_vocabulary(schema: Schema, feature: Feature) -> None:
    where = f"schema[{feature.name!r}].vocabulary"
    owners = [other.name for other in schema if other.kind in _WITH_IDS and other.vocabulary in (None, other.name)]
    if feature.vocabulary not in owners:
        raise unknown_name(where, feature.vocabulary, owners)
    owner = schema[str(feature.vocabulary)]
    if (owner.dtype == "string") != (feature.dtype == "string"):
        received = f"{feature.dtype} values with the vocabulary of {owner.name!r}"
        raise ConfigError(
            where, f"a column whose values are {feature.dtype} too", received, f"Those are {owner.dtype}."
        )


def _check_pairs(schema: Schema) -> None:
    known = [feature.name for feature in schema if feature.kind == "categorical"]
    known += [f"{feature.name}:{part}" for feature in schema if feature.kind == "time" for part, _ in TIME_IDS]
    for pair in schema.pairs or ():
        for name in pair:
            if name not in known:
                raise unknown_name("schema.pairs", name, known)
        if len(set(pair)) != 2:
            raise ConfigError("schema.pairs", "pairs of two different columns", pair)
