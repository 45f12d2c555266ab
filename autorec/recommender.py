"""The recommenders: from a log to a searched, trained, tested and exported Keras model."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from autorec import arguments as checked
from autorec.arguments import Progress
from autorec.data.schema import Schema
from autorec.effort import fill
from autorec.errors import ConfigError
from autorec.experiment import Experiment
from autorec.files import absolute
from autorec.learned import Learned
from autorec.progress import ProgressPrinter
from autorec.run import Run
from autorec.searchers.executors import Execution
from autorec.spaces.space import as_space, from_config, is_stored
from autorec.steps.clock import Clock
from autorec.training.options import TrainOptions
from autorec.units import milliseconds, seconds, size

# Arguments of `search` that make no sense where one model is trained.
_NOT_IN_FIT = (
    "searcher",
    "effort",
    "max_trials",
    "fidelity",
    "warm_start",
    "max_model_size",
    "max_latency",
    "ensemble",
    "workers",
    "executor",
    "ray_address",
)


class TemporaryRun:
    """A run directory that goes when nobody has this object any more."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="autorec-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.directory = Path(folder) / "run"


class Recommender(Learned):
    """What both recommenders share: search, fit, leaderboard, evaluate, predict, export.

    The constructor only stores; `search` and `fit` learn, and what is learned ends in `_`.

    Args:
        space: Name of a preset or `"auto"`, a `keras_tuner.HyperModel`, or a function `build(hp)` that returns a
            Keras model (see `autorec.inputs` and `autorec.ctr_model`). None is `"auto"`, or what `effort` says.
        directory: Run directory; None keeps the run in a temporary one that goes with this object, or when another run
            takes its place.
        options: How models are trained; None searches the recipe around its defaults.
    """

    _task: ClassVar[str]

    def __init__(
        self,
        space: Any = None,
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
        searcher: Any = None,
        effort: str | None = None,
        max_trials: int | None = None,
        time_limit: float | str | None = None,
        fidelity: Any = None,
        max_model_size: int | str | None = None,
        max_latency: float | None = None,
        objective: Any = None,
        warm_start: Any = None,
        callbacks: Sequence[Any] | None = (),
        batch_size: int | None = None,
        epochs: int | None = None,
        seed: int = 0,
        split: str = "random",
        validation_fraction: float = 0.1,
        statistics: str | None = "auto",
        trees: bool | None = None,
        refit: bool | None = None,
        ensemble: bool | None = None,
        calibrate: bool | str | None = None,
        keep: int | None = None,
        baselines: bool = True,
        options: TrainOptions | None = None,
        directory: str | Path | None = None,
        progress: bool | Progress = True,
        workers: int | None = None,
        executor: Any = None,
        ray_address: str | None = None,
        weight: str | None = None,
        user: str | None = None,
        item: str | None = None,
        group: str | None = None,
        time: str | None = None,
        long: Any = None,
        utility: Mapping[str, float] | None = None,
    ) -> Self:
        """Searches for the best model; called again on the same run it resumes or goes on.

        Args:
            data: Path (Parquet, a folder of Parquet files, CSV or TSV, also gzipped), pandas, Polars or PyArrow
                table, dict of arrays, or a NumPy matrix with `y`.
            y: The target's values, if `data` does not hold them.
            target: Name of the target column, or a list of names.
            validation_data: Rows to validate on, or a pair of them and their target's values; None splits them off
                `data`.
            schema: A schema or the path of one; None infers it and says what it found.
            space: See the constructor; a value here wins.
            searcher: `"evolution"` (the default), `"random"`, `"bayesian"`, `"hyperband"`, `"greedy"`, `"ensemble"`
                (grows one, which is the model), or a `keras_tuner.Oracle`.
            effort: For who does not want to choose: `"fast"` (a good model soon) or `"best"` (the best one within the
                time). What is given beside it wins.
            max_trials: Number of trials of the search; None is an oracle's own, else no limit, and 20 if there is no
                `time_limit` either.
            time_limit: Seconds, or a text such as `"10m"`, for everything that this call does.
            fidelity: How cheap the trials of the search are, before the best few are trained in full: None or
                `"full"` (all in full), `"auto"`, or a `Schedule` of `autorec.searchers.fidelity`, also as a dict. Where
                the search ends in an ensemble, what it leans on is trained over several seeds, else the best few.
            max_model_size: Largest size of the exported weights, in bytes or as `"10MB"`; a larger model fails before
                it is trained.
            max_latency: Longest time for one row in milliseconds, measured; a slower model fails.
            objective: Metric that ranks trials, such as `"val_auc"`; by default `val_auc`, for ratings `val_rmse`. Of
                a list the first one ranks; the leaderboard marks what no other trial beats in all of them. Beside
                metrics there are `"latency"`, `"operations"`, `"parameters"` and `"model_size"`.
            warm_start: Directory of another run, on these or other data, whose best architectures are tried first.
            callbacks: Keras callbacks; each trial gets copies of its own.
            batch_size: Rows of a training step; None chooses by the number of rows.
            epochs: Most epochs of a trial; None lets early stopping decide within the default limit.
            seed: Seed of the split, the search and every trial.
            split: How validation rows are chosen: `"random"`, `"time"` (the last ones) or `"user"` (whole users).
            validation_fraction: Share of rows to validate on, in (0, 1).
            statistics: Target and count statistics: `"ordered"`, `"kfold"` or None; `"auto"` is `"kfold"` where trees
                are grown and validation rows are not later ones (`split="time"`, or given ones of rows with a time),
                else `"ordered"`.
            trees: Whether small gradient-boosted trees are grown, whose predictions and leaves models may read; by
                default they are not.
            refit: Train the model of the end, the winner or all members of the ensemble, once more on all rows, encoded
                anew, each for as many epochs as its best one; by default it is not. With `ensemble` and a time limit
                alone, time that is left goes to further networks of them, with other seeds, up to twelve in all.
            ensemble: Whether to end in an ensemble of the best trials, pruned, which then is the model, unless it
                validates clearly worse than the best one; by default it does not.
            calibrate: Calibrate the model in the end, on the validation rows: `"isotonic"`, `"platt"`,
                `"temperature"`, or True or `"auto"` for whichever is best on rows it was not fitted to, if any helps;
                by default it is not. `Recommender.calibrate` does so afterwards, with more choices.
            keep: Number of best trials whose model files are kept (1 or more; default 5); until there is an ensemble,
                also those of what it may lean on.
            baselines: Whether to train the simple baselines of the leaderboard.
            options: See the constructor; a value here wins.
            directory: See the constructor; a value here wins.
            progress: True prints progress, False is silent, a function receives each event as a dict.
            workers: Trials that are trained at a time, each in a process with its share of the cores; None is one at a
                time in this process, on a Ray cluster as many as it has room for.
            executor: `"processes"` of this machine (what more than one worker takes), `"ray"`, or a `RayCluster` of
                `autorec.searchers.ray_cluster` with what each trial takes.
            ray_address: Address of a Ray cluster, `host:port`; None takes what Ray finds.
            weight, user, item, group, time: Columns with a role.
            long: Targets that are real-valued in the data, such as a dwell time, and are learned as long for their
                context: a dict {target: `LongTarget`, a dict of its arguments, or the column of the contexts}.
            utility: Weight of each target in the utility, a dict: `predict` then also gives `utility`, the sum of
                weight times probability (rating). It changes no training; a call on the same run may state another.

        Returns:
            The recommender itself.

        Raises:
            ConfigError: If an argument cannot be used.
            DataError: If the data cannot be used; both before any training.
            SearchAborted: If no trial can be trained.
        """
        clock = Clock()
        chosen = fill(
            effort,
            {
                "space": self.space if space is None else space,
                "searcher": searcher,
                "max_trials": _own_trials(searcher) if max_trials is None else checked.plain(max_trials),
                "time_limit": seconds("time_limit", time_limit),
                "fidelity": fidelity,
                "epochs": checked.plain(epochs),
                "options": self.options if options is None else options,
                "trees": trees,
                "refit": refit,
                "ensemble": ensemble,
                "keep": checked.plain(keep),
            },
        )
        clock.limit = chosen["time_limit"]
        emit = checked.emitter(progress)
        training = checked.options(chosen["options"])
        experiment = Experiment(
            task=self._task,
            directory=self._run_directory(directory),
            space=chosen["space"],
            options=training,
            searcher=chosen["searcher"],
            callbacks=checked.callbacks(callbacks),
            emit=emit,
            clock=clock,
            execution=Execution(checked.plain(workers), executor, ray_address, training.strategy),
        )
        try:
            experiment.prepare(
                data,
                y,
                schema=schema,
                validation=validation_data,
                arguments={
                    "target": target,
                    "roles": {"weight": weight, "user": user, "item": item, "group": group, "time": time},
                    "effort": effort,
                    "max_trials": _trials(chosen),
                    "time_limit": clock.limit,
                    "fidelity": checked.fidelity(chosen["fidelity"]),
                    "max_model_size": size("max_model_size", max_model_size),
                    "max_latency": milliseconds("max_latency", max_latency),
                    "objective": objective,
                    "warm_start": warm_start,
                    "batch_size": checked.plain(batch_size),
                    "epochs": chosen["epochs"],
                    "seed": checked.plain(seed),
                    "split": split,
                    "fraction": checked.plain(validation_fraction),
                    "statistics": statistics,
                    "trees": checked.flag("trees", chosen["trees"]),
                    "refit": checked.flag("refit", chosen["refit"]),
                    "ensemble": checked.flag("ensemble", chosen["ensemble"]),
                    "long": long,
                    "utility": checked.utility(utility),
                    "calibrate": checked.calibrate(calibrate, self._task),
                    "keep": chosen["keep"],
                    "baselines": checked.flag("baselines", baselines),
                },
            )
            experiment.search()
        finally:
            if isinstance(emit, ProgressPrinter):
                emit.close()
        return self._adopt(experiment)

    def fit(self, data: Any, y: Any = None, **arguments: Any) -> Self:
        """Trains one model: the space at its default values.

        Takes the arguments of `search` but for those of a search: `searcher`, `effort`, `max_trials`, `fidelity`,
        `warm_start`, `max_model_size`, `max_latency`, `ensemble`, `workers`, `executor` and `ray_address`.

        Example:
            >>> rec = CTRRecommender(space="dcnv2").fit(frame, target="click")
        """
        for name in _NOT_IN_FIT:
            if name in arguments:
                raise ConfigError(name, "left out of `fit`, which trains one model; see `search`", arguments[name])
        settings = {"baselines": False, "progress": False, **arguments}
        return self.search(data, y, searcher="greedy", max_trials=1, **settings)

    @classmethod
    def load(cls, directory: str | Path, *, space: Any = None) -> Self:
        """Returns the recommender of a run that is there: what `search` learned in another process, or an hour ago.

        `search` on it goes on with the run, given the same data and arguments. For predictions alone `autorec.load` is
        enough, which also takes exported folders.

        Args:
            directory: Run directory.
            space: The space of the run, if it is a function or HyperModel of your own: files hold no code.

        Raises:
            ConfigError: If there is no run, or one of the other task.

        Example:
            >>> CTRRecommender.load("runs/clicks").ensemble(size=5).export("model/")
        """
        run = Run(directory, read_only=True)
        config = run.config or {}
        if config.get("task") != cls._task:
            raise ConfigError("directory", f"a run of the task {cls._task!r}", config.get("task"))
        if space is None and is_stored(config["space"]):
            space = from_config(config["space"])
        found = cls(space, directory=directory, options=TrainOptions.from_dict(config["options"]))
        found._directory = run.directory
        found._searched = (None if space is None else as_space(space), checked.options(found.options))
        found._know(Schema.from_dict(config["schema"]).names)
        return found

    def _run_directory(self, directory: str | Path | None) -> Path:
        given = directory if directory is not None else self.directory
        if given is not None:
            return absolute(given)
        self._begun = TemporaryRun()
        return self._begun.directory

    def _adopt(self, experiment: Experiment) -> Self:
        mine = [self.__dict__.pop(name, None) for name in ("_begun", "_temporary")]
        kept = next((each for each in mine if each is not None and each.directory == experiment.directory), None)
        if kept is not None:
            self._temporary = kept
        self._directory = experiment.directory
        self._searched = (experiment.model_space, experiment.options)
        self.__dict__.pop("_predictor", None)  # of an earlier search
        self._know(experiment.schema.names)
        return self

    def _know(self, features: Sequence[str]) -> None:
        """Keeps what scikit-learn wants to know of the features."""
        self.n_features_in_ = len(features)
        self.feature_names_in_ = np.array(features, dtype=object)


class CTRRecommender(Recommender):
    """Learns the probability of a click, a like or any other target of 0 and 1.

    Arguments as of `Recommender`.

    Example:
        >>> rec = CTRRecommender(directory="runs/clicks")
        >>> rec.search("clicks.parquet", target="click", time_limit="10m")
        >>> rec.evaluate("test.parquet")
        {'auc': 0.79, 'log_loss': 0.41, 'ece': 0.01}
        >>> rec.export("model/")
    """

    _task = "ctr"

    @property
    def classes_(self) -> np.ndarray:
        """The two classes, 0 and 1."""
        return np.array([0, 1])

    def predict_proba(self, data: Any) -> np.ndarray:
        """Returns the probabilities of 0 and of 1, (rows, 2) float32, as scikit-learn's scorers want them.

        Raises:
            ConfigError: If there are several targets.
        """
        targets = self.schema_.targets
        if len(targets) > 1:
            raise ConfigError("target", "one target for `predict_proba`", targets)
        found = self.predict(data)
        chance = found[targets[0]] if isinstance(found, dict) else found  # beside a utility
        return np.stack([1 - chance, chance], axis=1)

    def score(self, data: Any, y: Any = None) -> float:
        """Returns the AUC, averaged over the targets."""
        found = self.evaluate(data, y)
        return float(np.mean([value for name, value in found.items() if name == "auc" or name.endswith("_auc")]))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags

        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags(multi_class=False)
        tags.target_tags.required = False
        return tags


class RatingRecommender(Recommender):
    """Learns a rating, or any other number, by its mean.

    Predictions are kept within the range of the training rows. Arguments as of `Recommender`.

    Example:
        >>> rec = RatingRecommender(space="mf").fit(ratings, target="rating", user="user", item="item")
        >>> rec.evaluate(test)
        {'mse': 0.88, 'rmse': 0.94, 'mae': 0.74}
    """

    _task = "rating"

    def score(self, data: Any, y: Any = None) -> float:
        """Returns the root mean squared error with a minus, averaged over the targets: more is better."""
        found = self.evaluate(data, y)
        return -float(np.mean([value for name, value in found.items() if name == "rmse" or name.endswith("_rmse")]))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import RegressorTags

        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor"
        tags.regressor_tags = RegressorTags()
        tags.target_tags.required = False
        return tags


def _own_trials(searcher: Any) -> int | None:
    own: int | None = getattr(searcher, "max_trials", None)
    return own


def _trials(chosen: Mapping[str, Any]) -> int | None:
    given: int | None = chosen["max_trials"]
    return 20 if given is None and chosen["time_limit"] is None else given
