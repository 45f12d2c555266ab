"""Products of all pairs of fields, in linear time."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import AsFields, Block, Shape, as_list
from autorec.blocks.checks import flag, whole
from autorec.blocks.hyperparameters import Boolean, Choice, Hyperparameter


@keras.saving.register_keras_serializable(package="autorec")
class FactorizationMachine(Block):
    """The sum of the products of all pairs of fields.

    `y = sum_{i<j} <v_i, v_j> = 1/2 sum_d ((sum_i v_id)^2 - sum_i v_id^2)`

    Without `reduce` the outer sum is left out: `y_d = sum_{i<j} v_id v_jd`, the pooling of bi-interactions. It has no
    weights unless fields are projected. Under any policy it computes in float32 and returns it: the formula is a
    difference of large numbers, and `y` is a term of a logit.

    Args:
        dim: Width that fields of another width are projected to, see `AsFields` (1 or more; searched: 0, 4, 8, 16).
            None (default) and 0 keep the fields' own width, the least one where they differ.
        reduce: Whether to sum over the width (searched; default True).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, 1), or (batch, dim) without
        `reduce`. A vector is one field; one field alone has no pairs and gives 0.

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> FactorizationMachine()(np.ones((4, 3, 8), "float32"))  # (4, 1): 3 pairs * 8 = 24

    Source: Rendle, Factorization Machines, ICDM 2010, equation 5 and lemma 3.1; without `reduce`: He, Chua, Neural
    Factorization Machines for Sparse Predictive Analytics, SIGIR 2017, section 3.1.2.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"dim": Choice((0, 4, 8, 16), 0), "reduce": Boolean(True)}

    def __init__(self, dim: int | None = None, reduce: bool = True, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.dim = None if dim is None else whole("dim", dim, least=0)
        self.reduce = flag("reduce", reduce)
        self.as_fields = AsFields(self.dim or None, dtype="float32")

    def build(self, input_shape: Any) -> None:
        """Makes the kernels of projected inputs."""
        self.as_fields.build(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, 1) or (batch, dim) in float32."""
        parts = self.as_fields.parts(inputs)
        total = sum(ops.sum(part, axis=1) for part in parts)  # (batch, dim)
        if self.reduce:
            own = sum(ops.sum(ops.square(part), axis=(1, 2)) for part in parts)
            return 0.5 * ops.expand_dims(ops.sum(ops.square(total), axis=1) - own, 1)
        return 0.5 * (ops.square(total) - sum(ops.sum(ops.square(part), axis=1) for part in parts))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, 1) or (batch, dim)."""
        return (as_list(input_shape)[0][0], 1 if self.reduce else self.as_fields.width_of(input_shape))

    def compute_output_spec(self, inputs: Any) -> Any:
        """Returns a symbolic float32 tensor."""
        shapes = [tuple(x.shape) for x in as_list(inputs)]
        return keras.KerasTensor(self.compute_output_shape(shapes), dtype="float32")
