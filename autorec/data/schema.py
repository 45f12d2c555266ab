"""The schema: which columns a model reads, and as what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from autorec.data.long_target import LongTarget, as_long_targets
from autorec.errors import ConfigError, unknown_name

# Kind -> types that its values may have, the usual one first.
DTYPES = {
    "numeric": ("float", "int"),
    "categorical": ("string", "int", "float"),
    "time": ("time", "int", "float"),
    "bag": ("string", "int"),
    "sequence": ("string", "int"),
}
KINDS = tuple(DTYPES)
ROLES = ("weight", "user", "item", "group", "time")
UNITS = ("s", "ms", "us", "ns")


@dataclass
class Feature:
    """A column with a kind.

    Args:
        name: Column name.
        kind: `numeric`, `categorical`, `time`, `bag` (a list without order) or `sequence` (oldest first).
        dtype: Type of the values, or of a list's elements, in the exported signature: `int` (int64) or `float`
            (float64), of categories also `string`, of lists `string` or `int`, of times also `time` (int64 microseconds
            since 1970). Left out it is `float` of numbers, `time` of times, else `string`; so it is too where the kind
            is changed to one that does not have the type.
        dim: Width of its embedding; None leaves it to the space.
        vocabulary: Name of a categorical column whose ids and table rows this one shares.
        min_count: Values seen in fewer training rows are out of vocabulary.
        max_size: Largest number of values kept, the most frequent; None keeps all.
        max_length: Largest number of values of a bag or sequence, the newest are kept.
        separator: Splits a text cell into a bag or sequence; None if the column holds lists.
        unit: Unit of an integer time column: `s`, `ms`, `us`, `ns`.
        pretrained: Path of an `.npz` file with `ids` (rows,), values as the column holds them, and `vectors` (rows,
            width): what the table rows of these values start from. The others start at random.
        statistics: Whether target and count statistics of this column are made (categorical columns).

    Raises:
        ConfigError: If a value is not allowed; also on assignment.
    """

    name: str
    kind: str
    dtype: str = ""
    dim: int | None = None
    vocabulary: str | None = None
    min_count: int = 2
    max_size: int | None = None
    max_length: int = 50
    separator: str | None = None
    unit: str | None = None
    pretrained: str | None = None
    statistics: bool = True

    def __setattr__(self, name: str, value: Any) -> None:
        where = f"schema[{getattr(self, 'name', value)!r}].{name}"
        if name == "kind" and value not in KINDS:
            raise unknown_name(where, value, KINDS)
        if name == "dtype":
            value = value or DTYPES[self.kind][0]
            if value not in DTYPES[self.kind]:
                raise unknown_name(where, value, DTYPES[self.kind])
        if name in ("dim", "max_size") and value is not None and not _is_positive(value):
            raise ConfigError(where, "a positive whole number or None", value)
        if name in ("min_count", "max_length") and not _is_positive(value):
            raise ConfigError(where, "a positive whole number", value)
        if name == "unit" and value is not None and value not in UNITS:
            raise unknown_name(where, value, UNITS)
        if name == "statistics" and not isinstance(value, bool):
            raise ConfigError(where, "True or False", value)
        if name == "separator" and value == "":
            raise ConfigError(where, "a text of one character or more, or None", value)
        if name not in _FEATURE_FIELDS:
            raise unknown_name(where, name, _FEATURE_FIELDS)
        super().__setattr__(name, value)
        if name == "kind" and getattr(self, "dtype", "") not in ("", *DTYPES[value]):
            self.dtype = ""


_FEATURE_FIELDS = tuple(f.name for f in fields(Feature))


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


@dataclass
class Schema:
    """Features, targets and the columns with a role.

    Args:
        features: The features, in the order of the table.
        targets: Names of the target columns.
        weight: Column of row weights.
        user: Column of user ids.
        item: Column of item ids.
        group: Column by which grouped metrics are taken; defaults to `user`.
        time: Column that orders the rows.
        pairs: Pairs of categorical columns that get joint statistics; None lets the encoder choose.
        warnings: What inference found worth saying.
        long: Targets that are real-valued in the data and learned as long for their context: a dict {target:
            `LongTarget`, a dict of its arguments, or its column}, or None.

    Example:
        >>> schema = Schema([Feature("zip", "numeric", "int")], targets=["click"])
        >>> schema["zip"].kind = "categorical"
    """

    features: list[Feature] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    weight: str | None = None
    user: str | None = None
    item: str | None = None
    group: str | None = None
    time: str | None = None
    pairs: list[tuple[str, str]] | None = None
    warnings: list[str] = field(default_factory=list)
    long: Mapping[str, LongTarget] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _SCHEMA_FIELDS:
            raise unknown_name("schema", name, _SCHEMA_FIELDS)
        if name == "long":
            value = as_long_targets(value)
        super().__setattr__(name, value)

    def __getitem__(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise unknown_name("schema[...]", name, self.names)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __len__(self) -> int:
        return len(self.features)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        return [feature.name for feature in self.features]

    @property
    def columns(self) -> list[str]:
        """Names of every column that encoding reads, each once."""
        roles = [getattr(self, role) for role in ROLES]
        return list(dict.fromkeys([*self.names, *self.targets, *(name for name in roles if name)]))

    def drop(self, *names: str) -> Schema:
        """Removes features; returns the schema itself.

        Raises:
            ConfigError: If a name is not a feature.
        """
        for name in names:
            self.features.remove(self[name])
        return self

    def to_dict(self) -> dict[str, Any]:
        """Returns the schema as plain JSON values."""
        long = None if self.long is None else {name: each.to_dict() for name, each in self.long.items()}
        return {**asdict(self), "long": long}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """Returns the schema that `to_dict` wrote."""
        rest = {key: value for key, value in values.items() if key not in ("features", "pairs")}
        pairs = values.get("pairs")
        return cls(
            features=[Feature(**feature) for feature in values["features"]],
            pairs=None if pairs is None else [(a, b) for a, b in pairs],
            **rest,
        )

    def save(self, path: str | Path) -> None:
        """Writes the schema as JSON."""
        Path(path).expanduser().write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Schema:
        """Reads a schema that `save` wrote."""
        return cls.from_dict(json.loads(Path(path).expanduser().read_text(encoding="utf-8")))

    @classmethod
    def infer(
        cls,
        source: Any,
        y: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        **roles: str | None,
    ) -> Schema:
        """Infers a schema from data: see `autorec.data.inference.infer`."""
        from autorec.data.inference import infer

        return infer(source, y, target=target, **roles)


_SCHEMA_FIELDS = tuple(f.name for f in fields(Schema))
