"""What a recommender has learned, read from its run directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from autorec.arguments import emitter
from autorec.data.schema import Schema
from autorec.errors import ConfigError
from autorec.export.folder import export
from autorec.export.predictor import Predictor
from autorec.leaderboard import leaderboard
from autorec.loading import calibration_facts, load_run
from autorec.run import Run
from autorec.spaces.fixed import FixedSpace
from autorec.steps.calibration import calibrate_run
from autorec.steps.ensemble import make_ensemble
from autorec.training.options import TrainOptions
from autorec.transfer import best_options, best_space


class Learned(BaseEstimator):
    """The half of a recommender that looks back: leaderboard, predictions, metrics, models, exports.

    It reads the run directory that `search` left; what is learned ends in `_`.
    """

    _searched: tuple[Any, TrainOptions]  # the space is None where `load` was not given the one that no file holds

    @property
    def predictor_(self) -> Predictor:
        """The model with its encoder: the ensemble, if one was made last, or the best trial; refitted if it was."""
        if getattr(self, "_predictor", None) is None:
            self._predictor = load_run(self.directory_)
        return self._predictor

    @property
    def directory_(self) -> Path:
        """The run directory."""
        found: Path | None = getattr(self, "_directory", None)
        if found is None:
            raise NotFittedError(f"This {type(self).__name__} has learned nothing yet: call `search` or `fit` first.")
        return found

    @property
    def schema_(self) -> Schema:
        """The schema of the rows."""
        return self.predictor_.schema

    def leaderboard(self) -> Any:
        """Returns a Polars frame with a row for each trial, each baseline and the ensemble, the best first.

        Columns: rank, pareto (whether no other one beats it in all of several objectives), trial (its number, or the
        name of a baseline or ensemble), kind, status (`completed`, `completed (cut)` if the time limit ended the
        training, `failed`), score (the objective), the validation metrics, fidelity where it is not full, best_epoch,
        seconds, parameters, values (JSON; of an ensemble its members' weights), error (why it failed).

        Behind a calibration also calibrated (how the row's model is). Where trials were repeated also mean_score, seeds
        and parent (the trial whose values it has); where they are known also operations, dense_parameters, model_size
        (bytes), latency (milliseconds) and ranker (rank correlation of the learned ranker). Only trials at one fidelity
        are ranked among each other; baselines and the ensemble stand beside them unranked.
        """
        return leaderboard(self.directory_)

    def predict(self, data: Any) -> Any:
        """Returns a probability (a rating) for each row, float32; a dict by target where there are several.

        Where a utility was stated, the dict also has `utility`.

        Args:
            data: Rows in any form that `search` takes, of a table also none; the targets' columns are not needed.

        Raises:
            DataError: If a column is absent or of another type.
        """
        return self.predictor_.predict(data)

    def evaluate(
        self,
        data: Any,
        y: Any = None,
        *,
        weight: str | None = None,
        user: str | None = None,
        group: str | None = None,
        reliability: bool = False,
    ) -> dict[str, Any]:
        """Returns the metrics on labelled rows; only data that is named here is ever looked at.

        For clicks `auc`, `log_loss`, `ece`, and `gauc` where the schema names a group or user; for ratings `mse`,
        `rmse`, `mae`. Several targets have their name in front: `like_auc`. With `reliability=True` also, for clicks,
        `reliability`: a Polars frame with what was predicted and what happened in 15 bins of equal weight.

        Raises:
            DataError: If a column is absent or of another type.
        """
        return self.predictor_.evaluate(data, y, weight=weight, user=user, group=group, reliability=reliability)

    def model(self, trial: int | None = None) -> Any:
        """Returns the Keras model of a trial, by default `predictor_`'s.

        It takes encoded rows and gives a logit for each target, of ratings the rating.

        Raises:
            ConfigError: If the trial's files are not kept.
        """
        return (self.predictor_ if trial is None else load_run(self.directory_, trial)).model

    def ensemble(
        self,
        size: int | None = None,
        pruning: str | None = "auto",
        *,
        trials: Sequence[Any] | None = None,
        alpha: float = 0.5,
        start: str = "best",
        seed: int = 0,
        progress: bool | Callable[[dict[str, Any]], None] = True,
    ) -> Self:
        """Makes the best trials one model, the weighted mean of some of them, which `predict` and `export` then use.

        Members and weights are chosen on the validation rows alone. Trials take part that were trained at the best
        fidelity and whose files are kept (`keep=` of `search`). It has no more members than `max_model_size` and
        `max_latency` of the search allow together. A search that goes on after it makes its own best trial the model.

        Args:
            size: Most members (1 or more); None leaves it to the rule: as long as the validation loss does not rise,
                eight with `"answers"`.
            pruning: `"pie"` (by information), `"pap"` (by accuracy), `"prs"` (by chance), `"forward"` (greedy
                selection), `"answers"` (those that together answer most like all), `"auto"` (whichever of `pie`, `pap`
                and `forward` is best on rows it did not see; `answers` on fewer than 1,000 validation rows), or None:
                the `size` best ones as they are.
            trials: Numbers of the trials that may be members, or paths of their folders, and `"forest"`, what the small
                trees of `trees=True` predict by themselves; None takes all.
            alpha: Share of diversity against accuracy in `pie`, in [0, 1].
            start: The first member of `pie`: `"best"` or `"random"`.
            seed: Seed of what is by chance.
            progress: True says what came of it, False is silent, a function receives it as an event.

        Returns:
            The recommender itself; `ensemble_` tells members, weights and how different they are.

        Raises:
            NotFittedError: If nothing was searched yet.
            ConfigError: If there are fewer good trials than `size`, a rule is not known, or a trial is of another run.

        Example:
            >>> rec.ensemble(size=5).export("model/")
        """
        make_ensemble(
            self.directory_,
            size,
            pruning,
            trials=trials,
            alpha=alpha,
            start=start,
            seed=seed,
            say=_messages(progress),
        )
        return self._changed()

    @property
    def ensemble_(self) -> dict[str, Any] | None:
        """What the ensemble is that is the model now, or None: `members` (trial, weight, score, depth), `pruning`,
        `diversity`, `mean_depth`, `loss` and `best_single_loss` on the validation rows, `metrics`, `parameters`.
        """
        return Run(self.directory_, read_only=True).ensemble

    def calibrate(
        self,
        method: str | None = "auto",
        *,
        by: str | None = None,
        data: Any = None,
        y: Any = None,
        negatives_kept: float = 1.0,
        seed: int = 0,
        progress: bool | Callable[[dict[str, Any]], None] = True,
    ) -> Self:
        """Calibrates the model: `predict`, `evaluate` and `export` then give calibrated probabilities.

        A rising curve over the logits is fitted to rows that the model was not trained on. The order of rows stays;
        with `by` that of the rows of one value. A search whose best trial is another one afterwards ends its reign, and
        so does an ensemble made behind it.

        Args:
            method: `"isotonic"`, `"platt"` or `"temperature"`, see `autorec.calibration.fitting.fit`; `"auto"` (the
                default) takes the one that is best on rows it was not fitted to, and changes nothing where none helps;
                None takes a calibration away.
            by: A categorical column whose values get curves of their own where they have rows enough; unseen and rare
                ones have the curve of all rows.
            data: Labelled rows that the model has not seen; None takes the validation rows.
            y: The target's values, if `data` does not hold them.
            negatives_kept: Share of the negatives that was kept in the rows of the calibration, above 0 and at most 1.
                Below 1 they were sampled, and `log(negatives_kept)` is added to the calibrated logits, which undoes
                that exactly. For several targets 1: rows that were sampled by one are not so by the others.
            seed: Seed of what is by chance.
            progress: True says what came of it, False is silent, a function receives it as an event.

        Returns:
            The recommender itself; `calibration_` tells what was found.

        Raises:
            NotFittedError: If nothing was searched yet.
            ConfigError: If a method or column is not known, rows are too few or of one class, or there are ratings.
            DataError: If the rows cannot be used.

        Example:
            >>> rec.calibrate("isotonic", by="device").evaluate(test)["ece"]
        """
        calibrate_run(
            self.directory_,
            method,
            by=by,
            data=data,
            y=y,
            negatives_kept=negatives_kept,
            seed=seed,
            say=_messages(progress),
        )
        return self._changed()

    def _changed(self) -> Self:
        """Lets go of the model before."""
        self.__dict__.pop("_predictor", None)
        return self

    @property
    def calibration_(self) -> dict[str, Any] | None:
        """How the model is calibrated, or None: `method`, `by`, `rows`, `negatives_kept`, and for each of `targets` the
        method taken, rows, and `log_loss` and `ece` before and after, after on rows that the curves did not see.
        """
        event = Run(self.directory_, read_only=True).calibration
        return None if event is None else calibration_facts(event)

    def best_space(self, trial: int | None = None) -> FixedSpace:
        """Returns the architecture that was found as a space with everything fixed, to be trained elsewhere.

        It fits other data too: other columns, other values. The recipe is no part of it; `best_options` has that.

        Args:
            trial: Number of the trial, by default the best.

        Raises:
            ConfigError: If there is no such trial, or the space is code that `load` was not given.

        Example:
            >>> other = CTRRecommender(space=rec.best_space(), options=rec.best_options())
            >>> other.fit(other_frame, target="like")
        """
        directory, space = self.directory_, self._searched[0]
        if space is None:
            raise ConfigError("space", "given to `load`: the run's is code of your own, which no file holds", None)
        return best_space(directory, space, trial)

    def best_options(self, trial: int | None = None) -> TrainOptions:
        """Returns the recipe that was found, with nothing left to search.

        Args:
            trial: Number of the trial, by default the best.

        Raises:
            ConfigError: If there is no such trial.
        """
        return best_options(self.directory_, self._searched[1], trial)

    def export(self, folder: str | Path, trial: int | None = None) -> Path:
        """Writes a folder with model, encoder, SavedModel and card; see `autorec.load`.

        Args:
            folder: A new or empty folder, or an earlier export, which is replaced.
            trial: Number of the trial; by default the model is exported that `predict` asks, such as the ensemble.

        Raises:
            ConfigError: If the folder holds something else, or the trial's files are not kept.
        """
        return export(folder, self.predictor_ if trial is None else load_run(self.directory_, trial))

    def __sklearn_is_fitted__(self) -> bool:
        return getattr(self, "_directory", None) is not None


def _messages(progress: bool | Callable[[dict[str, Any]], None]) -> Callable[[str], None]:
    """Returns what tells a text as an event."""
    emit = emitter(progress)
    return lambda text: emit({"event": "message", "text": text})
