"""What blocks share that combine vectors entry by entry."""

from __future__ import annotations

from typing import Any

from keras import ops

from autorec.blocks.base import AsFields, Block, Shape, as_list


class Aligned(Block):
    """Reads its inputs as vectors of one width.

    Several inputs are a vector each, (batch, fields, dim) flattened; those that are wider than the least one are
    projected to its width. A single (batch, fields, dim) is taken as `fields` vectors.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._align = AsFields(dtype=self.dtype_policy)

    def build(self, input_shape: Any) -> None:
        """Makes the projections, where they are needed."""
        self._align.build(self._shapes(input_shape))
        self.built = True

    def aligned(self, inputs: Any) -> Any:
        """Returns (batch, vectors, width)."""
        tensors = as_list(inputs)
        if len(tensors) == 1:
            return self._align(tensors)
        return self._align([x if len(x.shape) == 2 else ops.reshape(x, (-1, x.shape[1] * x.shape[2])) for x in tensors])

    def aligned_shape(self, input_shape: Any) -> Shape:
        """Returns the shape of `aligned`."""
        return self._align.compute_output_shape(self._shapes(input_shape))

    def _shapes(self, input_shape: Any) -> list[Shape]:
        shapes = as_list(input_shape)
        if len(shapes) == 1:
            return shapes
        return [shape if len(shape) == 2 else (shape[0], shape[1] * shape[2]) for shape in shapes]
