"""One search from data to winner: checks, encoding, baselines, trials, refit; everything on disk in a run directory."""

from __future__ import annotations

import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from autorec import arguments as checked
from autorec.config import SearchConfig
from autorec.data.inference import describe
from autorec.data.schema import ROLES, Schema
from autorec.data.table import Source, as_source
from autorec.errors import AutoRecError, ConfigError, SearchAborted
from autorec.identity import CACHE, check_foreign, has_begun, identify
from autorec.run import Run
from autorec.searchers.budgets import Budgets
from autorec.searchers.condensing import MOST_MEMBERS
from autorec.searchers.ensemble import Ensemble
from autorec.searchers.ensemble_selection import few_rows, quick_rule
from autorec.searchers.evolution import Evolution
from autorec.searchers.executor import Executor
from autorec.searchers.executors import Execution
from autorec.searchers.fidelity import Schedule
from autorec.searchers.heap import settled_heap
from autorec.searchers.oracles import get_oracle
from autorec.searchers.proposals import check_fidelity
from autorec.searchers.runner import search
from autorec.searchers.trial import TrialTrainer, copy_callbacks
from autorec.searchers.warm_start import VIEWS, propose_first
from autorec.spaces.dag import InteractionDAG
from autorec.spaces.space import as_space, to_config
from autorec.steps.all_rows import AllRows
from autorec.steps.calibration import make_calibration, validation_rows
from autorec.steps.clock import Clock
from autorec.steps.columns import check_several, check_sources, get_schema, leave_out_weight
from autorec.steps.course import get_schedule, in_words
from autorec.steps.encoding import check_encoded, encoded
from autorec.steps.ensemble import MOST_CANDIDATES, EnsembleMaker
from autorec.steps.forest_model import keep_forest
from autorec.steps.growth import Growth
from autorec.steps.leaning import Leaning
from autorec.steps.members import good_trials, labelled
from autorec.steps.refit import Refit
from autorec.steps.simple_models import train_baselines
from autorec.tensorflow_log import traced_often
from autorec.training.options import TrainOptions
from autorec.training.trainer import default_batch_size, default_epochs
from autorec.training.workers import Workers, get_workers
from autorec.transfer import get_warm_start

OBJECTIVES = {"ctr": "val_auc", "rating": "val_rmse"}

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
        clock: The time of the call.
        execution: How many trials are trained at a time, and where.
    """

    task: str
    directory: Path
    space: Any
    options: TrainOptions
    searcher: Any
    callbacks: Sequence[Any]
    emit: Emit
    clock: Clock
    execution: Execution = field(default_factory=Execution)
    workers: Workers = field(init=False)
    executor: Executor | None = field(init=False, default=None)
    growth: Growth | None = field(init=False, default=None)

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
        self.objectives = checked.objectives(arguments["objective"], OBJECTIVES[self.task])
        self.objective = self.objectives[0]
        copy_callbacks(self.callbacks)
        self.execution.check(self.model_space, self.callbacks)
        target = checked.target(arguments["target"])
        self.source = as_source(data, y, target=target)
        self.schema, inferred = get_schema(
            schema, self.source, target=target, labelled=y is not None, roles=arguments["roles"]
        )
        weighed = leave_out_weight(self.schema)
        if arguments["long"] is not None:
            self.schema.long = arguments["long"]
        check_several(self.task, self.schema, self.options.loss_weights, arguments["utility"])
        self.validation = checked.validation_source(validation, self.schema.targets)
        self.config = self._config(arguments)
        self.oracle = get_oracle(
            self.searcher,
            objective=self.objective,
            seed=self.config.seed,
            epochs=self.config.epochs,
        )
        self._check_growing()
        self._guide()
        if self.config.batch_size is not None:
            self.workers.check_batch_size(self.config.batch_size)
        check_sources(self.schema, self.task, self.source, self.validation)
        self._open()
        if inferred and not has_begun(self.run):
            self._say(describe(self.schema))
        if weighed is not None:
            self._say(weighed)

    def search(self) -> None:
        """Encodes the rows, trains baselines and trials, then makes an ensemble and refits the model if asked to.

        Raises:
            SearchAborted: If no trial can be trained.
        """
        with self.run, traced_often(), settled_heap():
            self._say_where()
            self.cache = encoded(
                self.run.directory,
                self.source,
                self.schema,
                self.validation,
                config=self.config,
                workers=self.workers,
                clock=self.clock,
                emit=self._note,
            )
            self.all_rows = AllRows(
                self.run.directory,
                self.source,
                self.validation,
                self.schema,
                self.config,
                self.cache,
                self.emit,
                # Clocks differ between workers, columns may not.
                lambda: self.clock.keeping(*self._calibration_step) if self.workers.count == 1 else None,
            )
            self.trainer = self._trainer()
            check_encoded(self.cache, self.task, self.objective.name, self.source)
            schedule = self._schedule()
            check_fidelity(self.oracle, {} if schedule is None else schedule.settled(self.trainer.full).low.to_dict())
            if not self.run.events("search"):
                self._check_space()
            self.trainer.settle_precision()
            if self.workers.chief:
                self._decide()
            else:
                self.trainer.follow()

    def _decide(self) -> None:
        """Does what only the chief of several workers does, while they train its trials with it."""
        try:
            # Before the baselines: processes need some seconds to be ready.
            self.executor = self.execution.begin(self.run, self.trainer, self.run.directory / CACHE, self.emit)
            if self.config.baselines:
                about = {"objective": self.objective.name, "seed": self.config.seed}
                train_baselines(self.run, self.cache, clock=self.clock, emit=self.emit, **about)
            if self.config.baselines or self._ends_in_ensemble:
                keep_forest(self.run, self.cache, objective=self.objective.name, emit=self.emit)
            reason = self._trials()
            self._close_executor()
            if self._ends_in_ensemble:
                self._make_ensemble()
            if self.config.refit:
                self._refit.make(*self._calibration_step)
            if self.config.calibrate is not None:
                self._calibrate(self.config.calibrate)
        finally:
            self._close_executor()
            self.trainer.release()
            self.all_rows.clear()
        self._finish(reason)

    def _close_executor(self) -> None:
        """Ends the processes of the trials: what follows has the cores and the memory to itself."""
        if self.executor is not None:
            self.executor.close()
            self.executor = None

    # The run

    def _config(self, arguments: Mapping[str, Any]) -> SearchConfig:
        names = ("target", "roles", "objective", "warm_start", "statistics", "long")  # the schema has the last
        objectives = [objective.name for objective in self.objectives]
        # Whether validation rows come behind the training rows; given ones do where rows have a time, as a rule.
        later = arguments["split"] == "time" or (self.validation is not None and self.schema.time is not None)
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
            statistics=checked.statistics(arguments["statistics"], trees=arguments["trees"], later=later),
            objective=None if arguments["objective"] is None else objectives if objectives[1:] else objectives[0],
            warm_start=get_warm_start(arguments["warm_start"], self.directory) if self.workers.chief else None,
            **{name: value for name, value in arguments.items() if name not in names},
        )

    def _guide(self) -> None:
        """Tells the oracle what to try first."""
        self.oracle.max_trials = None  # the runner counts: a run that goes on with fewer has more than that
        trials = [] if self.config.warm_start is None else self.config.warm_start["trials"]
        views = VIEWS if self.config.ensemble and isinstance(self.oracle, Evolution) else ()
        if trials or views:
            propose_first(self.oracle, trials, self._say, views)

    def _open(self) -> None:
        """Opens the run directory and checks that it is the run of this experiment."""
        place = self._own_directory()
        check_foreign(place)
        self.run = Run(place)
        try:
            identify(self.run, self.config, self.schema, self.source, self.validation)
        except BaseException:
            self.run.close()
            raise

    def _own_directory(self) -> Path:
        """Returns the run directory: a temporary one on a worker that is not the chief, which also says nothing."""
        if self.workers.chief:
            return self.directory
        self.emit = lambda event: None
        folder = tempfile.mkdtemp(prefix="autorec-worker-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder) / "run"

    # What is said

    def _say_where(self) -> None:
        if not self.run.events("search"):
            self._say(f"run directory {self.directory}")
            return
        done, waiting, best = len(self.run.trials()), len(self.run.pending()), self.run.best
        more = f", {waiting} cut short and trained again" if waiting else ""
        text = f"going on in {self.directory}: {done} trials are done{more}"
        self._say(text, done=done, best=None if best is None else best["score"])

    def _note(self, event: dict[str, Any]) -> None:
        """Tells an event of the encoding, and writes down how long it took: a refit takes as long once more."""
        if event["event"] == "encoded":
            self.run.append({"event": "encoded", "seconds": round(event["seconds"], 3)})
        self.emit(event)

    def _say(self, text: str, **more: Any) -> None:
        self.emit({"event": "message", "text": text, **more})

    def _finish(self, reason: str) -> None:
        best = self.run.best
        words = {
            "max_trials": "all trials are done",
            "time_limit": "the time limit is reached",
            "exhausted": "there is nothing new to try",
        }
        text = f"{words[reason]}: {len(self.run.trials())} trials in {self.clock.past:.0f} s"
        if best is not None:
            text += f"; best {self.objective.name} {best['score']:.5f} (trial {best['number']})"
        made = self.run.ensemble
        if made is not None:
            text += f"; {made['name']} {made['score']:.5f}"
        self.emit({"event": "done", "text": text})
        if best is None and reason == "time_limit":
            raise SearchAborted(f"{text}, none of which was trained; the same search goes on with more time")

    # Trials

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
            seed=self.config.seed,
            newest=self.schema.time if self.config.split == "time" else None,
            budgets=self._budgets(),
            outputs=self._ends_in_ensemble or self.config.calibrate is not None,
            all_rows=self.all_rows,
        )

    def _budgets(self) -> Budgets | None:
        """Returns what models may cost and what is looked at beside the first objective; None if it is nothing."""
        names = tuple(objective.name for objective in self.objectives)
        limits = (self.config.max_model_size, self.config.max_latency)
        return Budgets(*limits, names) if names[1:] or limits != (None, None) else None

    def _check_space(self) -> None:
        """Builds the space once; what a user's own code raises is left for the trials, which record it."""
        try:
            self.trainer.check_space()
        except AutoRecError:
            raise
        except Exception as error:
            self._say(f"the space cannot be built with its default values: {type(error).__name__}: {error}")

    def _tell_equal_models(self) -> None:
        """Tells the oracle when two points are one model on these rows."""
        canonical = getattr(self.model_space, "canonical", None)
        if canonical is None or not hasattr(self.oracle, "canonical"):
            return
        if isinstance(self.model_space, InteractionDAG):  # which bits are void depends on the columns that are read
            canonical = partial(canonical, layout=self.cache.layout)
        self.oracle.canonical = canonical

    def _trials(self) -> str:
        self._tell_equal_models()
        self.run.keep_seeds = self.config.ensemble
        self.growth = self._growth()
        schedule = self._schedule()
        lean = self._leaning()
        if schedule is not None:
            self._say(in_words(schedule.settled(self.trainer.full), lean is not None))
        return search(
            self.run,
            oracle=self.oracle,
            space_build=self.trainer.declare,
            evaluate=self.trainer,
            max_trials=self.config.max_trials,
            deadline=self._trials_end(schedule is not None and lean is not None and lean.refit is not None),
            seed=self.config.seed,
            keep=self.config.keep if self.growth is None else sys.maxsize,  # any may be a member
            emit=self.emit,
            schedule=schedule,
            executor=self.executor,
            lean=lean,
        )

    def _schedule(self) -> Schedule | None:
        return get_schedule(self.config.fidelity, self.trainer.full, self.config.time_limit)

    def _leaning(self) -> Leaning | None:
        """Returns what chooses the trainings behind the search part where an ensemble is made of all."""
        if not self._ends_in_ensemble or self.growth is not None:
            return None
        if few_rows(labelled(self.cache.validation)):  # no ensemble will be made
            return None
        maker = self._maker()
        return Leaning(maker, self._timed, maker.refit if self._timed else None)

    @property
    def _timed(self) -> bool:
        """Whether the clock alone ends the search; else the same is trained on every machine."""
        return self.config.max_trials is None and self.config.time_limit is not None

    def _trials_end(self, kept: bool) -> float | None:
        """Returns the time at which trials have to end; `kept` says that leaning leaves time for a refit by itself."""
        steps = {"refit": self.config.refit and not kept, "ensemble": self._ends_in_ensemble}
        return self.clock.keeping(*(step for step, there in steps.items() if there), *self._calibration_step)

    @property
    def _calibration_step(self) -> list[str]:
        return [] if self.config.calibrate is None else ["calibration"]

    # Ensembles

    @property
    def _refit(self) -> Refit:
        budgets = self._budgets()
        # Where one network more is over no limit, other workers need not follow, and no curve was fitted to fewer.
        free = budgets is None and self.config.calibrate is None and self.workers.count == 1
        fill = self.config.ensemble and self._timed and free
        return Refit(self.run, self.trainer, self.all_rows, self.clock, self._say, budgets, fill)

    @property
    def _ends_in_ensemble(self) -> bool:
        """Whether an ensemble takes the place of the best trial: one that is not clearly worse, or was grown."""
        return self.config.ensemble or isinstance(self.oracle, Ensemble)

    def _maker(self) -> EnsembleMaker:
        return EnsembleMaker(
            self.run,
            self.cache.validation,
            self.cache.layout,
            self._say,
            seed=self.config.seed,
            budgets=self._budgets(),
            deadline=self.clock.keeping(*self._calibration_step),
            refit=self._refit.seconds if self.config.refit else None,
        )

    def _growth(self) -> Growth | None:
        """Returns what grows the ensemble of an oracle that asks for it."""
        if not isinstance(self.oracle, Ensemble):
            return None
        growth = Growth(self._maker(), self.oracle, self.config.seed)
        self.oracle.judge = growth
        return growth

    def _check_growing(self) -> None:
        """Checks that nothing trains the members of a grown ensemble otherwise than they were when they joined."""
        for name in ("refit", "fidelity"):
            value = getattr(self.config, name)
            if isinstance(self.oracle, Ensemble) and value:
                hint = "Its members stay what they were when they joined: trained in full, on the training rows."
                raise ConfigError(name, "left out with the searcher 'ensemble'", value, hint)

    def _make_ensemble(self) -> None:
        """Makes the ensemble, if it is not there; the best trial's model stays where that goes wrong."""
        try:
            if self.run.ensemble is None and self.growth is not None:
                self.growth.finish()
            elif self.run.ensemble is None:
                rows = good_trials(self.run)
                rule = quick_rule(labelled(self.cache.validation))
                self._maker().make(
                    rows, rule, MOST_MEMBERS, enough=MOST_MEMBERS, most=MOST_CANDIDATES, unless_worse=True
                )
        except Exception as error:
            self._say(f"no ensemble, the best trial's model stays: {type(error).__name__}: {error}")
        self.run.retain(self.config.keep, () if self.growth is None else self.growth.members)

    def _calibrate(self, method: str) -> None:
        """Calibrates the run's model, if it is not; where that cannot be done it stays as it is."""
        known = self.run.calibration
        if self.run.model_id is None or (known is not None and known["method"] == method):
            return
        try:
            rows = validation_rows(self.run, self.cache)
            make_calibration(self.run, self.cache.layout, rows, method, seed=self.config.seed, say=self._say)
        except Exception as error:
            cause = "" if isinstance(error, AutoRecError) else f"{type(error).__name__}: "
            self._say(f"not calibrated: {cause}{error}")


def _place(source: Source) -> str:
    """Returns where a source can be found again: an absolute path, or its name."""
    return str(Path(source.name).resolve()) if Path(source.name).exists() else source.name
