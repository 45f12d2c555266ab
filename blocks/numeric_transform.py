"""Raw numbers made fit for a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from autorec.blocks.base import Block
from autorec.blocks.hyperparameters import Choice, Hyperparameter
from autorec.errors import ConfigError, unknown_name

METHODS = ("log", "quantile")
KEYS = ("log_mean", "log_std", "knots", "missing")
# In standard deviations: far enough for a rare value of a mostly constant column, near enough for training to bear.
LIMIT = 10.0
# Half the width of a uniform distribution of variance 1.
HALF = 3.0**0.5


@keras.saving.register_keras_serializable(package="autorec")
class NumericTransform(Block):
    """Numbers of any scale to about unit variance, and indicators of missing ones.

    - `log`: `(sign(x) log(1 + |x|) - mean) / std` by the column's `log_mean` and `log_std`, clipped to 10 either way;
    - `quantile`: `sqrt(3) (2 r - 1)`, where `r` from 0 to 1 is the place of `x` among the column's knots, linear
      between two of them, 0 below the least and 1 above the largest; 0 for a column with one value.

    A missing value (NaN) gives 0. Each column that had missing values in training adds an indicator of them behind
    all numbers. All is computed in float64 and cast to float32 last, under any policy, so that training and serving
    give the same bits.

    Args:
        method: `log` or `quantile` (searched, first `log`).
        columns: For each column of the input a dict of what was learned from its training rows: `log_mean`,
            `log_std` (above 0), `knots` (increasing) and `missing` (share, 0 to 1); other keys are ignored.

    Shapes:
        (batch, columns) float64 gives (batch, columns + columns with missing values) float32.

    Raises:
        ConfigError: If an argument is not allowed, or the input has another number of columns.

    Example:
        >>> column = {"log_mean": 1.0, "log_std": 0.5, "knots": [0, 1, 10], "missing": 0.1}
        >>> NumericTransform("log", [column])(np.array([[3.0], [np.nan]]))  # (2, 2)
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"method": Choice(METHODS, "log")}

    def __init__(self, method: str, columns: Sequence[Mapping[str, Any]], **kwargs: Any) -> None:
        # Keras would cast the float64 inputs.
        super().__init__(autocast=False, **kwargs)
        if method not in METHODS:
            raise unknown_name("method", method, METHODS)
        self.method = method
        self.columns = [_checked(column) for column in columns]
        if not self.columns:
            raise ConfigError("columns", "at least one column", columns)
        self._with_missing = [i for i, column in enumerate(self.columns) if column["missing"] > 0]

    def build(self, input_shape: Any) -> None:
        """Checks the number of columns."""
        if input_shape[-1] != len(self.columns):
            raise ConfigError("inputs", f"of shape (batch, {len(self.columns)})", tuple(input_shape))
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Takes (batch, columns) numbers; returns (batch, columns + indicators) float32."""
        x = ops.cast(inputs, "float64")
        missing = ops.isnan(x)
        present = ops.where(missing, ops.zeros_like(x), x)
        values = self._log(present) if self.method == "log" else self._quantile(present)
        values = ops.cast(ops.where(missing, ops.zeros_like(values), values), "float32")
        if not self._with_missing:
            return values
        indicators = ops.cast(ops.take(missing, self._with_missing, axis=1), "float32")
        return ops.concatenate([values, indicators], axis=1)

    def _log(self, x: Any) -> Any:
        means, stds = self._array("log_mean"), self._array("log_std")
        return ops.clip((ops.sign(x) * ops.log1p(ops.abs(x)) - means) / stds, -LIMIT, LIMIT)

    def _quantile(self, x: Any) -> Any:
        """Finds each number's interval by bisection in all columns at once."""
        counts = np.array([len(column["knots"]) for column in self.columns])
        width = 2 ** int(counts.max()).bit_length()
        knots = np.full((len(counts), width), np.inf)
        for row, column in zip(knots, self.columns):
            row[: len(column["knots"])] = column["knots"]
        x = ops.clip(x, knots[:, 0], knots[np.arange(len(counts)), counts - 1])
        starts = np.arange(len(counts), dtype="int32") * width
        flat = ops.convert_to_tensor(knots.reshape(-1))
        place = ops.zeros_like(x, dtype="int32")
        for step in (width >> bit for bit in range(1, width.bit_length())):
            place = ops.where(x >= ops.take(flat, starts + place + step), place + step, place)
        low, high = ops.take(flat, starts + place), ops.take(flat, starts + place + 1)
        # Behind the last knot is infinity, and the fraction 0.
        rank = (ops.cast(place, "float64") + (x - low) / (high - low)) / np.maximum(counts - 1.0, 1.0)
        return HALF * (2.0 * rank - 1.0) * (counts > 1)

    def edges(self) -> list[list[float]]:
        """Returns the knots of each output column, transformed; those of an indicator are 0 and 1."""
        knots = [column["knots"] for column in self.columns]
        most = max(map(len, knots))
        grid = np.array([[*row, *[row[-1]] * (most - len(row))] for row in knots], "float64").T
        values = ops.convert_to_numpy(self(grid))[:, : len(knots)].T
        found = [[float(value) for value in np.unique(row)] for row in values]
        return found + [[0.0, 1.0] for _ in self._with_missing]

    def _array(self, key: str) -> np.ndarray:
        return np.array([column[key] for column in self.columns], "float64")


def _checked(column: Mapping[str, Any]) -> dict[str, Any]:
    lacking = [key for key in KEYS if key not in column]
    if lacking:
        raise ConfigError("columns", f"dicts with the keys {list(KEYS)}", sorted(column), f"Lacking: {lacking}.")
    knots = [float(value) for value in column["knots"]]
    if not knots or not all(a < b for a, b in zip(knots, knots[1:])):
        raise ConfigError("columns", "dicts with increasing `knots`", knots)
    if not column["log_std"] > 0:
        raise ConfigError("columns", "dicts with a `log_std` above 0", column["log_std"])
    return {**column, "knots": knots}
