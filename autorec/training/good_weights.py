"""Weights to go back to where a training diverges before it has a best epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from autorec.training.row_sparse import is_table
from autorec.training.rows import SMALL


class GoodWeights:
    """A copy of a model's weights that costs little memory however large its tables are.

    Large tables are not copied, for a training would need a third as much memory again. Going back, their rows that
    hold a number that is not finite become 0, as of ids never seen; the others, which a few steps have moved, stay.

    Args:
        model: Keras model, built.
    """

    def __init__(self, model: Any) -> None:
        self._values: list[np.ndarray | None] = []
        self.keep(model)

    def keep(self, model: Any) -> bool:
        """Takes the weights as they are and returns True; if one is not finite, keeps those it has."""
        values = [None if is_large(weight) else np.array(weight.numpy()) for weight in model.weights]
        if not all(_finite(value).all() for value in values if value is not None):
            return False
        self._values = values
        return True

    def restore(self, model: Any) -> None:
        """Gives the model the weights it had, and large tables no row that is not finite."""
        for weight, value in zip(model.weights, self._values):
            if value is None:
                value = np.array(weight.numpy())
                value[~_finite(value).all(axis=1)] = 0.0
            weight.assign(value)


def is_large(weight: Any) -> bool:
    """Returns whether a weight is a table too large to be copied."""
    return is_table(weight) and weight.shape[0] * weight.shape[1] > SMALL


def _finite(value: np.ndarray) -> np.ndarray:
    """Returns where an array is finite; one that is not of numbers, as a random state, is."""
    return np.isfinite(value) if value.dtype.kind == "f" else np.ones(value.shape, bool)
