"""One search from data to winner: checks, encoding, baselines, trials, refit; everything on disk in a run directory."""

from __future__ import annotations

import copy
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np

from autorec import arguments as checked
from autorec.config import SearchConfig
from autorec.data.cache import META, Cache
from autorec.data.checks import check_same_columns, check_targets
from autorec.data.encode import encode
from autorec.data.inference import describe, infer
from autorec.data.schema import ROLES, Schema
from autorec.data.schema_checks import check_schema
from autorec.data.table import Source, as_source
from autorec.errors import AutoRecError, ConfigError, DataError, TrialFailed
from autorec.files import new_folder
from autorec.identity import CACHE, check_foreign, has_begun, identify
from autorec.run import Run
from autorec.searchers.baselines import baselines
from autorec.searchers.oracles import get_objective, get_oracle
from autorec.searchers.runner import search
from autorec.searchers.trial import MODEL, TrialTrainer, copy_callbacks
from autorec.spaces.space import as_space, to_config
from autorec.tensorflow_log import traced_often
from autorec.training.metrics import direction as known_direction
from autorec.training.options import TrainOptions
from autorec.training.trainer import default_batch_size, default_epochs
from autorec.training.validation import check_objective
from autorec.training.workers import Workers, get_workers

REFIT = "refit"
OBJECTIVES = {"ctr": "val_auc", "rating": "val_rmse"}
_ENCODING_SHARE = 0.3  # of the time left, behind which no pair statistics are begun
_BASELINE_SHARE = 0.15  # of a time limit, all baselines together
_REFIT_SHARE = 0.3  # of a time limit, kept for the refit

Emit = Callable[[dict[str, Any]], None]


@dataclass
class Experiment:
    """One call of `search`.

    Args:
        task: `ctr` or `rating`.
        directory: Run directory.
        space: As in `search`.
        options: How models are trained.
        searcher: As in `search`.
        callbacks: Keras callbacks of the user.
        emit: Receives every event.
        deadline: `time.monotonic()` at which the call has to end, or None.
    """

    task: str
    directory: Path
    space: Any
    options: TrainOptions
    searcher: Any
    callbacks: Sequence[Any]
    emit: Emit
    deadline: float | None
    begin: float = field(default_factory=time.monotonic)
    workers: Workers = field(init=False)

    def prepare(
        self, data: Any, y: Any, *, schema: Schema | str | Path | None, validation: Any, arguments: Mapping[str, Any]
    ) -> None:
        """Checks every argument and all data, and opens the run; `search` then needs nothing more.

        Args:
            data: Rows to learn from.
            y: The target's values, or None.
            schema: A schema, the path of one, or None to infer it.
            validation: Rows to validate on, a pair of them and their target's values, or None.
            arguments: Those of `SearchConfig` that `search` takes, `target` and `roles` among them.

        Raises:
            ConfigError: If an argument cannot be used or does not fit the run in the directory.
            DataError: If the data cannot be used.
        """
        # First of all: several processes find each other before TensorFlow computes anything.
        self.workers = get_workers(self.options.strategy)
        self.model_space = as_space(self.space)
        self.objective = get_objective(arguments["objective"] or OBJECTIVES[self.task])
        _check_direction(self.objective)
        copy_callbacks(self.callbacks)
        target = checked.target(arguments["target"])
        self.source = as_source(data, y, target=target)
        self.schema, inferred = self._schema(schema, target, y is not None, arguments["roles"])
        self.validation = checked.validation_source(validation, self.schema.targets)
        self.config = self._config(arguments)
        self.oracle = get_oracle(
            self.searcher,
            objective=self.objective,
            max_trials=self.config.max_trials,
            seed=self.config.seed,
            epochs=self.config.epochs,
        )
        if self.config.batch_size is not None:
            self.workers.check_batch_size(self.config.batch_size)
        self._check_data()
        self.place = self._own_directory()
        check_foreign(self.place)
        self.run = Run(self.place)
        try:
            identify(self.run, self.config, self.schema, self.source, self.validation)
        except BaseException:
            self.run.close()
            raise
        if inferred and not has_begun(self.run):
            self._say(describe(self.schema))

    def search(self) -> None:
        """Encodes the rows, trains baselines and trials, and refits the winner if that is asked for.

        Raises:
            SearchAborted: If no trial can be trained.
        """
        with self.run, traced_often():
            self._say_where()
            self.cache = self._encoded()
            self.trainer = self._trainer()
            self._check_encoded()
            self.trainer.settle_precision()
            if self.workers.chief:
                self._decide()
            else:
                self.trainer.follow()

    def _decide(self) -> None:
        """Does what only the chief of several workers does, while they train its trials with it."""
        try:
            self._baselines()
            reason = self._trials()
            if self.config.refit:
                self._refit()
        finally:
            self.trainer.release()
        self._finish(reason)

    # What was asked for

    def _schema(
        self, schema: Schema | str | Path | None, target: Any, with_y: bool, roles: Mapping[str, str | None]
    ) -> tuple[Schema, bool]:
        """Returns the schema and whether it was inferred."""
        found = checked.schema(schema)
        if found is None:
            if target is None and with_y:
                target = self.source.schema.names[-1]
            return infer(self.source, target=target, **roles), True
        schema = copy.deepcopy(found)
        if target is not None:
            schema.targets = [target] if isinstance(target, str) else list(target)
        elif with_y and not schema.targets:
            schema.targets = [self.source.schema.names[-1]]
        for role in ROLES:
            if roles.get(role) is not None:
                setattr(schema, role, roles[role])
        if not schema.targets:
            raise ConfigError("target", "the name of a column", None)
        return schema, False

    def _config(self, arguments: Mapping[str, Any]) -> SearchConfig:
        names = ("target", "roles", "objective")
        return SearchConfig(
            task=self.task,
            data=_place(self.source),
            validation=None if self.validation is None else _place(self.validation),
            schema=self.schema.to_dict(),
            target=list(self.schema.targets),
            roles={role: getattr(self.schema, role) for role in ROLES},
            space=to_config(self.model_space),
            searcher=self.searcher if isinstance(self.searcher, str) else type(self.searcher).__name__,
            options=self.options.to_dict(),
            objective=self.objective.name if arguments["objective"] is not None else None,
            **{name: value for name, value in arguments.items() if name not in names},
        )

    def _check_data(self) -> None:
        """Checks both sources before anything is written."""
        if not len(self.schema):
            raise DataError("there is no feature to learn from", file=self.source.name)
        check_schema(self.schema)
        check_same_columns(self.schema, self.source)
        check_targets(self.source, self.schema, self.task)
        if self.validation is not None:
            check_same_columns(self.schema, self.validation)
            check_targets(self.validation, self.schema, self.task, training=False)

    # The run

    def _own_directory(self) -> Path:
        """Returns the run directory: a temporary one on a worker that is not the chief, which also says nothing."""
        if self.workers.chief:
            return self.directory
        self.emit = lambda event: None
        folder = tempfile.mkdtemp(prefix="autorec-worker-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder) / "run"

    def _say_where(self) -> None:
        if not self.run.events("search"):
            self._say(f"run directory {self.directory}")
            return
        done, waiting, best = len(self.run.trials()), len(self.run.pending()), self.run.best
        more = f", {waiting} cut short and trained again" if waiting else ""
        text = f"going on in {self.directory}: {done} trials are done{more}"
        self._say(text, done=done, best=None if best is None else best["score"])

    def _say(self, text: str, **more: Any) -> None:
        self.emit({"event": "message", "text": text, **more})

    # The steps

    def _encoded(self) -> Cache:
        cache = self._own_encoded()
        self.workers.check_equal("data", (self.place / CACHE / META).read_text(encoding="utf-8"))
        return cache

    def _own_encoded(self) -> Cache:
        folder = self.place / CACHE
        if (folder / META).exists():
            return Cache.open(folder)
        for rest in self.place.glob(f".{CACHE}.*"):
            shutil.rmtree(rest, ignore_errors=True)
        begin = time.monotonic()
        deadline = None
        if self.deadline is not None and self.workers.count == 1:  # clocks differ between workers, columns may not
            deadline = begin + _ENCODING_SHARE * max(self.deadline - begin, 0.0)
        cache = encode(
            self.source,
            self.schema,
            folder,
            validation=self.validation,
            split=self.config.split,
            fraction=self.config.fraction,
            seed=self.config.seed,
            statistics=self.config.statistics,
            progress=self.emit,
            deadline=deadline,
        )
        rows = {"train": cache.train.rows, "validation": cache.validation.rows}
        self.emit({"event": "encoded", **rows, "seconds": time.monotonic() - begin})
        return cache

    def _check_encoded(self) -> None:
        """Checks what is known only now: both parts' targets, the objective, and that the space can be built."""
        layout = self.cache.layout
        wanted = "binary" if self.task == "ctr" else "real"
        for target in layout.targets:
            if target.kind != wanted:
                raise DataError(
                    "a rating must have other values than 0 and 1; CTRRecommender learns clicks",
                    file=self.source.name,
                    column=target.name,
                )
        self._check_part("training", self.cache.train.labels, 2)
        self._check_part("validation", self.cache.validation.labels, 2 if "auc" in self.objective.name else 1)
        check_objective(self.objective.name, layout, self.cache.validation.users is not None)
        if not self.run.events("search"):
            self._check_space()

    def _check_part(self, name: str, labels: np.ndarray, least: int) -> None:
        """Checks that a part has at least so many values of a target, where there are several of any of them."""
        found = [np.unique(column[~np.isnan(column)]) for column in np.asarray(labels).T]
        if any(len(values) >= least for values in found):
            return
        shown = f"only the value {found[0][0]:g}" if len(found[0]) else "no value"
        raise DataError(
            f"the {len(labels)} {name} rows have {shown} of the target; give more rows, another "
            "`validation_fraction` or `split`, or `validation_data` of your own",
            file=self.source.name,
            column=self.schema.targets[0],
        )

    def _check_space(self) -> None:
        """Builds the space once; what a user's own code raises is left for the trials, which record it."""
        try:
            self.trainer.declare(kt.HyperParameters())
        except AutoRecError:
            raise
        except Exception as error:
            self._say(f"the space cannot be built with its default values: {type(error).__name__}: {error}")

    def _baselines(self) -> None:
        if not self.config.baselines:
            return
        deadline = None
        if self.deadline is not None:
            deadline = time.monotonic() + _BASELINE_SHARE * max(self.deadline - self.begin, 0.0)
        known = {row["name"] for row in self.run.baselines()}
        for event in baselines(
            self.cache.train,
            self.cache.validation,
            self.cache.layout,
            objective=self.objective.name,
            seed=self.config.seed,
            deadline=deadline,
            skip=known,
        ):
            self.run.append(event)
            self.emit(event)

    def _trainer(self) -> TrialTrainer:
        rows = self.cache.train.rows
        return TrialTrainer(
            run=self.run,
            train=self.cache.train,
            validation=self.cache.validation,
            layout=self.cache.layout,
            space=self.model_space,
            options=self.options,
            objective=self.objective.name,
            batch_size=self.config.batch_size or self.workers.round_up(default_batch_size(rows)),
            epochs=self.config.epochs or default_epochs(rows),
            callbacks=self.callbacks,
            emit=self.emit,
            workers=self.workers,
        )

    def _trials(self) -> str:
        deadline = self.deadline
        if deadline is not None and self.config.refit:
            deadline -= _REFIT_SHARE * max(deadline - time.monotonic(), 0.0)
        return search(
            self.run,
            oracle=self.oracle,
            space_build=self.trainer.declare,
            evaluate=self.trainer,
            max_trials=self.config.max_trials,
            deadline=deadline,
            seed=self.config.seed,
            keep=self.config.keep,
            emit=self.emit,
        )

    def _refit(self) -> None:
        best = self.run.best
        if best is None or any(event["number"] == best["number"] for event in self.run.events("refit")):
            return
        left = None if self.deadline is None else self.deadline - time.monotonic()
        share = self.cache.train.rows / (self.cache.train.rows + self.cache.validation.rows)
        needed = best["seconds"] * len(best["course"]) / (best["epochs"] * share)
        if left is not None and left < needed:
            self._say(f"no refit: it would take some {needed:.0f} s, {left:.0f} s are left")
            return
        self._say(f"refit: trial {best['number']} on all rows for {len(best['course'])} epochs")
        try:
            model = self.trainer.refit(best, self.deadline)
        except TrialFailed as error:
            self._say(f"no refit, the trial's own model stays: {error}")
            return
        with new_folder(self.directory / REFIT) as folder:
            model.save(folder / MODEL)
        self.run.append({"event": "refit", "number": best["number"], "epochs": len(best["course"])})

    def _finish(self, reason: str) -> None:
        best = self.run.best
        seconds = time.monotonic() - self.begin
        words = {
            "max_trials": "all trials are done",
            "time_limit": "the time limit is reached",
            "exhausted": "there is nothing new to try",
        }
        text = f"{words[reason]}: {len(self.run.trials())} trials in {seconds:.0f} s"
        if best is not None:
            text += f"; best {self.objective.name} {best['score']:.5f} (trial {best['number']})"
        self.emit({"event": "done", "text": text})


def _place(source: Source) -> str:
    """Returns where a source can be found again: an absolute path, or its name."""
    return str(Path(source.name).resolve()) if Path(source.name).exists() else source.name


def _check_direction(objective: kt.Objective) -> None:
    direction = known_direction(objective.name)
    if objective.direction != direction:
        raise ConfigError("objective", f"{objective.name!r} with the direction {direction!r}", objective.direction)
