"""The columns of a search: its schema, given or inferred, and whether the rows fit it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

from autorec import arguments as checked
from autorec.data.checks import check_roles, check_same_columns, check_targets
from autorec.data.inference import infer
from autorec.data.schema import ROLES, Schema
from autorec.data.schema_checks import check_schema
from autorec.data.source import Source
from autorec.errors import ConfigError, DataError, unknown_name


def get_schema(
    given: Schema | str | Path | None,
    source: Source,
    *,
    target: str | list[str] | None,
    labelled: bool,
    roles: Mapping[str, str | None],
) -> tuple[Schema, bool]:
    """Returns the schema of a search, and whether it was inferred.

    Args:
        given: A schema, the path of one, or None to infer it.
        source: The rows.
        target: Names of targets; they win over the schema's.
        labelled: Whether the target's values came apart from the rows; the last column is then the target.
        roles: Columns by role; they win over the schema's.

    Raises:
        ConfigError: If there is no target.
        DataError: If a column cannot be used.
    """
    found = checked.schema(given)
    last = source.schema.names[-1] if labelled else None
    if found is None:
        return infer(source, target=last if target is None else target, **roles), True
    schema = copy.deepcopy(found)
    if target is not None:
        schema.targets = [target] if isinstance(target, str) else list(target)
    elif last is not None and not schema.targets:
        schema.targets = [last]
    for role in ROLES:
        if roles.get(role) is not None:
            setattr(schema, role, roles[role])
    if not schema.targets:
        raise ConfigError("target", "the name of a column", None)
    return schema, False


def leave_out_weight(schema: Schema) -> str | None:
    """Takes the weight from the features of a schema, if it is one; returns what to say of it."""
    weight = schema.weight
    if weight is None or weight not in schema:
        return None
    schema.drop(weight)
    schema.pairs = [pair for pair in schema.pairs if weight not in pair] if schema.pairs else schema.pairs
    return f"`{weight}` is the weight of the rows; as a feature it was left out"


def check_several(
    task: str, schema: Schema, loss_weights: Mapping[str, float] | None, utility: Mapping[str, float] | None
) -> None:
    """Checks what is said of single targets.

    Args:
        task: `ctr` or `rating`.
        schema: Names the targets.
        loss_weights: As in `TrainOptions`.
        utility: Target -> weight, or None.

    Raises:
        ConfigError: If something is said of none of the targets, no target has a weight, or a rating is to be long.
    """
    for argument, named in (("loss_weights", loss_weights), ("utility", utility)):
        for name in named or ():
            if name not in schema.targets:
                raise unknown_name(argument, name, schema.targets)
    if loss_weights and not any(loss_weights.get(name, 1.0) for name in schema.targets):
        raise ConfigError("loss_weights", "above 0 for a target", dict(loss_weights))
    if utility and "utility" in schema.targets:
        raise ConfigError("utility", "left out where a target has that name", dict(utility))
    if schema.long and task != "ctr":
        raise ConfigError("long", "left out for ratings: a long target is 0 or 1", list(schema.long))


def check_sources(schema: Schema, task: str, source: Source, validation: Source | None) -> None:
    """Checks both sources before anything is written.

    Raises:
        ConfigError: If the schema contradicts itself, or a target has a role.
        DataError: If there is no feature, or columns or targets cannot be used.
    """
    if not len(schema):
        raise DataError("there is no feature to learn from", file=source.name)
    check_schema(schema)
    check_same_columns(schema, source)
    check_roles(source, schema)
    check_targets(source, schema, task)
    if validation is not None:
        check_same_columns(schema, validation)
        check_roles(validation, schema)
        check_targets(validation, schema, task, training=False)
