"""Limits of what a model may cost, checked before it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from autorec.errors import TrialFailed
from autorec.units import milliseconds, size

_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "bytes"))


class OverBudget(TrialFailed):
    """A model that costs more than is allowed.

    Its trial is a failed row that costs no training, and does not count for `max_trials`.

    Args:
        message: The limit and what was found.
        costs: What is known of the model, for the row.
    """

    def __init__(self, message: str, costs: dict[str, Any]) -> None:
        super().__init__(message)
        self.costs = costs


@dataclass(frozen=True)
class Budgets:
    """What a model may cost, and what a search looks at beside its first objective.

    Args:
        max_model_size: Most bytes of all weights in float32, or a text such as `"10MB"`; None is no limit.
        max_latency: Most milliseconds for one row, see `autorec.export.latency`; None is no limit.
        objectives: Names of the objectives: metrics or `pareto.COSTS`. The first one ranks, and is the only one that a
            searcher hears of; the leaderboard marks the Pareto front of all. Evolution prefers few operations anyway.

    Raises:
        ConfigError: If a limit is not positive.

    Example:
        >>> Budgets(max_model_size="10MB", max_latency=2.0, objectives=("val_auc", "latency"))
    """

    max_model_size: int | str | None = None
    max_latency: float | None = None
    objectives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_model_size", size("max_model_size", self.max_model_size))
        object.__setattr__(self, "max_latency", milliseconds("max_latency", self.max_latency))
        object.__setattr__(self, "objectives", tuple(self.objectives))

    @property
    def timed(self) -> bool:
        """Whether the latency has to be measured."""
        return self.max_latency is not None or "latency" in self.objectives

    def check(self, costs: dict[str, Any]) -> None:
        """Checks what is known of a model against the limits.

        Args:
            costs: `model_size` in bytes and `latency` in milliseconds, either may be absent.

        Raises:
            OverBudget: If one is over its limit; names both.
        """
        limits: tuple[tuple[str, Any, Callable[[float, int], str]], ...] = (
            ("model size", self.max_model_size, size_text),
            ("latency", self.max_latency, _latency_text),
        )
        for name, limit, text in limits:
            found = costs.get(name.replace(" ", "_"))
            if limit is not None and found is not None and found > limit:
                # As many digits as it takes to tell them apart.
                texts = ((text(found, digits), text(limit, digits)) for digits in (3, 6, 12))
                mine, most = next((pair for pair in texts if pair[0] != pair[1]), (str(found), str(limit)))
                raise OverBudget(f"{name} {mine} is over max_{name.replace(' ', '_')} {most}", costs)


def model_size(model: Any) -> int:
    """Returns the bytes of all weights of a Keras model in float32, as an export holds them."""
    return 4 * sum(prod(weight.shape) for weight in model.weights)


def size_text(count: float, digits: int = 3) -> str:
    """Returns a number of bytes as people write it.

    Example:
        >>> size_text(12_345_678)
        '12.3 MB'
    """
    unit, name = next(((unit, name) for unit, name in _UNITS if count >= unit), _UNITS[-1])
    return f"{_number(count / unit, digits)} {name}"


def _latency_text(value: float, digits: int = 3) -> str:
    return f"{_number(value, digits)} ms"


def _number(value: float, digits: int) -> str:
    """Returns a number with so many digits, those before the point in any case."""
    places = max(digits - len(str(int(value))) + (value < 1), 0)
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
