"""The recommenders: from a log to a searched, trained, tested and exported Keras model."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator

from autorec.config import seconds
from autorec.data.schema import Schema
from autorec.errors import ConfigError
from autorec.experiment import Experiment
from autorec.training.options import TrainOptions

Progress = Callable[[dict[str, Any]], None]


class Recommender(BaseEstimator):
    """What both recommenders share: search, fit, leaderboard, evaluate, predict, export.

    The constructor only stores; `search` and `fit` learn, and what is learned ends in `_`.

    Args:
        space: Name of a preset or `"auto"`, a `keras_tuner.HyperModel`, or a function `build(hp)` that returns a
            Keras model (see `autorec.inputs` and `autorec.ctr_model`).
        directory: Run directory; None keeps the run in a temporary one that goes with this object.
        options: How models are trained; None searches the recipe around its defaults.
    """

    _task: ClassVar[str]

    def __init__(
        self,
        space: Any = "auto",
        *,
        directory: str | Path | None = None,
        options: TrainOptions | None = None,
    ) -> None:
        self.space = space
        self.directory = directory
        self.options = options

    def search(
        self,
        data: Any,
        y: Any = None,
        *,
        target: str | Sequence[str] | None = None,
        validation_data: Any = None,
        schema: Schema | str | Path | None = None,
        space: Any = None,
        searcher: Any = "random",
        max_trials: int | None = None,
        time_limit: float | str | None = None,
        objective: Any = None,
        callbacks: Sequence[Any] = (),
        batch_size: int | None = None,
        epochs: int | None = None,
        seed: int = 0,
        split: str = "random",
        validation_fraction: float = 0.1,
        statistics: str | None = "ordered",
        refit: bool = False,
        keep: int = 5,
        baselines: bool = True,
        options: TrainOptions | None = None,
        directory: str | Path | None = None,
        progress: bool | Progress = True,
        weight: str | None = None,
        user: str | None = None,
        item: str | None = None,
        group: str | None = None,
        time: str | None = None,
    ) -> Self:
        """Searches for the best model; called again on the same run it resumes or goes on.

        Args:
            data: Path (Parquet, a folder of Parquet files, CSV or TSV, also gzipped), pandas, Polars or PyArrow
                table, dict of arrays, or a NumPy matrix with `y`.
            y: The target's values, if `data` does not hold them.
            target: Name of the target column, or a list of names.
            validation_data: Rows to validate on; None splits them off `data`.
            schema: A schema or the path of one; None infers it and says what it found.
            space: See the constructor; a value here wins.
            searcher: `"random"`, `"bayesian"`, `"hyperband"`, `"greedy"`, or a `keras_tuner.Oracle`.
            max_trials: Number of trials in all; None is no limit, and 20 if there is no `time_limit` either.
            time_limit: Seconds, or a text such as `"10m"`, for everything that this call does.
            objective: Metric that ranks trials, such as `"val_auc"`; by default `val_auc`, for ratings `val_rmse`.
            callbacks: Keras callbacks; each trial gets copies of its own.
            batch_size: Rows of a training step; None chooses by the number of rows.
            epochs: Most epochs of a trial; None lets early stopping decide within the default limit.
            seed: Seed of the split, the search and every trial.
            split: How validation rows are chosen: `"random"`, `"time"` (the last ones) or `"user"` (whole users).
            validation_fraction: Share of rows to validate on, in (0, 1).
            statistics: Target and count statistics: `"ordered"`, `"kfold"` or None.
            refit: Train the winner once more on all rows, for as many epochs as its best one.
            keep: Number of best trials whose model files are kept.
            baselines: Whether to train the simple baselines of the leaderboard.
            options: See the constructor; a value here wins.
            directory: See the constructor; a value here wins.
            progress: True prints progress, False is silent, a function receives each event as a dict.
            weight, user, item, group, time: Columns with a role.

        Returns:
            The recommender itself.

        Raises:
            ConfigError: If an argument cannot be used.
            DataError: If the data cannot be used; both before any training.
            SearchAborted: If no trial can be trained.
        """
        start = clock.monotonic()
        limit = seconds("time_limit", time_limit)
        roles = {"weight": weight, "user": user, "item": item, "group": group, "time": time}
        experiment = Experiment(
            task=self._task,
            directory=self._run_directory(directory),
            space=self.space if space is None else space,
            options=options or self.options or TrainOptions(),
            searcher=searcher,
            callbacks=list(callbacks),
            progress=_progress(progress),
            deadline=None if limit is None else start + limit,
        )
        experiment.prepare(
            data,
            y,
            schema=schema,
            validation_data=validation_data,
            arguments={
                "target": target,
                "roles": roles,
                "max_trials": max_trials if max_trials or limit else 20,
                "time_limit": limit,
                "objective": objective,
                "batch_size": batch_size,
                "epochs": epochs,
                "seed": seed,
                "split": split,
                "fraction": validation_fraction,
                "statistics": statistics,
                "refit": refit,
                "keep": keep,
                "baselines": baselines,
            },
        )
        experiment.search()
        return self._adopt(experiment)

    def fit(self, data: Any, y: Any = None, **arguments: Any) -> Self:
        """Trains one model: the space at its default values. Takes the arguments of `search`.

        Example:
            >>> rec = CTRRecommender(space="dcnv2").fit(frame, target="click")
        """
        for name in ("searcher", "max_trials"):
            if name in arguments:
                raise ConfigError(name, "left out of `fit`, which trains one model; see `search`", arguments[name])
        settings = {"baselines": False, "progress": False, **arguments}
        return self.search(data, y, searcher="greedy", max_trials=1, **settings)
