"""Which columns of a batch may have made a loss that is not finite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autorec.data.layout import Layout, NumberColumn

# Times the usual spread of a column from which a value is extreme: far beyond the tails of prices and of counts.
_EXTREME = 1e4
_NAMED = 3


@dataclass(frozen=True)
class _Column:
    """What a column holds in a batch.

    Args:
        name: Its name.
        infinite: Number of infinite values.
        low: Least of the finite values.
        high: Largest of them.
        mean: Mean of them.
        center: Where most of its training rows are.
        spread: Over how much they spread, positive.
    """

    name: str
    infinite: int
    low: float
    high: float
    mean: float
    center: float
    spread: float

    @property
    def distance(self) -> float:
        """Spreads from the center to the furthest value."""
        if self.infinite:
            return np.inf
        return max(abs(self.low - self.center), abs(self.high - self.center)) / self.spread

    def __str__(self) -> str:
        values = f"{self.low:g} to {self.high:g}, mean {self.mean:g}"
        if self.infinite:
            others = "no other" if np.isnan(self.low) else f"the others {values}"
            values = f"{self.infinite} infinite, {others}"
        return f"{self.name!r} ({values}; usually about {self.center:g}, give or take {self.spread:g})"


def suspects(layout: Layout, arrays: Mapping[str, np.ndarray], labels: np.ndarray) -> str:
    """Returns which columns hold infinite or extreme values, in words; else which come nearest to that.

    A value's distance is measured from the median in spans of the column's values without the outermost, as one
    extreme value in the training rows also moves their mean and standard deviation. Missing values do not count.

    Args:
        layout: Columns of the rows.
        arrays: Group -> (rows, columns) of `numbers`, `statistics`, `pairs` and `margins`; others are not looked at.
        labels: (rows, targets).

    Returns:
        A sentence's part, empty if there is no column of numbers.

    Example:
        >>> suspects(layout, {"numbers": numbers}, labels)
        "suspicious columns are 'price' (2 to 1e+30, mean 1e+26; usually about 5, give or take 8)"
    """
    found = sorted(_columns(layout, arrays, labels), key=lambda column: -column.distance)
    extreme = [column for column in found if column.distance > _EXTREME]
    if extreme:
        more = f" and {len(extreme) - _NAMED} more" if len(extreme) > _NAMED else ""
        return f"suspicious columns are {', '.join(map(str, extreme[:_NAMED]))}{more}"
    if found:
        return f"no column is extreme, furthest out are {', '.join(map(str, found[:_NAMED]))}"
    return ""


def _columns(layout: Layout, arrays: Mapping[str, np.ndarray], labels: np.ndarray) -> list[_Column]:
    pairs = [
        (column, arrays[group][:, i])
        for group in ("numbers", "statistics", "pairs", "margins")
        if group in arrays
        for i, column in enumerate(getattr(layout, group))
    ]
    columns = [_column(c.name, values, *_usual(c)) for c, values in pairs]
    targets = enumerate(layout.targets)
    columns += [_column(t.name, labels[:, i], t.mean, t.std) for i, t in targets if t.kind == "real"]
    return [column for column in columns if column is not None]


def _usual(column: object) -> tuple[float, float]:
    """Returns center and spread of a column's training rows."""
    if isinstance(column, NumberColumn) and column.span > 0:
        return column.median, column.span
    return column.mean, column.std  # type: ignore[attr-defined]


def _column(name: str, values: np.ndarray, center: float, spread: float) -> _Column | None:
    present = np.asarray(values, np.float64)
    present = present[~np.isnan(present)]
    finite = present[np.isfinite(present)]
    if not len(present):
        return None
    if not len(finite):
        return _Column(name, len(present), np.nan, np.nan, np.nan, center, spread)
    with np.errstate(over="ignore"):
        mean = float(finite.mean())
    return _Column(name, len(present) - len(finite), float(finite.min()), float(finite.max()), mean, center, spread)
