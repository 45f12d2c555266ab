"""One real trial: build the model, train it, keep its file."""

from __future__ import annotations

import copy
import dataclasses
import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import keras
import keras_tuner as kt
import numpy as np

from autorec.data.cache import META, Cache, Part
from autorec.data.layout import Layout
from autorec.errors import AutoRecError, ConfigError, TrialFailed
from autorec.export.latency import latency
from autorec.files import new_folder
from autorec.run import Run
from autorec.searchers.budgets import Budgets, model_size
from autorec.searchers.fidelity import Fidelity
from autorec.searchers.job import Job
from autorec.searchers.limits import limited
from autorec.searchers.outputs import outputs_of, write_outputs
from autorec.searchers.pareto import COSTS
from autorec.searchers.trial_files import TrialFiles
from autorec.spaces.building import check_loadable
from autorec.spaces.limits import using_limits
from autorec.spaces.operations import dense_parameters, operations
from autorec.spaces.space import SPACES, build
from autorec.training.options import TrainOptions
from autorec.training.precision import settle, time_steps, using_precision
from autorec.training.sizes import default_batch_size
from autorec.training.trainer import train
from autorec.training.validation import check_objective, epoch_metric, measure_answers
from autorec.training.workers import Workers

MODEL = "model.keras"
# Epochs at the end of a refit over which its weights are averaged, and of how many epochs that may be one: fewer leave
# noise, more reach back to worse weights.
_AVERAGE, _SHARE = 1.0, 3
_OWN_FAILURES = (OSError, MemoryError)


@dataclass
class TrialTrainer:
    """Trains the jobs of a search; its `declare` and itself are the runner's `space_build` and `evaluate`.

    Each trial starts from a clean Keras session, so that memory stays flat, and gets copies of the callbacks.

    Args:
        run: Where model files go (`trials/0007/model.keras`, without the optimizer's state); in a process that only
            trains, a folder of its own.
        train: Training rows.
        validation: Validation rows.
        layout: Columns of both.
        space: A space of `autorec.spaces`.
        options: How to train; what it leaves open is searched.
        objective: Metric that ranks trials, such as `val_auc`; see `epoch_metric` for whose best epoch counts.
        batch_size: Rows of a step.
        epochs: Most epochs; a job's fidelity may allow fewer.
        callbacks: Keras callbacks.
        emit: Receives an event `epoch` at the start of each, and a `message` of a trial that its loss ended early.
        workers: Those that train each model together. The chief's trainer sends each job to the others' `follow`.
        seed: Seed of the rows that jobs of fewer rows read, the same ones for all.
        newest: Name of the time feature by which such jobs read the newest training rows instead, or None.
        budgets: What a model may cost, and the further objectives. What is over a limit fails before any training.
        quiet: Within what it gives a latency is measured; an executor halts the trials that run beside it.
        outputs: Whether trials at full fidelity leave their outputs for the validation rows beside the model.
        all_rows: Returns all rows as training rows, for a refit; None where there is none.

    Raises:
        ConfigError: If a callback cannot be copied, or a further objective is not measured on these rows.
    """

    run: Run | TrialFiles
    train: Part
    validation: Part
    layout: Layout
    space: Any
    options: TrainOptions
    objective: str
    batch_size: int
    epochs: int
    callbacks: Sequence[keras.callbacks.Callback] = ()
    emit: Callable[[dict[str, Any]], None] | None = None
    workers: Workers = field(default_factory=Workers)
    seed: int = 0
    newest: str | None = None
    budgets: Budgets | None = None
    outputs: bool = False
    all_rows: Callable[[], Cache] | None = None
    quiet: Callable[[], AbstractContextManager[None]] = nullcontext
    # Made before any training, so that a callback that changes during a trial starts each one as it was given.
    _originals: list[Any] = field(default_factory=list)
    # The parts of the last fidelity with fewer rows: a search goes from one to the next and not back.
    _limited: dict[int | None, tuple[Part, Part]] = field(default_factory=dict)
    _failed: bool = False
    #: The most seconds that saving and clearing took behind a training.
    tail: float = 0.0
    _trained: float = 0.0  # when the last training ended

    def __post_init__(self) -> None:
        self._originals = copy_callbacks(self.callbacks)
        for name in self.budgets.objectives[1:] if self.budgets is not None else ():
            if name not in COSTS:
                check_objective(name, self.layout, self.validation.users is not None)

    @property
    def full(self) -> Fidelity:
        """What there is at full fidelity."""
        sizes = [*(column.size for column in self.layout.ids), *(column.size for column in self.layout.lists)]
        return Fidelity(rows=self.train.rows, vocabulary=max(sizes, default=None), epochs=self.epochs)

    @property
    def trusted(self) -> bool:
        """Whether a job always comes back about its deadline: no code of a user's runs, or none may be interrupted."""
        return not self.interruptible or (type(self.space) in SPACES.values() and not self.callbacks)

    @property
    def interruptible(self) -> bool:
        """Whether a job may be ended by force: of several workers, the others would wait for ever."""
        return self.workers.count == 1

    def declare(self, hp: Any) -> None:
        """Declares the hyperparameters of the recipe and of the space; the model is thrown away."""
        try:
            self.options.tune(hp)
            with using_precision(self.options.precision):
                build(self.space, hp, self.layout)
        finally:
            clear()

    def check_space(self) -> None:
        """Builds the space's default model once, and one of code of a user's own a second time from what is saved.

        Raises:
            ConfigError: If it is no model of these rows, or could not be loaded again.
        """
        hp = kt.HyperParameters()
        try:
            self.options.tune(hp)
            with using_precision(self.options.precision):
                model = build(self.space, hp, self.layout)
            if type(self.space) not in SPACES.values():
                check_loadable(without_optimizer(model))  # as it is saved
        finally:
            clear()

    def settle_precision(self) -> None:
        """Settles the precision of all trials; `auto` is timed on the space's default model, once a run."""
        if isinstance(self.run, TrialFiles):
            return  # settled where the search is
        self.options = settle(self.options, self.run, self._time_both, self.emit or _silent)

    def _time_both(self) -> dict[str, float]:
        def make(layout: Layout) -> Any:
            return build(self.space, kt.HyperParameters(), layout)

        try:
            return time_steps(make, self.train, self.layout, self.batch_size, self.options, self.epochs)
        finally:
            clear()

    def __call__(self, job: Job) -> dict[str, Any]:
        """Trains a job; returns what its row of the leaderboard holds."""
        if self._failed:
            clear()  # what the error's frames held while it was raised
        self._failed = True
        limits = {"number": job.number, "epochs": job.epochs, "fidelity": job.fidelity}
        self.workers.from_chief({"values": job.hp.values, "seed": job.seed, **limits})
        try:
            result = self._train(job)
        finally:
            clear()
        self.tail = max(self.tail, time.monotonic() - self._trained)
        self._failed = False
        return result

    def costs(self, job: Job) -> dict[str, Any] | None:
        """Returns what a job's model costs at full size if its latency has to be measured, else None.

        Where trials run at the same time it is called in the process of the search, one trial behind the other.

        Raises:
            OverBudget: If that is more than it may.
        """
        if self.budgets is None or not self.budgets.timed:
            return None
        try:
            return self._costs(self._build(job.hp, job.seed)[0], job)
        finally:
            clear()

    def follow(self) -> None:
        """Trains what the chief trains, until it calls `release`; writes nothing.

        Raises:
            OSError, MemoryError: What goes wrong on this machine alone. The process then has to end, so that the chief,
                which would wait for it, learns of it.
        """
        while (order := self.workers.from_chief(None)) is not None:
            try:
                if "course" in order:
                    self._refit(order, None)
                else:
                    values, seed = order.pop("values"), order.pop("seed")
                    self._train(Job(hp=_hyperparameters(values), seed=seed, deadline=None, **order))
            except _OWN_FAILURES:
                raise
            except Exception:
                continue  # goes wrong at the chief's too, who writes it down
            finally:
                clear()

    def release(self) -> None:
        """Ends `follow` of the other workers."""
        self.workers.from_chief(None)

    def _train(self, job: Job) -> dict[str, Any]:
        fidelity = Fidelity.from_dict(job.fidelity)
        smaller = fidelity.vocabulary is not None or fidelity.dim is not None
        costs = {} if job.costs is None else dict(job.costs)
        if smaller and self.budgets is not None and not costs:
            costs = self._costs(self._build(job.hp, job.seed)[0], job)
        rows, validation = self._parts(fidelity)
        with using_limits(vocabulary=fidelity.vocabulary, dim=fidelity.dim):
            model, options = self._build(job.hp, job.seed)
        costs = costs or self._costs(model, job)
        if not fidelity.within(self.full).full:
            options = dataclasses.replace(options, sharpness=None)  # twice the cost, for a trial that is to be cheap
        result = train(
            model,
            [rows],
            validation,
            layout=self.layout,
            options=options,
            batch_size=self._batch_size(rows),
            epochs=min(self.epochs, job.epochs or self.epochs),
            seed=job.seed,
            callbacks=[*copy_callbacks(self._originals), *self._progress(job)],
            deadline=None if job.deadline is None else job.deadline - self.tail,
            objective=epoch_metric(self.objective, validation, self.layout),
        )
        self._trained = time.monotonic()
        if result.failure is not None and self.emit is not None:
            self.emit({"event": "message", "text": f"trial {job.number} ended early: {result.failure}"})
        if self.workers.chief:
            self._save(job.number, model, validation)
        return {
            "metrics": result.metrics,
            "history": result.history,
            "best_epoch": result.best_epoch,
            "course": result.course,
            "epochs": len(result.history),
            "steps": result.steps,
            "parameters": model.count_params(),
            "dense_parameters": dense_parameters(model),
            "operations": operations(model),
            **costs,
            "cut": result.cut,
            "failure": result.failure,
        }

    def _save(self, number: int, model: Any, validation: Part) -> None:
        """Leaves a trial's model, and what it answers for the validation rows where an ensemble may follow."""
        with new_folder(self.run.trial_directory(number)) as folder:
            without_optimizer(model).save(folder / MODEL)
            if self.outputs and validation is self.validation:
                write_outputs(folder, outputs_of(model, validation, self.layout))

    def _costs(self, model: Any, job: Job) -> dict[str, Any]:
        """Returns what a job's model costs at full size, where that is asked for.

        Raises:
            OverBudget: If that is more than it may.
        """
        if self.budgets is None:
            return {}
        costs: dict[str, Any] = {"model_size": model_size(model)}
        self.budgets.check(costs)
        if self.budgets.timed:
            costs["latency"] = self._shared_latency(model, job)
            self.budgets.check(costs)
        return costs

    def _shared_latency(self, model: Any, job: Job) -> float:
        """Returns the latency that the chief measured, on each worker."""
        cause = found = None
        if self.workers.chief:
            try:
                found = self._latency(model, job)
            except Exception as error:
                cause = error
        found = self.workers.from_chief(found)
        if found is None:
            raise TrialFailed(f"its latency cannot be measured: {type(cause).__name__}: {cause}") from cause
        return float(found)

    def _latency(self, model: Any, job: Job) -> float:
        """Measures the latency of a model, once for the same values: repeats and raises take the first one's."""
        for event in self.run.events("finished"):
            if event.get("latency") is not None and event["values"] == job.hp.values:
                return float(event["latency"])
        with self.quiet():
            return latency(model, self.validation)

    def _parts(self, fidelity: Fidelity) -> tuple[Part, Part]:
        """Returns the training and validation rows of a fidelity; as many of the latter at most, if they can judge."""
        if fidelity.rows not in self._limited:
            of_users = self.objective.endswith("gauc")
            rows = limited(self.train, self.layout, fidelity, seed=self.seed, newest=self.newest)
            validation = limited(self.validation, self.layout, fidelity, seed=self.seed, users=of_users)
            if validation is not self.validation and not self._judges(validation):
                validation = self.validation
            self._limited = {fidelity.rows: (rows, validation)}
        return self._limited[fidelity.rows]

    def _judges(self, validation: Part) -> bool:
        """Returns whether the objective is a number on some rows: of one class there is no area under the curve."""
        constant = [np.full(validation.rows, 0.5)] * len(self.layout.targets)
        return not math.isnan(measure_answers(constant, validation, self.layout)[self.objective])

    def _batch_size(self, rows: Part) -> int:
        """Returns the rows of a step: of fewer rows in all no more than is usual for them."""
        if rows is self.train:
            return self.batch_size
        return min(self.batch_size, self.workers.round_up(default_batch_size(rows.rows)))

    def _build(self, hp: Any, seed: int, layout: Layout | None = None) -> tuple[Any, TrainOptions]:
        keras.utils.set_random_seed(seed)
        options = self.options.tune(hp)
        with using_precision(self.options.precision), self.workers.scope():
            return build(self.space, hp, layout or self.layout), options

    def refitted_size(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Returns the bytes of the weights that trials will have behind a refit, on the columns of `all_rows`."""
        layout = self._all_rows().layout
        try:
            models = (self._build(_hyperparameters(row["values"]), row["seed"], layout)[0] for row in rows)
            return sum(model_size(model) for model in models)
        finally:
            clear()

    def refit(self, row: Mapping[str, Any], deadline: float | None = None) -> Any:
        """Trains a finished trial once more, on all rows, by the epochs that made its best weights.

        A trial has the best of many noisy epochs; with no row left to choose by, weights are the mean over the last.

        Args:
            row: A row of `Run.trials`.
            deadline: `time.monotonic()` at which to end, or None.

        Returns:
            The Keras model, without its optimizer, on the columns of `all_rows`.

        Raises:
            TrialFailed: If the deadline or a loss that is not finite ends it early.
        """
        self.workers.from_chief({key: row[key] for key in ("values", "seed", "course")})
        try:
            return self._refit(row, deadline)
        finally:
            clear()

    def _refit(self, row: Mapping[str, Any], deadline: float | None) -> Any:
        cache = self._all_rows()
        model, options = self._build(_hyperparameters(row["values"]), row["seed"], cache.layout)
        result = train(
            model,
            [cache.train],
            None,
            layout=cache.layout,
            options=options,
            batch_size=self.batch_size,
            rates=row["course"],
            average=min(_AVERAGE, len(row["course"]) / _SHARE),
            seed=row["seed"],
            deadline=deadline,
            objective=self.objective,
        )
        if len(result.history) < len(row["course"]) or result.cut:
            raise TrialFailed("the time was over before it ended")
        return without_optimizer(model)

    def _all_rows(self) -> Cache:
        if self.all_rows is None:
            raise TrialFailed("this trainer knows the rows of the trials alone")
        try:
            cache = self.all_rows()
            if self.workers.count > 1:
                self.workers.check_equal("data", (cache.directory / META).read_text(encoding="utf-8"))
            return cache
        except AutoRecError as error:
            if self.workers.count == 1:
                raise
            raise OSError(str(error)) from error  # of this machine alone: the others would wait for ever

    def _progress(self, job: Job) -> list[Any]:
        if self.emit is None:
            return []
        emit = self.emit

        def begin(epoch: int, logs: object = None) -> None:
            remaining = None if job.deadline is None else job.deadline - time.monotonic()
            emit({"event": "epoch", "number": job.number, "epoch": epoch + 1, "remaining": remaining})

        return [keras.callbacks.LambdaCallback(on_epoch_begin=begin)]


def _silent(event: dict[str, Any]) -> None:
    """Takes messages that nobody wants."""


def _hyperparameters(values: Mapping[str, Any]) -> Any:
    """Returns hyperparameters that have some values before a build asks for them."""
    hp = kt.HyperParameters()
    hp.values = dict(values)
    return hp


def copy_callbacks(callbacks: Sequence[Any]) -> list[Any]:
    """Returns deep copies of Keras callbacks.

    Raises:
        ConfigError: If one is no Keras callback or holds something that cannot be copied; names it.
    """
    copies = []
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ConfigError("callbacks", "a list of keras.callbacks.Callback objects", callback)
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:
            name = type(callback).__name__
            raise ConfigError(
                "callbacks",
                "Keras callbacks that can be copied, one for each trial",
                name,
                f"{name} holds something that cannot be: {error}.",
            ) from error
    return copies


def without_optimizer(model: Any) -> Any:
    """Returns the same model without optimizer and loss: a third of the file, and it loads as a plain model."""
    if getattr(model, "inputs", None) is None:  # a subclass's own call, of which no copy can be made
        return model
    return keras.Model(model.input, model.output, name=model.name)


def clear() -> None:
    """Frees what the last model held."""
    keras.utils.clear_session(free_memory=False)
    gc.collect()
