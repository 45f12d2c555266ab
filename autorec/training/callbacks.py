"""Keras callbacks, for any Keras model: exact AUC, a time limit, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import keras
import numpy as np

from autorec.errors import ConfigError
from autorec.training import metrics

__all__ = ["ExactAUC", "Progress", "TimeLimit"]


class ExactAUC(keras.callbacks.Callback):
    """Writes the exact AUC on some rows into the logs of each epoch, where later callbacks and the history see it.

    `keras.metrics.AUC` sums over thresholds and is off by some 1e-3; this is the area itself, ties counted half.
    Logits and probabilities give the same. Put it before the callbacks that read it.

    Args:
        x: What the model takes: an array, or a list or dict of arrays.
        y: (rows,) labels 0 or 1, NaN where unlabelled; for a model with several outputs a dict output -> labels.
        sample_weight: (rows,) weights, or None.
        name: Name in the logs; of several outputs each one's name stands before `auc`: `val_like_auc`.
        batch_size: Rows of a call.

    Raises:
        ConfigError: If a dict of labels names an output that the model does not have.

    Example:
        >>> auc = ExactAUC(x_validation, y_validation)
        >>> stop = keras.callbacks.EarlyStopping("val_auc", mode="max", patience=2)
        >>> model.fit(x, y, epochs=20, callbacks=[auc, stop])
    """

    def __init__(
        self, x: Any, y: Any, sample_weight: Any = None, *, name: str = "val_auc", batch_size: int = 8192
    ) -> None:
        super().__init__()
        self.x = x
        self.y = y
        self.sample_weight = sample_weight
        self.name = name
        self.batch_size = batch_size

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Predicts and adds the value to `logs`."""
        outputs = self.model.predict(self.x, batch_size=self.batch_size, verbose=0)
        found = self._by_output(outputs)
        if logs is not None:
            logs |= found

    def _by_output(self, outputs: Any) -> dict[str, float]:
        if not isinstance(self.y, Mapping):
            if isinstance(outputs, Mapping):
                outputs = next(iter(outputs.values()))
            return {self.name: self._auc(self.y, outputs)}
        if not isinstance(outputs, Mapping):
            outputs = dict(zip(self.model.output_names, outputs if isinstance(outputs, list) else [outputs]))
        for output in self.y:
            if output not in outputs:
                raise ConfigError("y", f"labels of the outputs {sorted(outputs)}", output)
        head = self.name.removesuffix("auc")
        names = [self.name] if len(self.y) == 1 else [f"{head}{output}_auc" for output in self.y]
        return {name: self._auc(y, outputs[output]) for name, (output, y) in zip(names, self.y.items())}

    def _auc(self, y: Any, scores: Any) -> float:
        return metrics.auc(np.asarray(y), np.asarray(scores), self.sample_weight)


class TimeLimit(keras.callbacks.Callback):
    """Ends a training when its time is up, in the middle of an epoch too.

    AutoRec's own training also leaves time for a last validation.

    Args:
        seconds: Positive number of seconds from the start of the training.
        deadline: Value of `time.monotonic()` at which to end. Exactly one of the two.

    Raises:
        ConfigError: If both or none are given, or `seconds` is not positive.

    Example:
        >>> model.fit(x, y, epochs=1000, callbacks=[TimeLimit(60)])
    """

    def __init__(self, seconds: float | None = None, *, deadline: float | None = None) -> None:
        super().__init__()
        if (seconds is None) == (deadline is None):
            raise ConfigError("seconds", "given, or `deadline` given, and not both", (seconds, deadline))
        if seconds is not None and not seconds > 0:
            raise ConfigError("seconds", "a number above 0", seconds)
        self.seconds = seconds
        self.deadline = deadline
        self._ends = deadline

    def ends(self) -> float:
        """Returns `time.monotonic()` at which a training that starts now has to end."""
        if self.deadline is not None:
            return self.deadline
        return time.monotonic() + float(self.seconds or 0.0)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        self._ends = self.ends()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Ends the training if time is up."""
        if self._ends is not None and time.monotonic() >= self._ends:
            self.model.stop_training = True


class Progress(keras.callbacks.Callback):
    """Writes one line an epoch: its number, its seconds, loss and metrics.

    Keras's own progress bar asks for every batch, which makes small models slow.

    Args:
        stream: Where to write; None is the standard error.

    Example:
        >>> model.fit(x, y, epochs=3, verbose=0, callbacks=[Progress()])
        epoch 1/3  2.1 s  loss 0.6012
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self.stream = stream
        self._begin = 0.0

    def __deepcopy__(self, memo: Any) -> Progress:
        return Progress(self.stream)  # an open file cannot be copied

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the epoch's clock."""
        self._begin = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the line."""
        values = "  ".join(f"{name} {value:.5g}" for name, value in (logs or {}).items())
        stream = sys.stderr if self.stream is None else self.stream
        total = (self.params or {}).get("epochs", "?")
        stream.write(f"epoch {epoch + 1}/{total}  {time.monotonic() - self._begin:.1f} s  {values}\n")
        stream.flush()
