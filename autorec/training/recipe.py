"""What decides the course of a training: validation, the best weights, the cut on a plateau, the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from autorec.errors import TrialFailed
from autorec.training.good_weights import GoodWeights
from autorec.training.mean_weights import MeanWeights
from autorec.training.metrics import direction
from autorec.training.options import TrainOptions
from autorec.training.stepper import Stepper


class Recipe(keras.callbacks.Callback):
    """Validates behind each epoch, keeps the best weights, cuts the learning rate on a plateau, ends the training.

    A plateau is `options.patience` epochs without a new best. The first one restores the best weights and cuts the
    learning rate by `options.plateau`, once: the smaller steps start from weights that are not yet overfitted. The
    next plateau ends the training; without a cut the first does. The best weights are the model's at the end.

    A loss, weights without validation, or an objective that are not finite end it too, by an error that says where.
    The model then has its best weights; before there are any those it began with, and without validation those of the
    last epoch, see `GoodWeights`.

    Stands before the user's callbacks, so that they see `val_*` among an epoch's logs.

    Args:
        options: Resolved options.
        stepper: Runs the steps.
        validate: Returns the metrics of an epoch; None validates nothing.
        objective: Metric whose best epoch counts.
        rates: Learning rate of each epoch; None leaves it to the optimizer and the plateaus.
        suspects: Returns in words what may have made the loss of a step, from 1, not finite; None knows nothing.
        mean: Weights whose mean the model gets at the end, without validation; None leaves it those of the last epoch.
    """

    def __init__(
        self,
        options: TrainOptions,
        stepper: Stepper,
        validate: Callable[[], dict[str, float]] | None,
        objective: str,
        rates: Sequence[float] | None = None,
        suspects: Callable[[int], str] | None = None,
        mean: MeanWeights | None = None,
    ) -> None:
        super().__init__()
        self.stepper = stepper
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.course: list[float] = []
        self.ended = False  # by the last plateau
        self._path: list[float] = []
        self._rates = rates
        self._options = options
        self._validate = validate
        self._objective = objective
        self._sign = 1.0 if validate is None or direction(objective) == "max" else -1.0
        self._suspects = suspects
        self._mean = mean
        self._best_weights: list[Any] | None = None
        self._good: GoodWeights | None = None  # until there are best weights
        self._good_epoch = 0
        self._stale = 0
        self._may_cut = False

    @property
    def metrics(self) -> dict[str, float]:
        """Validation metrics of the best epoch."""
        if not self.best_epoch:
            return {}
        return {name: value for name, value in self.history[self.best_epoch - 1].items() if name.startswith("val_")}

    def on_train_begin(self, logs: Any = None) -> None:
        """Keeps the weights, and asks whether there is a rate that can be cut: a schedule's cannot."""
        self._good = GoodWeights(self.model)
        self._may_cut = bool(self._options.plateau) and _rate_is_settable(self.model.optimizer)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts counting steps anew."""
        self.stepper.in_epoch = 0
        if self._rates is not None and _rate_is_settable(self.model.optimizer):
            self.model.optimizer.learning_rate = self._rates[epoch]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Raises where the loss is not a number."""
        step = self.stepper.not_finite
        if step is not None:
            found = "" if self._suspects is None else self._suspects(step)
            self._fail(f"the loss is not finite at step {step} (epoch {len(self.history) + 1})", found)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Validates, and decides how to go on."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = self._rate()
        if self._validate is not None:
            logs |= self._timed_validation(self._validate)
        self.history.append({name: float(value) for name, value in logs.items()})
        self._path.append(logs["learning_rate"])
        if self._validate is None:
            self.course = list(self._path)
            self._keep()
        if self._validate is not None:
            self._decide(logs[self._objective])
        if self.stepper.late():
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        """Restores the best weights, or gives the mean ones."""
        self._restore()
        if self._mean is not None:
            self._mean.give()

    def _timed_validation(self, validate: Callable[[], dict[str, float]]) -> dict[str, float]:
        begin = time.monotonic()
        found = validate()
        self.stepper.validation_seconds = time.monotonic() - begin
        return found

    def _decide(self, score: float) -> None:
        if not math.isfinite(score):
            self._fail(f"the objective {self._objective!r} is {score} after epoch {len(self.history)}")
        best = None if not self.best_epoch else self.history[self.best_epoch - 1][self._objective]
        if best is None or self._sign * score > self._sign * best:
            self.best_epoch = len(self.history)
            self._best_weights = None  # let go first: two copies of large tables might not fit
            self._best_weights = self.model.get_weights()
            self._good = None
            self.course = list(self._path)
            self._stale = 0
            return
        self._stale += 1
        if self._stale < self._options.patience:
            return
        if not self._may_cut:
            self.ended = self.model.stop_training = True
            return
        self._may_cut = False
        self._stale = 0
        self._restore()
        self._path = list(self.course)
        self.model.optimizer.learning_rate = self._rate() * self._options.plateau

    def _restore(self) -> None:
        if self._best_weights is not None and self.best_epoch < len(self.history):
            self.model.set_weights(self._best_weights)

    def _keep(self) -> None:
        epoch = len(self.history)
        if self._good is not None and not self._good.keep(self.model):
            self._fail(f"weights are not finite after epoch {epoch}")
        self._good_epoch = epoch

    def _fail(self, what: str, found: str = "") -> None:
        epoch = self.best_epoch or self._good_epoch
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
        elif self._good is not None:
            self._good.restore(self.model)
        weights = f"the weights of epoch {epoch}" if epoch else "its first weights"
        parts = [f"{what}, learning rate {self._rate():g}", found, f"the model keeps {weights}"]
        raise TrialFailed("; ".join(filter(None, parts)))

    def _rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


def _rate_is_settable(optimizer: Any) -> bool:
    inner = getattr(optimizer, "inner", getattr(optimizer, "inner_optimizer", optimizer))
    return isinstance(inner._learning_rate, keras.Variable)
