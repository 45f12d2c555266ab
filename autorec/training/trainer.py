"""Trains a Keras model on encoded rows."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from autorec.data.cache import Part
from autorec.data.dataset import batches, fits_in_memory, shuffled_batch
from autorec.data.layout import Layout
from autorec.errors import ConfigError, TrialFailed
from autorec.training.callbacks import TimeLimit
from autorec.training.compiling import compile_model
from autorec.training.distribution import DistributedStepper, distributed_fit
from autorec.training.mean_weights import MeanWeights
from autorec.training.options import TrainOptions
from autorec.training.prediction import arrange, input_groups
from autorec.training.recipe import Recipe
from autorec.training.sizes import default_batch_size, default_epochs
from autorec.training.stepper import Stepper
from autorec.training.suspects import suspects
from autorec.training.validation import check_objective, default_objective, validate
from autorec.training.workers import Workers, get_workers

__all__ = ["TrainResult", "default_batch_size", "default_epochs", "train"]


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Args:
        metrics: Validation metrics of the best epoch (`val_*`), empty without validation.
        history: Loss, learning rate and validation metrics of each epoch.
        best_epoch: Number of the epoch whose weights the model has, from 1; without validation of the last one.
        course: Learning rate of each epoch that the model's weights went through; epochs that a cut of the rate took
            back are not among them.
        steps: Training steps done.
        seconds: Wall time.
        cut: Whether the deadline ended it, in the middle of an epoch or behind one, before a plateau or the last epoch.
        failure: What ended it behind its best epoch: a loss that was not finite; None if nothing did.
    """

    metrics: dict[str, float]
    history: list[dict[str, float]]
    best_epoch: int
    course: list[float]
    steps: int
    seconds: float
    cut: bool
    failure: str | None = None


def train(
    model: Any,
    parts: Sequence[Part],
    validation: Part | None = None,
    *,
    layout: Layout,
    options: TrainOptions | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    callbacks: Sequence[Any] = (),
    deadline: float | None = None,
    objective: str | None = None,
    rates: Sequence[float] | None = None,
    average: float = 0.0,
) -> TrainResult:
    """Trains a model; leaves it with the weights of its best epoch, or without validation with the last or mean ones.

    One call of Keras's `fit` (under a strategy a loop of ours, see `autorec.training.distribution`), with the loss of
    each target and the optimizer of the options; see `Recipe` for the course. Users' callbacks work as in Keras; exact
    `val_*` metrics are among the logs of an epoch's end. The order of rows depends on `seed` alone; first weights and
    dropout on `keras.utils.set_random_seed` before the model is built.

    Args:
        model: Functional Keras model on groups of columns, with an output for each target; for a strategy of the
            options built under `with options.scope():`.
        parts: Training rows, taken as one behind the other.
        validation: Validation rows; None trains exactly `epochs` epochs.
        layout: Columns of the rows.
        options: How to train; None takes the defaults.
        batch_size: Rows of a step, on all replicas of a strategy together; None chooses by the number of rows.
        epochs: Most epochs; None chooses by the number of rows.
        seed: Seed of the rows' order.
        callbacks: Keras callbacks.
        deadline: `time.monotonic()` at which to end, in the middle of an epoch too, validation included. At least
            one step is made.
        rates: Learning rate of each epoch, such as another training's `course`; they also say how many epochs.
        average: Epochs at the end over whose steps the weights are averaged, see `MeanWeights`, without validation rows
            alone; 0 leaves the last weights.
        objective: Metric whose best epoch counts; None is `val_auc`, without a binary target `val_rmse`.

    Returns:
        Metrics, history, and the costs.

    Raises:
        ConfigError: If an argument cannot be used.
        TrialFailed: If the loss or the objective is not a number before there is a best epoch; the model then has its
            first weights, or without validation those of the last epoch. Behind a best epoch it ends the training,
            with that epoch's weights, and is told in the result.

    Example:
        >>> train(model, [cache.train], cache.validation, layout=cache.layout, epochs=5).metrics["val_auc"]
        0.781
    """
    begin = time.monotonic()
    options = (options or TrainOptions()).resolved()
    workers = get_workers(options.strategy)
    rows = sum(part.rows for part in parts)
    batch_size = workers.round_up(default_batch_size(rows)) if batch_size is None else batch_size
    if rates is not None:
        epochs = len(rates)
    epochs = default_epochs(rows) if epochs is None else epochs
    objective = default_objective(layout) if objective is None else objective
    _check(rows, batch_size, epochs)
    _check_average(average, validation)
    _check_workers(model, workers, batch_size)
    if validation is not None:
        check_objective(objective, layout, validation.users is not None)
    steps = -(-rows // batch_size)
    with workers.scope():
        model = compile_model(model, layout, options)
    ends = _deadline(callbacks, deadline)
    limit = _steps_a_call(callbacks, steps)
    mean = MeanWeights(model, epochs * steps, round(average * steps)) if average else None
    stepper = _stepper(model, workers, rows, batch_size, epochs, limit, ends, validation, mean)
    judge = None if validation is None else lambda: _judge(model, validation, layout, workers, options.loss_weights)
    resident = workers.from_chief(fits_in_memory(parts, input_groups(model)))
    found = partial(_suspects, model, parts, layout, batch_size, seed, resident)
    recipe = Recipe(options, stepper, judge, objective, rates, found, mean)
    dataset = partial(_dataset, model, parts, layout, batch_size, seed, epochs, resident)
    failure = _run(model, dataset, stepper, recipe, callbacks, epochs)
    return TrainResult(
        metrics=recipe.metrics,
        history=recipe.history,
        best_epoch=recipe.best_epoch if validation is not None else len(recipe.history),
        course=recipe.course,
        steps=stepper.done,
        seconds=time.monotonic() - begin,
        cut=failure is None and stepper.was_late and not _whole(recipe, stepper, epochs),
        failure=failure,
    )


def _stepper(
    model: Any,
    workers: Workers,
    rows: int,
    batch_size: int,
    epochs: int,
    limit: int,
    deadline: float | None,
    validation: Part | None,
    mean: MeanWeights | None,
) -> Stepper:
    steps = -(-rows // batch_size)
    validation_steps = 0.0 if validation is None else validation.rows / batch_size
    if workers.strategy is None:
        return Stepper(model, steps, limit, deadline, validation_steps, batch_size, epochs * steps, mean)
    return DistributedStepper(model, workers, rows, batch_size, limit, deadline, validation_steps, mean)


def _run(
    model: Any, dataset: Any, stepper: Stepper, recipe: Recipe, callbacks: Sequence[Any], epochs: int
) -> str | None:
    """Trains; returns what ended it behind its best epoch, if something did."""
    try:
        if isinstance(stepper, DistributedStepper):
            distributed_fit(model, dataset, stepper, [recipe, *callbacks], epochs)
        else:
            _fit(model, dataset(), stepper, [recipe, *callbacks], epochs)
    except TrialFailed as error:
        if not recipe.best_epoch:
            raise
        return str(error)
    return None


def _whole(recipe: Recipe, stepper: Stepper, epochs: int) -> bool:
    """Returns whether a training has had all its epochs, or as many as it took to reach its last plateau."""
    return stepper.done % stepper.steps == 0 and (recipe.ended or len(recipe.history) == epochs)


def _check(rows: int, batch_size: int, epochs: int) -> None:
    if rows < 1:
        raise ConfigError("parts", "parts with rows", rows)
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigError(name, "a whole number of 1 or more", value)


def _check_average(average: float, validation: Part | None) -> None:
    if isinstance(average, bool) or not isinstance(average, (int, float)) or not 0.0 <= average < math.inf:
        raise ConfigError("average", "a number of epochs, 0 or more", average)
    if average and validation is not None:
        raise ConfigError("average", "0 where validation rows choose the weights", average)


def _check_workers(model: Any, workers: Workers, batch_size: int) -> None:
    workers.check_batch_size(batch_size)
    if workers.strategy is not None and model.distribute_strategy is not workers.strategy:
        raise ConfigError(
            "model", "built within the scope of the strategy", model.name, "Build it under `with options.scope():`."
        )


def _judge(
    model: Any, validation: Part, layout: Layout, workers: Workers, loss_weights: Mapping[str, float] | None
) -> dict[str, float]:
    """Returns the metrics that the chief finds: its arithmetic decides for all workers."""
    found = validate(model, validation, layout, loss_weights) if workers.chief else None
    return dict(workers.from_chief(found))


def _suspects(
    model: Any, parts: Sequence[Part], layout: Layout, batch_size: int, seed: int, resident: bool, step: int
) -> str:
    """Returns what is suspicious in the batch of a step, from 1, and in the one whose update it follows."""
    groups = [group for group in input_groups(model) if group in ("numbers", "statistics", "pairs", "margins")]
    read = partial(shuffled_batch, parts, groups, batch_size, seed=seed, resident=resident)
    batches_read = [read(number) for number in range(max(step - 2, 0), step)]
    arrays = {group: np.concatenate([arrays[group] for arrays, _ in batches_read]) for group in groups}
    found = suspects(layout, arrays, np.concatenate([labels for _, labels in batches_read]))
    return found and f"in the rows of that step and the one before, {found}"


def _dataset(
    model: Any,
    parts: Sequence[Part],
    layout: Layout,
    batch_size: int,
    seed: int,
    epochs: int,
    resident: bool,
    shares: range = range(1),
    of: int = 1,
) -> Any:
    targets = [target.name for target in layout.targets]
    dataset = batches(
        parts,
        input_groups(model),
        targets,
        batch_size,
        shuffle=True,
        seed=seed,
        epochs=epochs,
        shares=shares,
        of=of,
        resident=resident,
    )
    if not (isinstance(model.input, dict) and isinstance(model.output, dict)):
        dataset = dataset.map(
            lambda x, y, *w: (arrange(model, x), y if isinstance(model.output, dict) else y[targets[0]], *w)
        )
    # Without a length: Keras would count on whole calls of `steps_per_execution` and stop too soon.
    return dataset.repeat()


def _fit(model: Any, dataset: Any, stepper: Stepper, callbacks: Sequence[Any], epochs: int) -> None:
    model.steps_per_execution = stepper.limit
    model.train_function = stepper
    try:
        model.fit(
            dataset, epochs=epochs, steps_per_epoch=stepper.steps, shuffle=False, verbose=0, callbacks=list(callbacks)
        )
    finally:
        model.train_function = None
        model.steps_per_execution = 1
        # Keras's epoch iterator refers to itself. Left to the interpreter's exit, its threads, which call Python to
        # read ahead, could block that exit.
        gc.collect()


def _steps_a_call(callbacks: Sequence[Any], steps: int) -> int:
    """Returns 1 if a callback of the user's wants to see batches, else a whole epoch."""
    names = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
    for callback in callbacks:
        if not _sees_epochs_alone(callback) and any(_overrides(callback, name) for name in names):
            return 1
    return steps


def _sees_epochs_alone(callback: Any) -> bool:
    """Returns whether a callback does nothing behind a batch, though it has the methods."""
    checkpoint = type(callback) is keras.callbacks.ModelCheckpoint
    return isinstance(callback, TimeLimit) or (checkpoint and callback.save_freq == "epoch")


def _overrides(callback: Any, name: str) -> bool:
    return not getattr(getattr(callback, name), "_is_default", False)


def _deadline(callbacks: Sequence[Any], deadline: float | None) -> float | None:
    """Returns the first of the deadlines; those of `TimeLimit` callbacks are kept with the same care."""
    found = [callback.ends() for callback in callbacks if isinstance(callback, TimeLimit)]
    found += [] if deadline is None else [deadline]
    return min(found, default=None)
