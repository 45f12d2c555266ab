"""Inner products of all pairs of fields."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from autorec.blocks.base import AsFields, Block, Shape, as_list
from autorec.blocks.checks import flag, whole
from autorec.blocks.hyperparameters import Boolean, Hyperparameter
from autorec.errors import ConfigError


@keras.saving.register_keras_serializable(package="autorec")
class DotInteraction(Block):
    """The inner products of all pairs of fields, side by side.

    `y = [<v_i, v_j> : j < i]`, by rising `i`, then `j`; with `self_interaction`, `j <= i`.

    Args:
        self_interaction: Whether each field's product with itself is among them (searched; default False).
        dim: Width that fields of another width are projected to, see `AsFields` (1 or more). None (default) keeps
            the fields' own width, the least one where they differ.

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives (batch, fields * (fields - 1) / 2), with
        `self_interaction` (batch, fields * (fields + 1) / 2). A vector is one field.

    Raises:
        ConfigError: If an argument is not allowed, or there is one field alone without `self_interaction`.

    Example:
        >>> DotInteraction()(np.ones((4, 26, 16), "float32"))  # (4, 325)

    Source: Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation Systems, 2019,
    section 2.5.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {"self_interaction": Boolean(False)}

    def __init__(self, self_interaction: bool = False, dim: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.self_interaction = flag("self_interaction", self_interaction)
        self.dim = None if dim is None else whole("dim", dim)
        self.as_fields = AsFields(self.dim, dtype=self.dtype_policy)

    def build(self, input_shape: Any) -> None:
        """Makes the kernels of projected inputs and the places of the pairs."""
        self.as_fields.build(input_shape)
        fields = self.as_fields.compute_output_shape(input_shape)[1] or 0
        if fields < 2 and not self.self_interaction:
            raise ConfigError("inputs", "two fields or more without `self_interaction`", input_shape)
        rows, columns = np.tril_indices(fields, 0 if self.self_interaction else -1)
        self.places = (rows * fields + columns).astype("int32")
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, pairs)."""
        fields = self.as_fields(inputs)
        products = ops.matmul(fields, ops.transpose(fields, (0, 2, 1)))  # (batch, fields, fields)
        return ops.take(ops.reshape(products, (-1, fields.shape[1] ** 2)), self.places, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, pairs)."""
        fields = self.as_fields.compute_output_shape(input_shape)[1] or 0
        return (as_list(input_shape)[0][0], fields * (fields + (1 if self.self_interaction else -1)) // 2)
