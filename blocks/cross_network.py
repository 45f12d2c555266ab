"""Crosses of features of bounded degree."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import Block, Shape, as_list, as_vector, vector_width
from autorec.blocks.checks import whole
from autorec.blocks.hyperparameters import Choice, Hyperparameter, Int
from autorec.errors import unknown_name

KINDS = ("vector", "matrix", "low_rank", "mixture")
RANK, EXPERTS = 32, 4


@keras.saving.register_keras_serializable(package="autorec")
class CrossNetwork(Block):
    """Each layer multiplies the input with a map of what the layers before have made of it.

    - `vector`: `x_{l+1} = x_0 (w_l . x_l) + b_l + x_l`;
    - `matrix`: `x_{l+1} = x_0 * (W_l x_l + b_l) + x_l`;
    - `low_rank`: the same with `W_l = U_l V_l^T`, `U_l` and `V_l` of width x rank;
    - `mixture`: `x_{l+1} = sum_k p_k(x_l) x_0 * (U_lk tanh(C_lk tanh(V_lk^T x_l)) + b_l) + x_l`, where
      `p = softmax(G_l x_l)` weighs the experts k.

    `x_0` is the inputs as one vector. `L` layers hold products of up to `L + 1` features.

    Args:
        kind: One of these (searched; default `low_rank`).
        layers: Number of layers (1 or more; searched: 1 to 4; default 2).
        rank: For `low_rank` and `mixture`, the rank (1 or more; searched: 8, 16, 32, 64; default 32).
        experts: For `mixture`, the number of experts (1 or more; searched: 2, 4, 8; default 4).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, width of all together).

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> CrossNetwork("matrix", layers=3)(np.ones((4, 10), "float32"))  # (4, 10)

    Source: `vector`: Wang et al., Deep & Cross Network for Ad Click Predictions, ADKDD 2017, equation 3. The others:
    Wang et al., DCN V2, WWW 2021, equations 1 to 4; the gates and both nonlinearities, which it leaves open, are
    softmax and tanh.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {
        "kind": Choice(KINDS, "low_rank"),
        "layers": Int(1, 4, default=2),
        "rank": Choice((8, 16, 32, 64), RANK),
        "experts": Choice((2, 4, 8), EXPERTS),
    }
    WHEN: ClassVar = {"rank": ("kind", ("low_rank", "mixture")), "experts": ("kind", ("mixture",))}

    def __init__(
        self, kind: str = "low_rank", layers: int = 2, rank: int = RANK, experts: int = EXPERTS, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if kind not in KINDS:
            raise unknown_name("kind", kind, KINDS)
        self.kind = kind
        self.layers = whole("layers", layers)
        self.rank = whole("rank", rank)
        self.experts = whole("experts", experts)

    def build(self, input_shape: Any) -> None:
        """Makes the weights of all layers."""
        width = vector_width(input_shape)
        kernels = self._kernels(width)
        self.kernels = [
            {name: self._weight(f"{name}_{layer}", *sizes) for name, sizes in kernels.items()}
            for layer in range(self.layers)
        ]
        self.biases = [
            self.add_weight(name=f"bias_{layer}", shape=(width,), initializer="zeros") for layer in range(self.layers)
        ]
        self.built = True

    def _kernels(self, width: int) -> dict[str, tuple[tuple[int, ...], tuple[int, int]]]:
        """Returns shape and fans of a layer's kernels; stacked experts have the fans of each by itself."""
        rank, experts = self.rank, self.experts
        if self.kind in ("vector", "matrix"):
            shape = (width, 1 if self.kind == "vector" else width)
            return {"kernel": (shape, shape)}
        if self.kind == "low_rank":
            return {"down": ((width, rank), (width, rank)), "up": ((rank, width), (rank, width))}
        kernels = {
            "down": ((width, experts * rank), (width, rank)),
            "middle": ((experts, rank, rank), (rank, rank)),
            "up": ((experts * rank, width), (rank, width)),
        }
        return kernels if experts == 1 else {**kernels, "gate": ((width, experts), (width, experts))}

    def _weight(self, name: str, shape: tuple[int, ...], fans: tuple[int, int]) -> Any:
        limit = sqrt(6 / sum(fans))
        return self.add_weight(name=name, shape=shape, initializer=keras.initializers.RandomUniform(-limit, limit))

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, width)."""
        start = as_vector(inputs)
        if self.kind == "vector":
            return self._vector(start)
        mapped = MAPS[self.kind]
        x = start
        for kernels, bias in zip(self.kernels, self.biases):
            # `ops.add` makes the bias part of the product, where `+` goes over the batch once more.
            x = start * ops.add(mapped(x, **kernels), bias) + x
        return x

    def _vector(self, start: Any) -> Any:
        """Returns the last layer for `vector`.

        There every layer is a multiple of the input plus the sum of the biases so far, `x_l = a_l x_0 + c_l`, which
        the recursion gives as `a_{l+1} = a_l + a_l (w_l . x_0) + w_l . c_l`: one product for all layers.
        """
        kernel = ops.concatenate([kernels["kernel"] for kernels in self.kernels], axis=1)  # (width, layers)
        products = ops.matmul(start, kernel)  # (batch, layers)
        factor, shift = 1.0, ops.zeros_like(self.biases[0])
        for layer, bias in enumerate(self.biases):
            factor = factor + factor * products[:, layer : layer + 1] + ops.matmul(shift, kernel[:, layer])
            shift = shift + bias
        return factor * start + shift

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, width)."""
        return (as_list(input_shape)[0][0], vector_width(input_shape))


def _matrix(x: Any, kernel: Any) -> Any:
    return ops.matmul(x, kernel)


def _low_rank(x: Any, down: Any, up: Any) -> Any:
    return ops.matmul(ops.matmul(x, down), up)


def _mixture(x: Any, down: Any, middle: Any, up: Any, gate: Any = None) -> Any:
    """Returns the experts' maps of (batch, width), weighed by their gates and summed; one alone has no gate."""
    experts, rank, _ = middle.shape
    inner = ops.reshape(ops.tanh(ops.matmul(x, down)), (-1, experts, rank))
    inner = ops.tanh(ops.einsum("ber,ers->bes", inner, middle))
    if gate is not None:
        inner = ops.expand_dims(ops.softmax(ops.matmul(x, gate)), -1) * inner
    # The gates sum to one, so the bias, which all experts share, is added once behind this.
    return ops.matmul(ops.reshape(inner, (-1, experts * rank)), up)


MAPS: dict[str, Callable[..., Any]] = {"matrix": _matrix, "low_rank": _low_rank, "mixture": _mixture}
