"""The layout of encoded rows: what a space has to know to build a model on them.

An encoded batch is a dict of arrays, one for each *group* of columns:

=============  =======================  ==============================================================
group          array                    content
=============  =======================  ==============================================================
`ids`          (batch, columns) int32   local ids: 0 missing, 1 out of vocabulary, then by falling count
`numbers`      (batch, columns) float64 raw numbers, NaN where missing
`statistics`   (batch, columns) float32 target and count statistics of single columns
`pairs`        (batch, columns) float32 the same of pairs of columns
`margins`      (batch, columns) float32 what small forests predict, a column for each target
`leaves`       (batch, trees) int32     the leaf of each of their trees as a local id: 0 for a tree that has
                                        seen the row, then the leaf plus 2
`list_0` ...   (batch, length) int32    one bag or sequence each: ids padded with 0 behind the values,
                                        oldest first
=============  =======================  ==============================================================

A model names the groups it uses by its inputs, so that all models of a run share them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

#: The groups that are no lists, in the order of `Layout.groups`.
FIXED_GROUPS = ("ids", "numbers", "statistics", "pairs", "margins", "leaves")


@dataclass(frozen=True)
class IdColumn:
    """A column of the group `ids`.

    Args:
        name: Column name; a time column `t` gives `t:hour` and `t:weekday`.
        feature: The schema feature it comes from.
        size: Number of local ids, the two reserved ones included.
        table: Name of the vocabulary's owner; columns with the same table share its rows.
        dim: Width the user fixed for this feature, or None.
        pretrained: Path of an `.npz` file with local `ids` and `vectors` in an open cache, or None.
    """

    name: str
    feature: str
    size: int
    table: str
    dim: int | None = None
    pretrained: str | None = None


@dataclass(frozen=True)
class NumberColumn:
    """A column of the group `numbers`, with what was learned from its training rows.

    Args:
        name: Column name; a time column `t` gives `t:age` (days before the last training row, negative later),
            `t:day_sin`, `t:day_cos`, `t:week_sin`, `t:week_cos`.
        feature: The schema feature it comes from.
        mean: Mean of the present values.
        std: Standard deviation of the present values, 1 for a constant column.
        log_mean: Mean of `sign(x) log1p(|x|)`.
        log_std: Standard deviation of `sign(x) log1p(|x|)`, 1 for a constant column.
        knots: Increasing present values, at most 65, the least and largest included, with about equally many rows in
            between; a frequent one is among them.
        missing: Share of missing values.
        median: Median of the present values.
        span: Over how much the present values spread without the least and the largest 64th of the rows.
    """

    name: str
    feature: str
    mean: float
    std: float
    log_mean: float
    log_std: float
    knots: tuple[float, ...]
    missing: float
    median: float = 0.0
    span: float = 0.0


@dataclass(frozen=True)
class StatisticColumn:
    """A column of the group `statistics` (one source), `pairs` (two) or `margins` (none).

    Args:
        name: For example `rate(user)`, `count(user, item)`, `margin(click)`.
        sources: The id columns it is keyed by.
        kind: `rate`: logit of the smoothed target mean (for ratings the smoothed mean itself);
            `count`: `log1p` of the number of training rows; `margin`: what trees predict, a logit
            (for ratings a value).
        target: The target of a rate or a margin, None for a count.
        mean: Mean over the training rows.
        std: Standard deviation over the training rows, 1 for a constant column.
    """

    name: str
    sources: tuple[str, ...]
    kind: str
    target: str | None
    mean: float
    std: float


@dataclass(frozen=True)
class LeafColumn:
    """A column of the group `leaves`: a tree.

    Args:
        name: For example `tree 12`.
        size: Number of local ids: two more than the tree has leaves.
    """

    name: str
    size: int


@dataclass(frozen=True)
class ListColumn:
    """A bag or a sequence: a group of its own.

    Args:
        name: Feature name.
        group: Group key, `list_0`, `list_1`, ...
        kind: `bag` or `sequence`.
        size: Number of local ids, the two reserved ones included.
        table: Name of the vocabulary's owner (an id column's table when the vocabulary is shared).
        length: Largest number of values kept (the newest).
        dim: Width the user fixed, or None.
        pretrained: Path of an `.npz` file with local `ids` and `vectors` in an open cache, or None.
        attributes: Names of the id columns that its items decide, see `autorec.data.attributes`.
        means: Mean over the training rows of the list's mean likeness to the row's item: in being the same, then in
            each attribute; empty where it is not compared.
        stds: Standard deviations of it.
        attribute_file: Path of the attributes' values in an open cache, or None.
    """

    name: str
    group: str
    kind: str
    size: int
    table: str
    length: int
    dim: int | None = None
    pretrained: str | None = None
    attributes: tuple[str, ...] = ()
    means: tuple[float, ...] = ()
    stds: tuple[float, ...] = ()
    attribute_file: str | None = None


@dataclass(frozen=True)
class TargetColumn:
    """A target with what was learned from its training rows.

    Args:
        name: Column name.
        kind: `binary` or `real`.
        mean: Mean of the labelled training rows.
        std: Standard deviation, 1 for a constant.
        low: Least training value.
        high: Largest training value.
    """

    name: str
    kind: str
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True)
class Layout:
    """All columns of an encoding, group by group, in the order of the arrays' columns."""

    ids: tuple[IdColumn, ...] = ()
    numbers: tuple[NumberColumn, ...] = ()
    statistics: tuple[StatisticColumn, ...] = ()
    pairs: tuple[StatisticColumn, ...] = ()
    lists: tuple[ListColumn, ...] = ()
    targets: tuple[TargetColumn, ...] = ()
    user: str | None = None
    item: str | None = None
    margins: tuple[StatisticColumn, ...] = ()
    leaves: tuple[LeafColumn, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Keys of the groups that have columns."""
        fixed = [key for key in FIXED_GROUPS if getattr(self, key)]
        return (*fixed, *(column.group for column in self.lists))

    def position(self, name: str) -> int:
        """Returns where the id column `name` stands in the group `ids`."""
        return [column.name for column in self.ids].index(name)

    def candidate(self, column: ListColumn) -> IdColumn | None:
        """Returns the id column that a list's items are compared with, None if there is none.

        It shares its table; of several the item's, else the first.
        """
        columns = [each for each in self.ids if each.table == column.table]
        return next((each for each in columns if each.name == self.item), columns[0] if columns else None)

    def with_files(self, pretrained: Mapping[str, str], attributes: Mapping[str, str]) -> Layout:
        """Returns the layout with the paths of these files of an open cache, and no other.

        Args:
            pretrained: Path of pretrained vectors by table.
            attributes: Path of the attributes of a list's items, by its name.
        """
        ids = (replace(column, pretrained=pretrained.get(column.table)) for column in self.ids)
        lists = (
            replace(column, pretrained=pretrained.get(column.table), attribute_file=attributes.get(column.name))
            for column in self.lists
        )
        return replace(self, ids=tuple(ids), lists=tuple(lists))

    def to_dict(self) -> dict[str, Any]:
        """Returns the layout as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Layout:
        """Returns the layout that `to_dict` wrote, also after a trip through JSON."""

        def columns(kind: type, key: str) -> tuple[Any, ...]:
            found = values.get(key, ())  # an older layout has no trees
            return tuple(kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in c.items()}) for c in found)

        return cls(
            ids=columns(IdColumn, "ids"),
            numbers=columns(NumberColumn, "numbers"),
            statistics=columns(StatisticColumn, "statistics"),
            pairs=columns(StatisticColumn, "pairs"),
            lists=columns(ListColumn, "lists"),
            targets=columns(TargetColumn, "targets"),
            user=values.get("user"),
            item=values.get("item"),
            margins=columns(StatisticColumn, "margins"),
            leaves=columns(LeafColumn, "leaves"),
        )
