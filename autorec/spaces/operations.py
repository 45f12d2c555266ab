"""What a model costs to call: multiplications of one row, and parameters outside of tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import keras

from autorec.blocks import (
    MLP,
    AsFields,
    CrossNetwork,
    DotInteraction,
    Elementwise,
    FactorizationMachine,
    FieldEmbedding,
    InnerProduct,
    ItemLikeness,
    NumericEmbedding,
    NumericTransform,
    SelfAttention,
)
from autorec.blocks.base import vector_width
from autorec.blocks.head import Head
from autorec.training.table_variables import tables

Shape = tuple[int | None, ...]
Count = Callable[[Any, Sequence[Shape]], int]


def operations(model: Any) -> int:
    """Returns the multiply-adds that a model needs for one row.

    A multiplication counts as one, with the addition behind it; additions alone, comparisons, activations, lookups and
    pooling count as none, and a list as if it had one value. A layer counts by `COUNTS`; one of another kind by its
    method `operations(shapes)`, where `shapes` are those of its inputs, the batch included; one without it, and a
    model that is not functional, by its weights: each is used once.

    Args:
        model: A Keras model, built.

    Example:
        >>> inputs = keras.Input((8,))
        >>> operations(keras.Model(inputs, keras.layers.Dense(4)(inputs)))
        32
    """
    model = getattr(model, "_functional", None) or model
    by_depth = getattr(model, "_nodes_by_depth", None)
    if by_depth is None:
        return dense_parameters(model)
    # Not the layers: one that is called twice counts twice.
    nodes = [node for group in by_depth.values() for node in group]
    return sum(_count(node.operation, [tuple(x.shape) for x in node.input_tensors]) for node in nodes)


def dense_parameters(model: Any) -> int:
    """Returns the number of parameters of a model outside of its embedding tables and of what is known of items.

    Args:
        model: A Keras model or layer, built.
    """
    known = (weight for layer in model._flatten_layers() if isinstance(layer, ItemLikeness) for weight in layer.weights)
    left_out = {id(weight) for weight in (*tables(model), *known)}
    return sum(prod(weight.shape) for weight in model.weights if id(weight) not in left_out)


def _count(layer: Any, shapes: Sequence[Shape]) -> int:
    if isinstance(layer, keras.Model):
        return operations(layer)
    own = getattr(layer, "operations", None)
    if callable(own):
        return int(own(shapes))
    for kind in type(layer).__mro__:
        if kind in COUNTS:
            return COUNTS[kind](layer, shapes)
    if type(layer).__name__ == "Matmul":  # `keras.ops.matmul` on the tensors of a functional model
        return _values(shapes[0]) * (shapes[1][-1] or 1)
    return dense_parameters(layer) if isinstance(layer, keras.layers.Layer) else 0


def _values(shape: Shape) -> int:
    """Returns the number of values in a row of a tensor."""
    return prod(size or 1 for size in shape[1:])


def _nothing(layer: Any, shapes: Sequence[Shape]) -> int:
    return 0


def _once(layer: Any, shapes: Sequence[Shape]) -> int:
    return sum(_values(shape) for shape in shapes)


def _twice(layer: Any, shapes: Sequence[Shape]) -> int:
    return 2 * _once(layer, shapes)


def _multiply(layer: Any, shapes: Sequence[Shape]) -> int:
    return (len(shapes) - 1) * max(_values(shape) for shape in shapes)


def _dense(layer: Any, shapes: Sequence[Shape]) -> int:
    return _values(shapes[0]) * int(layer.units)


def _einsum(layer: Any, shapes: Sequence[Shape]) -> int:
    """Each value of the input meets each of the kernel, but for the labels that both have."""
    left, _, right = layer.equation.split("->")[0].replace(" ", "").partition(",")
    sizes = dict(zip(right, layer.kernel.shape))
    shared = prod(size for label, size in sizes.items() if label in left)
    return _values(shapes[0]) * int(prod(layer.kernel.shape)) // int(shared)


def _convolution(layer: Any, shapes: Sequence[Shape]) -> int:
    """The kernel is applied at each place of the output."""
    output = layer.compute_output_shape(shapes[0])
    places = output[1:-1] if layer.data_format == "channels_last" else output[2:]
    return int(prod(layer.kernel.shape)) * prod(size or 1 for size in places)


def _mlp(layer: Any, shapes: Sequence[Shape]) -> int:
    total, width = 0, vector_width(list(shapes))
    for part in layer.stack:
        total += _count(part, [(None, width)])
        width = part.compute_output_shape((None, width))[1]
    return total


def _as_fields(layer: Any, shapes: Sequence[Shape]) -> int:
    """A kernel of each input of another width, for each of its fields."""
    return sum(
        _values(shape) * layer.width
        for shape, kernel in zip(shapes, getattr(layer, "kernels", ()), strict=True)
        if kernel is not None
    )


def _fields(layer: Any, shapes: Sequence[Shape]) -> tuple[int, int, int]:
    """Returns the count of fields of a block on fields, their width, and what it takes to bring them to it."""
    _, count, width = layer.as_fields.compute_output_shape(list(shapes))
    return count or 1, width or 1, _as_fields(layer.as_fields, shapes)


def _factorization_machine(layer: Any, shapes: Sequence[Shape]) -> int:
    """The squares of all values and of their sum."""
    count, width, projection = _fields(layer, shapes)
    return projection + (count + 1) * width


def _dot_interaction(layer: Any, shapes: Sequence[Shape]) -> int:
    """The whole matrix of products, of which a triangle is kept."""
    count, width, projection = _fields(layer, shapes)
    return projection + count * count * width


def _self_attention(layer: Any, shapes: Sequence[Shape]) -> int:
    """In each layer the maps of all fields, the products of queries and keys, the mixture of the values."""
    count, _, projection = _fields(layer, shapes)
    maps = sum(count * int(prod(kernel.shape)) for kernel in layer.kernels)
    return projection + maps + layer.layers * 2 * count * count * layer.heads * layer.dim


def _cross_network(layer: Any, shapes: Sequence[Shape]) -> int:
    """In each layer the map, and its product with the input; the gates weigh what each expert has."""
    width = vector_width(list(shapes))
    maps = sum(int(prod(kernel.shape)) for kernels in layer.kernels for kernel in kernels.values())
    gates = sum(layer.experts * layer.rank for kernels in layer.kernels if "gate" in kernels)
    return maps + gates + layer.layers * width


def _elementwise(layer: Any, shapes: Sequence[Shape]) -> int:
    """Kernels of wider inputs, then products, or the division of an average."""
    projection = sum(int(prod(kernel.shape)) for kernel in layer.kernels if kernel is not None)
    inputs = len(shapes) if len(shapes) > 1 or len(shapes[0]) == 2 else shapes[0][1] or 1
    width = layer.compute_output_shape(list(shapes) if len(shapes) > 1 else shapes[0])[-1] or 1
    return projection + {"multiply": (inputs - 1) * width, "average": width}.get(layer.mode, 0)


def _numeric_embedding(layer: Any, shapes: Sequence[Shape]) -> int:
    """The place in each bin, or the angle of each frequency, then the kernel."""
    width, size, _ = layer.kernel.shape
    encoded = {"piecewise": width * size, "periodic": width * size // 2}.get(layer.kind, 0)
    return int(encoded + prod(layer.kernel.shape))


#: Multiply-adds of one row by kind of layer: functions of the layer and the shapes of its inputs.
COUNTS: dict[type, Count] = {
    keras.layers.InputLayer: _nothing,
    keras.layers.Embedding: _nothing,
    FieldEmbedding: _nothing,
    keras.layers.Dense: _dense,
    keras.layers.EinsumDense: _einsum,
    keras.layers.Conv1D: _convolution,
    keras.layers.Conv2D: _convolution,
    keras.layers.Multiply: _multiply,
    keras.layers.Normalization: _once,
    keras.layers.BatchNormalization: _once,
    keras.layers.LayerNormalization: _twice,
    keras.layers.RMSNormalization: _twice,
    NumericTransform: _once,
    NumericEmbedding: _numeric_embedding,
    AsFields: _as_fields,
    MLP: _mlp,
    FactorizationMachine: _factorization_machine,
    DotInteraction: _dot_interaction,
    SelfAttention: _self_attention,
    CrossNetwork: _cross_network,
    Elementwise: _elementwise,
    InnerProduct: lambda layer, shapes: _elementwise(layer.product, shapes),
    Head: lambda layer, shapes: 0 if layer.kernel is None else int(prod(layer.kernel.shape)),
}
