"""Numbers as fields."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt
from statistics import NormalDist
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from autorec.blocks.base import Block, Shape
from autorec.blocks.hyperparameters import Choice, Hyperparameter
from autorec.errors import ConfigError, unknown_name

KINDS = ("linear", "piecewise", "periodic")
BINS = 16
# Of a field whose number is 1: small, because fields are multiplied with each other, and not zero for the same reason.
SPREAD = 0.05


@keras.saving.register_keras_serializable(package="autorec")
class NumericEmbedding(Block):
    """Each number of a vector as a field.

    - `linear`: `field_j = x_j w_j + b_j`;
    - `piecewise`: `field_j = W_j e(x_j) + b_j`, where `e_t(x)` is the share of bin `t` that lies below `x`:
      `clip((x - edge_t) / (edge_{t+1} - edge_t), 0, 1)`;
    - `periodic`: `field_j = relu(W_j [sin(2 pi c_j x_j), cos(2 pi c_j x_j)] + b_j)` with learned frequencies `c_j`.

    Args:
        dim: Width of the fields (1 or more; searched: 8, 16, 32, first 16).
        kind: `linear`, `piecewise` or `periodic` (searched, first `linear`).
        edges: For `piecewise`, the increasing edges of each number's bins, of any count, as
            `NumericTransform.edges` gives them; fewer than two leave the bias alone. Default: 16 bins, equally filled
            for standard normal numbers.
        frequencies: For `periodic`, the count of frequencies of each number (1 or more, default 16).
        scale: For `periodic`, the standard deviation of the frequencies at the start (above 0, default 0.1).

    Shapes:
        (batch, width) gives (batch, width, dim).

    Raises:
        ConfigError: If an argument is not allowed, or `edges` are of another width than the input.

    Example:
        >>> NumericEmbedding(dim=8, kind="periodic")(np.ones((4, 3), "float32"))  # (4, 3, 8)

    Source: Gorishniy, Rubachev, Babenko, On Embeddings for Numerical Features in Tabular Deep Learning, NeurIPS 2022:
    section 3.2 (piecewise linear encoding, quantile bins, then a linear layer of each feature's own), section 3.3
    (periodic, then linear and ReLU: PLR). There bins are equally filled and the outermost ones open; here a number
    outside of them counts as their end, since an outlier in a narrow bin would be thousands of bins away.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"dim": Choice((8, 16, 32), 16), "kind": Choice(KINDS, "linear")}

    def __init__(
        self,
        dim: int,
        kind: str,
        edges: Sequence[Sequence[float]] | None = None,
        frequencies: int = 16,
        scale: float = 0.1,
        **kwargs: Any,
    ) -> None:
        # Keras would cast the numbers, and in bfloat16 narrow bins and high frequencies are lost.
        super().__init__(autocast=False, **kwargs)
        if kind not in KINDS:
            raise unknown_name("kind", kind, KINDS)
        for name, value in (("dim", dim), ("frequencies", frequencies)):
            if value < 1:
                raise ConfigError(name, "a whole number of 1 or more", value)
        if not scale > 0:
            raise ConfigError("scale", "a number above 0", scale)
        self.dim = dim
        self.kind = kind
        self.edges = None if edges is None else [_increasing(row) for row in edges]
        self.frequencies = frequencies
        self.scale = scale

    def build(self, input_shape: Any) -> None:
        """Makes the weights of the kind."""
        width = input_shape[-1]
        size, squares = 1, 1.0  # encoded values of a number, and about the sum of their squares
        if self.kind == "piecewise":
            self._set_bins(width)
            size, squares = self._low.shape[-1], max(1.0, self._low.shape[-1] / 2)
        elif self.kind == "periodic":
            self.frequency = self._weight("frequency", (width, self.frequencies), self.scale)
            size, squares = 2 * self.frequencies, float(self.frequencies)
        self.kernel = self._weight("kernel", (width, size, self.dim), SPREAD / sqrt(squares))
        self.bias = self._weight("bias", (width, self.dim), SPREAD)
        self.built = True

    def _weight(self, name: str, shape: tuple[int, ...], spread: float) -> Any:
        return self.add_weight(name=name, shape=shape, initializer=keras.initializers.RandomNormal(stddev=spread))

    def _set_bins(self, width: int) -> None:
        """Sets the bins' lower edges and widths, (width, 1, bins); the ones that a number lacks are never reached."""
        edges = [_normal_edges()] * width if self.edges is None else self.edges
        if len(edges) != width:
            raise ConfigError("edges", f"a list for each of {width} numbers", f"{len(edges)} lists")
        bins = max(1, *(len(row) - 1 for row in edges))
        self._low = np.full((width, 1, bins), np.inf, "float32")
        self._width = np.ones((width, 1, bins), "float32")
        for number, row in enumerate(edges):
            self._low[number, 0, : max(len(row) - 1, 0)] = row[:-1]
            self._width[number, 0, : max(len(row) - 1, 0)] = np.diff(row)

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width); returns (batch, width, dim)."""
        x = ops.cast(inputs, "float32")
        kernel, bias = (ops.cast(weight, self.compute_dtype) for weight in (self.kernel, self.bias))
        if self.kind == "linear":
            return ops.cast(ops.expand_dims(x, -1), self.compute_dtype) * kernel[:, 0] + bias
        # A number at a time, (width, batch, size): a product of plain matrices each, which takes half as long as with
        # the rows first, where all that was encoded is copied into that order, forth and back.
        encoded = ops.cast(self._encode(ops.expand_dims(ops.transpose(x), -1)), self.compute_dtype)
        fields = ops.transpose(ops.matmul(encoded, kernel), (1, 0, 2)) + bias
        return ops.relu(fields) if self.kind == "periodic" else fields

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, width, dim)."""
        return (*input_shape, self.dim)

    def _encode(self, x: Any) -> Any:
        """Returns (width, batch, size) of (width, batch, 1)."""
        if self.kind == "piecewise":
            return ops.clip((x - self._low) / self._width, 0.0, 1.0)
        angle = 2.0 * pi * ops.expand_dims(ops.cast(self.frequency, "float32"), 1) * x
        return ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)


def _normal_edges() -> list[float]:
    inner = [NormalDist().inv_cdf(number / BINS) for number in range(1, BINS)]
    return [-3.0, *inner, 3.0]


def _increasing(row: Sequence[float]) -> list[float]:
    values = [float(np.float32(value)) for value in row]
    if not all(a < b for a, b in zip(values, values[1:])):
        raise ConfigError("edges", "lists of numbers that increase in float32", values)
    return values
