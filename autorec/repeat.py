"""Repeats a search from the configuration that its run keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autorec.arguments import Progress
from autorec.config import SearchConfig
from autorec.data.schema import Schema
from autorec.errors import ConfigError
from autorec.recommender import CTRRecommender, RatingRecommender, Recommender
from autorec.spaces.space import from_config
from autorec.training.options import TrainOptions


def search_from_config(
    config: SearchConfig,
    *,
    directory: str | Path,
    data: Any = None,
    progress: bool | Progress = True,
    **execution: Any,
) -> Recommender:
    """Repeats the search that a run's `config.json` describes.

    Args:
        config: The configuration.
        directory: Run directory; that of the run itself resumes it.
        data: Rows to learn from; None takes the path that the configuration names.
        progress: As in `Recommender.search`.
        execution: `workers`, `executor` and `ray_address` as in `Recommender.search`.

    Raises:
        ConfigError: If the run was not made from a path, or with objects that a file cannot hold.
    """
    source = config.data if data is None else data
    if data is None and not Path(config.data).exists():
        raise ConfigError(
            "data", "the path of the rows; the run was made from", config.data, "Name it beside --config."
        )
    if config.validation is not None and not Path(config.validation).exists():
        raise ConfigError("validation_data", "the path of a file that is there", config.validation)
    kind = CTRRecommender if config.task == "ctr" else RatingRecommender
    fidelity = "full" if config.fidelity is None else config.fidelity  # None would leave it to the effort
    recommender = kind(from_config(config.space), directory=directory, options=TrainOptions.from_dict(config.options))
    taken = ("task", "data", "target", "validation", "roles", "space", "options", "fraction", "schema", "fidelity")
    rest: dict[str, Any] = {name: value for name, value in config.to_dict().items() if name not in taken}
    return recommender.search(
        source,
        target=config.target if len(config.target) > 1 else config.target[0],
        validation_data=config.validation,
        validation_fraction=config.fraction,
        fidelity=fidelity,
        schema=None if config.schema is None else Schema.from_dict(config.schema),
        progress=progress,
        **{**config.roles, **rest, **execution},
    )
