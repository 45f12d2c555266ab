"""What a search was asked to do: kept with every run as JSON, and enough to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from autorec.errors import ConfigError, nearest, unknown_name

SPLITS = ("random", "time", "user")


@dataclass
class SearchConfig:
    """The arguments of one search, as plain JSON values.

    `task` is `ctr` or `rating`; `data` and `validation` describe the sources (a path where they have one); `schema` is
    the schema, inferred or given; `space` and `options` are what `to_config` and `to_dict` gave; `warm_start` holds the
    values that another run's trials had; the rest are the arguments of `search`, with what `effort` filled in.
    """

    task: str
    data: str
    target: list[str]
    validation: str | None = None
    roles: dict[str, str | None] = field(default_factory=dict)
    schema: dict[str, Any] | None = None
    space: dict[str, Any] = field(default_factory=dict)
    searcher: str = "evolution"
    effort: str | None = None
    max_trials: int | None = None
    time_limit: float | None = None
    fidelity: str | dict[str, Any] | None = None
    max_model_size: int | None = None
    max_latency: float | None = None
    objective: str | list[str] | None = None
    warm_start: dict[str, Any] | None = None
    batch_size: int | None = None
    epochs: int | None = None
    seed: int = 0
    split: str = "random"
    fraction: float = 0.1
    statistics: str | None = "ordered"
    trees: bool = False
    refit: bool = False
    ensemble: bool = False
    calibrate: str | None = None
    utility: dict[str, float] | None = None
    keep: int = 5
    baselines: bool = True
    options: dict[str, Any] = field(default_factory=dict)

    # A run can go on with another budget, but not as another experiment.
    BUDGET: ClassVar = (
        "effort",
        "max_trials",
        "time_limit",
        "refit",
        "ensemble",
        "calibrate",
        "utility",
        "keep",
        "baselines",
    )

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise unknown_name("split", self.split, SPLITS)
        if self.statistics not in ("ordered", "kfold", None):
            raise ConfigError(
                "statistics",
                "'auto', 'ordered', 'kfold' or None",
                self.statistics,
                nearest(self.statistics, ("auto", "ordered", "kfold")),
            )
        if not isinstance(self.fraction, float) or not 0.0 < self.fraction < 1.0:
            raise ConfigError("validation_fraction", "a number between 0 and 1", self.fraction)
        for name in ("max_trials", "batch_size", "epochs", "keep"):
            _check_whole(name, getattr(self, name))
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ConfigError("seed", "a whole number of 0 or more", self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain JSON values."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SearchConfig:
        """Returns the configuration that `to_dict` wrote.

        Raises:
            ConfigError: If a key is not known, with the nearest names.
        """
        known = [item.name for item in fields(cls)]
        for key in values:
            if key not in known:
                raise unknown_name("config", key, known)
        return cls(**values)

    def differences(self, other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Returns what makes this another experiment than `other`: name -> (there, here)."""
        mine = self.to_dict()
        skipped = (*self.BUDGET, "data", "validation", "schema")  # rows and columns are compared by themselves
        return {
            name: (_in_short(other[name]), _in_short(mine[name]))
            for name in mine
            if name not in skipped and name in other and mine[name] != other[name]
        }


def _in_short(value: Any) -> Any:
    """Returns a warm start as the run that it is taken from, anything else as it is."""
    return value["run"] if isinstance(value, Mapping) and "trials" in value else value


def _check_whole(name: str, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(name, "a whole number of 1 or more", value)
