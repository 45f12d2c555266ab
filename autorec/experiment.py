"""One search from data to winner: checks, encoding, baselines, trials, refit; everything on disk in a run directory."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from autorec.config import SearchConfig
from autorec.data.cache import META, Cache
from autorec.data.checks import check_same_columns, check_targets
from autorec.data.encode import encode
from autorec.data.inference import describe, infer
from autorec.data.schema import ROLES, Schema
from autorec.data.table import Source, as_source
from autorec.errors import ConfigError, DataError
from autorec.files import new_folder
from autorec.run import Run
from autorec.searchers.baselines import baselines
from autorec.searchers.oracles import get_objective, get_oracle
from autorec.searchers.runner import search
from autorec.searchers.trial import MODEL, TrialTrainer
from autorec.spaces.space import as_space, to_config
from autorec.training.metrics import direction as known_direction
from autorec.training.options import TrainOptions
from autorec.training.trainer import default_batch_size, default_epochs

CACHE = "cache"
REFIT = "refit"
OBJECTIVES = {"ctr": "val_auc", "rating": "val_rmse"}
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
        self.model_space = as_space(self.space)
        target = arguments["target"]
        self.source = as_source(data, y, target=target if isinstance(target, str) else None)
        self.validation = _validation_source(validation, target)
        self.schema, inferred = self._schema(schema, target, y is not None, arguments["roles"])
        self.config = self._config(arguments)
        self.objective = get_objective(self.config.objective or OBJECTIVES[self.task])
        known_direction(self.objective.name)
        self.oracle = get_oracle(
            self.searcher,
            objective=self.objective,
            max_trials=self.config.max_trials,
            seed=self.config.seed,
            epochs=self.config.epochs,
        )
        self._check_data()
        if inferred:
            self.emit({"event": "message", "text": describe(self.schema)})
        self.run = Run(self.directory)
        try:
            self._check_run()
        except BaseException:
            self.run.close()
            raise

    def search(self) -> None:
        """Encodes the rows, trains baselines and trials, and refits the winner if that is asked for.

        Raises:
            SearchAborted: If no trial can be trained.
        """
        with self.run:
            self._say_where()
            self.cache = self._encoded()
            self._check_targets()
            self._baselines()
            reason = self._trials()
            if self.config.refit:
                self._refit()
            self._finish(reason)

    # What was asked for

    def _schema(
        self, schema: Schema | str | Path | None, target: Any, with_y: bool, roles: Mapping[str, str | None]
    ) -> tuple[Schema, bool]:
        """Returns the schema and whether it was inferred."""
        if schema is None:
            if target is None and with_y:
                target = self.source.schema.names[-1]
            return infer(self.source, target=target, **roles), True
        if isinstance(schema, (str, Path)):
            if not Path(schema).exists():
                raise ConfigError("schema", "a Schema or the path of one", str(schema))
            schema = Schema.load(schema)
        schema = copy.deepcopy(schema)
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
        names = ("target", "roles")
        return SearchConfig(
            task=self.task,
            data=self.source.name,
            validation=None if self.validation is None else self.validation.name,
            target=list(self.schema.targets),
            roles={role: getattr(self.schema, role) for role in ROLES},
            space=to_config(self.model_space),
            searcher=self.searcher if isinstance(self.searcher, str) else type(self.searcher).__name__,
            options=self.options.to_dict(),
            **{name: value for name, value in arguments.items() if name not in names},
        )

    def _check_data(self) -> None:
        """Checks both sources before anything is written."""
        if not len(self.schema):
            raise DataError("there is no feature to learn from", file=self.source.name)
        check_same_columns(self.schema, self.source)
        check_targets(self.source, self.schema, self.task)
        if self.validation is not None:
            check_same_columns(self.schema, self.validation)
            check_targets(self.validation, self.schema, self.task, training=False)

    # The run

    @cached_property
    def _fingerprints(self) -> dict[str, str | None]:
        validation = None if self.validation is None else self.validation.fingerprint()
        return {"train": self.source.fingerprint(), "validation": validation}

    def _check_run(self) -> None:
        """Checks that the run in the directory is this experiment, or writes down what it is."""
        there = self.run.config
        if there is None:
            self._check_foreign()
            self.run.write_config(self.config.to_dict())
            self.run.append({"event": "data", **self._fingerprints, "schema": self.schema.to_dict()})
            return
        for name, (old, new) in self.config.differences(there).items():
            raise ConfigError(
                name, f"{old!r} as in the run {self.directory}", new, "Use another directory for another search."
            )
        for event in self.run.events("data"):
            self._check_same_data(event)
        self.run.write_config(self.config.to_dict())

    def _check_foreign(self) -> None:
        others = [path.name for path in self.directory.iterdir() if path.name not in ("lock", "journal.jsonl")]
        if others and not any(name in (CACHE, "trials") for name in others):
            raise ConfigError(
                "directory", "a new directory, an empty one or a run", str(self.directory), f"It holds {others[:3]}."
            )

    def _check_same_data(self, event: Mapping[str, Any]) -> None:
        schema = Schema.from_dict(event["schema"]).to_dict()
        mine = self.schema.to_dict()
        changed = [key for key in mine if key != "warnings" and mine[key] != schema[key]]
        if changed:
            raise ConfigError(
                "schema",
                f"the one of the run {self.directory}",
                {key: mine[key] for key in changed},
                "Use another directory for another schema.",
            )
        for part, fingerprint in self._fingerprints.items():
            if event[part] != fingerprint:
                name = self.source.name if part == "train" or self.validation is None else self.validation.name
                raise ConfigError(
                    "data" if part == "train" else "validation_data",
                    f"the rows that the run {self.directory} was made with",
                    name,
                    "They have changed. Use another directory for other data.",
                )

    def _say_where(self) -> None:
        done = len(self.run.trials())
        if not self.run.events("search"):
            self._say(f"run directory {self.directory}")
            return
        waiting = len(self.run.pending())
        more = f", {waiting} cut short and trained again" if waiting else ""
        self._say(f"going on in {self.directory}: {done} trials are done{more}")

    def _say(self, text: str) -> None:
        self.emit({"event": "message", "text": text})

    # The steps

    def _encoded(self) -> Cache:
        folder = self.directory / CACHE
        if (folder / META).exists():
            return Cache.open(folder)
        for rest in self.directory.glob(f".{CACHE}.*"):
            shutil.rmtree(rest, ignore_errors=True)
        begin = time.monotonic()
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
        )
        rows = {"train": cache.train.rows, "validation": cache.validation.rows}
        self.emit({"event": "encoded", **rows, "seconds": time.monotonic() - begin})
        return cache

    def _check_targets(self) -> None:
        wanted = "binary" if self.task == "ctr" else "real"
        for target in self.cache.layout.targets:
            if target.kind != wanted:
                raise DataError(
                    "a rating must have other values than 0 and 1; CTRRecommender learns clicks",
                    file=self.source.name,
                    column=target.name,
                )

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
            batch_size=self.config.batch_size or default_batch_size(rows),
            epochs=self.config.epochs or default_epochs(rows),
            callbacks=self.callbacks,
            emit=self.emit,
        )

    def _trials(self) -> str:
        deadline = self.deadline
        if deadline is not None and self.config.refit:
            deadline -= _REFIT_SHARE * max(deadline - time.monotonic(), 0.0)
        self.trainer = self._trainer()
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
        if left is not None and left < best["seconds"]:
            self._say(f"no refit: trial {best['number']} took {best['seconds']:.0f} s, {left:.0f} s are left")
            return
        self._say(f"refit: trial {best['number']} on all rows for {best['best_epoch']} epochs")
        model = self.trainer.refit(best, self.deadline)
        with new_folder(self.directory / REFIT) as folder:
            model.save(folder / MODEL)
        self.run.append({"event": "refit", "number": best["number"], "epochs": best["best_epoch"]})

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


def _validation_source(validation: Any, target: Any) -> Source | None:
    if validation is None:
        return None
    if isinstance(validation, tuple):
        if len(validation) != 2:
            raise ConfigError("validation_data", "rows, or a pair (rows, target values)", validation)
        return as_source(validation[0], validation[1], target=target if isinstance(target, str) else None)
    return as_source(validation)
