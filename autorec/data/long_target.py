"""A real-valued target that stands for a yes or no: long, for its context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import NoneType
from typing import Any

from autorec.errors import ConfigError, unknown_name


@dataclass(frozen=True)
class LongTarget:
    """Turns a real-valued target, such as a dwell time, into a binary one: long for its context, or not.

    `y = 1 if value > q_c else 0`, where `q_c` is the quantile of the training rows of the context `c`

    A minute is long for a picture and short for a film: the threshold is one for each value of `by`, learned on the
    training rows only. Contexts with fewer rows, and unseen ones, have the threshold of all rows. A missing value gives
    a missing label.

    Args:
        by: Column, or several, whose values are the contexts; None takes one threshold for all rows.
        quantile: Which quantile is the threshold, in (0, 1) (default 0.75: the longest quarter is long).
        least: Labelled training rows that a context needs for a threshold of its own, 1 or more (default 100).

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> rec.search(frame, target=["click", "dwell"], long={"dwell": LongTarget(by="category", quantile=0.8)})

    Source: LiRank-style; Borisyuk et al., "LiRank: Industrial Large Scale Ranking Models at LinkedIn" (KDD 2024) has a
    long dwell for a context among its targets. The quantile and the fallback are ours.
    """

    by: tuple[str, ...] = ()
    quantile: float = 0.75
    least: int = 100

    def __init__(self, by: Any = None, quantile: float = 0.75, least: int = 100) -> None:
        names = (by,) if isinstance(by, str) else tuple(by or ()) if isinstance(by, (list, tuple, NoneType)) else (by,)
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise ConfigError("by", "the name of a column, a list of different ones, or None", by)
        if isinstance(quantile, bool) or not isinstance(quantile, (int, float)) or not 0.0 < quantile < 1.0:
            raise ConfigError("quantile", "a number between 0 and 1", quantile)
        if isinstance(least, bool) or not isinstance(least, int) or least < 1:
            raise ConfigError("least", "a whole number of 1 or more", least)
        for name, value in (("by", names), ("quantile", float(quantile)), ("least", least)):
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """Returns the target as plain JSON values."""
        return {**asdict(self), "by": list(self.by)}


def as_long_targets(value: Any) -> dict[str, LongTarget] | None:
    """Returns what stands for long targets as a dict: of `LongTarget` objects, dicts of their arguments, or columns.

    Raises:
        ConfigError: If it is none of that form.

    Example:
        >>> as_long_targets({"dwell": "category"})
        {'dwell': LongTarget(by=('category',), quantile=0.75, least=100)}
    """
    if value is None or value == {}:
        return None
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ConfigError("long", "a dict {target: LongTarget(...)}, or None", value)
    return {name: _long_target(item) for name, item in value.items()}


def _long_target(value: Any) -> LongTarget:
    if isinstance(value, LongTarget):
        return value
    if isinstance(value, Mapping):
        for name in value:
            if name not in ("by", "quantile", "least"):
                raise unknown_name("long", name, ("by", "quantile", "least"))
        return LongTarget(**value)
    return LongTarget(value)
