"""The mean of a model's weights over the end of a training."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from autorec.training.good_weights import is_large

_MOST = 16  # weights whose mean is taken


class MeanWeights:
    r"""Takes a model's weights at evenly spaced steps of the last epochs, and gives the model their mean.

    $$\bar w = \frac{1}{n} \sum_{i=1}^{n} w_{t_i}, \qquad t_i = T - s + \left\lceil \frac{i s}{n} \right\rceil$$

    for $T$ steps in all, of which the last $s$ count, and $n = \min(s, 16)$. At a constant learning rate the weights
    wander about a valley; their mean lies nearer its middle, which a training without validation rows has no other way
    to find. Large tables keep their last weights, see `GoodWeights`: a copy would need as much memory as they do, and
    few steps move one of their rows. The running averages of batch normalization are weights like the others.

    Args:
        model: Keras model, built.
        steps: Steps of the whole training.
        last: Number of steps at its end that count.

    Source: stochastic weight averaging, Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
    Generalization", 2018 (there by epochs, behind a training of its own).
    """

    def __init__(self, model: Any, steps: int, last: int) -> None:
        self._weights = [
            weight for weight in model.weights if keras.backend.is_float_dtype(weight.dtype) and not is_large(weight)
        ]
        last = max(min(last, steps), 1)
        count = min(last, _MOST)
        self._at = sorted({steps - last + math.ceil(place * last / count) for place in range(1, count + 1)})
        self._sums: list[np.ndarray] = []
        self._taken = 0

    def before(self, done: int) -> int | None:
        """Returns how many steps behind step `done` the next weights are taken, or None if no more are."""
        return next((step - done for step in self._at if step > done), None)

    def see(self, done: int) -> None:
        """Takes the weights if they are to be taken behind step `done`."""
        if done not in self._at:
            return
        values = [np.asarray(weight.numpy(), np.float64) for weight in self._weights]
        self._sums = [total + value for total, value in zip(self._sums, values)] if self._sums else values
        self._taken += 1

    def give(self) -> None:
        """Gives the model the mean of what was taken; nothing was if the training ended before."""
        for weight, total in zip(self._weights, self._sums):
            weight.assign(total / self._taken)
