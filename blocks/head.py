"""What the heads share: an affine output for each target, in float32."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from keras import ops

from autorec.blocks.base import Block, as_list, as_vector, vector_width
from autorec.errors import ConfigError


class Head(Block):
    """An affine map of all inputs to one value for each target, plus offsets that are added as they are.

    `z = W [tensors] + b + sum offsets`

    It computes in float32 under any policy, for a bfloat16 logit has three digits. A subclass names its targets in
    `targets`, may give the biases a start in `start`, and turns `z` into what it returns in `finish`.

    Raises:
        ConfigError: If there are no targets, nothing to read, or an offset has neither one column nor one a target.
    """

    targets: Collection[str]

    def __init__(self, targets: Collection[str], **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if isinstance(targets, str) or not targets or len(set(targets)) < len(targets):
            raise ConfigError("targets", "distinct names, at least one", targets)
        self.targets = targets

    def start(self) -> list[float]:
        """Returns what the biases start from."""
        return [0.0] * len(self.targets)

    def finish(self, values: Any) -> Any:
        """Takes (batch, targets) and returns the head's outputs, (batch, targets)."""
        return values

    def build(self, tensors_shape: Any = None, offsets_shape: Any = None) -> None:
        """Makes the weights; without tensors, the biases only."""
        self._shapes = {"tensors_shape": tensors_shape, "offsets_shape": offsets_shape}
        count = len(self.targets)
        width = vector_width(tensors_shape) if tensors_shape else 0
        offsets = as_list(offsets_shape) if offsets_shape else []
        if not width and not offsets:
            raise ConfigError("tensors", "at least one tensor if there are no offsets", tensors_shape)
        if any(len(shape) != 2 or shape[1] not in (1, count) for shape in offsets):
            raise ConfigError("offsets", f"tensors (batch, 1) or (batch, {count})", [tuple(s) for s in offsets])
        self.kernel = (
            self.add_weight(name="kernel", shape=(width, count), initializer="glorot_uniform", dtype="float32")
            if width
            else None
        )
        self.bias = self.add_weight(name="bias", shape=(count,), initializer=self._start, dtype="float32")
        self.built = True

    def get_build_config(self) -> dict[str, Any]:
        """Returns the shapes by name: without tensors, Keras would take the offsets' for theirs."""
        return {"shapes_dict": dict(self._shapes)}

    def _start(self, shape: Any, dtype: Any = None) -> Any:
        return ops.convert_to_tensor(self.start(), dtype)

    def call(self, tensors: Any, offsets: Sequence[Any] = ()) -> dict[str, Any]:
        """Takes (batch, width) or (batch, fields, dim) tensors, and offsets of (batch, 1) or (batch, targets).

        Returns:
            `{target: (batch, 1) float32}`.
        """
        values = self.bias
        if self.kernel is not None:
            values = values + ops.matmul(ops.cast(as_vector(tensors), "float32"), self.kernel)
        for offset in as_list(offsets):
            values = values + ops.cast(offset, "float32")
        outputs = self.finish(values)  # (batch, targets)
        return {target: outputs[:, i : i + 1] for i, target in enumerate(self.targets)}
