"""The kinds of blocks of the interaction DAG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from autorec.blocks import (
    MLP,
    AsFields,
    CompressedInteraction,
    Concatenate,
    CrossNetwork,
    DotInteraction,
    Elementwise,
    FactorizationMachine,
    FeatureGate,
    GatedDense,
    HistoryTransformer,
    InnerProduct,
    ResidualCross,
    SelfAttention,
    TwoStreamMLP,
)
from autorec.blocks.cross_network import RANK


@dataclass(frozen=True)
class BlockInputs:
    """What a block of the DAG reads.

    Args:
        dense: Vectors, each (batch, width).
        fields: Fields, each (batch, fields, width).
        dim: The common width of fields, e.
        histories: What `Features.histories` returns, for blocks that read them beside the rest.
    """

    dense: list[Any]
    fields: list[Any]
    dim: int
    histories: list[list[Any]] = field(default_factory=list)

    def everything(self) -> list[Any]:
        """Returns all there is, as it is."""
        return [*self.dense, *self.fields]

    def bounded(self) -> list[Any]:
        """Returns all there is, the vectors joined and held to a mean square of at most 1, see `bounded`."""
        return [*([bounded(self._joined())] if self.dense else []), *self.fields]

    def matrix(self) -> list[Any]:
        """Returns the rows of `M`, (batch, rows, e): one for all vectors, then the fields.

        The vectors are joined, mapped to width e by one linear layer and then `bounded`, as (batch, e).
        """
        rows = [bounded(keras.layers.Dense(self.dim)(self._joined()))] if self.dense else []
        mapped = [
            x if x.shape[-1] == self.dim else keras.layers.Dense(self.dim, use_bias=False)(x) for x in self.fields
        ]
        return [*rows, *mapped]

    def _joined(self) -> Any:
        return self.dense[0] if len(self.dense) == 1 else Concatenate()(self.dense)


def bounded(x: Any) -> Any:
    """Returns `s * x / sqrt(1 + mean_d x_d^2)` for vectors (batch, width), with a learned scale `s` for each column.

    Products of products grow as a power that doubles with each block: without a bound a chain of them reaches 1e6 and
    more. Short vectors stay about as they are, so that their length, which a product with itself is made of, is kept;
    long ones end at a mean square of 1.
    """
    return keras.layers.RMSNormalization(epsilon=1.0, dtype="float32")(x)


@dataclass(frozen=True)
class DagBlock:
    """A kind of block.

    Args:
        make: Function of what the block reads and of its units that returns its output: (batch, width), a vector to
            the blocks behind it, or (batch, fields, width), fields to them.
        label: Its name in drawings.
        sized: Whether it has units.
    """

    make: Callable[[BlockInputs, int], Any]
    label: str
    sized: bool = False


def _mlp(x: BlockInputs, units: int) -> Any:
    """Returns relu(W [everything] + b), (batch, units)."""
    return MLP(units=units, layers=1)(x.everything())


def _fm(x: BlockInputs, _: int) -> Any:
    """Returns sum_i w_i . M_i + sum_{i<j} <M_i, M_j>, (batch, 1)."""
    rows = x.matrix()
    first = keras.layers.Dense(1, use_bias=False, dtype="float32")(Concatenate(dtype="float32")(rows))
    return keras.layers.Add(dtype="float32")([first, FactorizationMachine()(rows)])


def _dot(x: BlockInputs, _: int) -> Any:
    """Returns <M_i, M_j> for j <= i, (batch, rows * (rows + 1) / 2)."""
    return DotInteraction(self_interaction=True)(x.matrix())


def _cross(kind: str) -> Callable[[BlockInputs, int], Any]:
    """Returns one cross of a kind; several blocks in a row are a deeper one."""
    return lambda x, _: CrossNetwork(kind, layers=1)(x.bounded())


def _cross_residual(x: BlockInputs, _: int) -> Any:
    """Returns one cross with attention between its factors, (batch, width)."""
    return ResidualCross(layers=1, rank=RANK, parallel=False)(x.bounded())


def _self_attention(x: BlockInputs, _: int) -> Any:
    """Returns one layer of attention between the rows, (batch, rows, e), of two heads where e is even."""
    heads = 1 if x.dim % 2 else 2
    return SelfAttention(dim=x.dim // heads, heads=heads, layers=1)(x.matrix())


def _field_mlp(x: BlockInputs, _: int) -> Any:
    """Returns relu(W M_i + b) for each row, (batch, rows, e)."""
    return keras.layers.Dense(x.dim, "relu")(AsFields(x.dim)(x.matrix()))


def _two_stream(x: BlockInputs, units: int) -> Any:
    """Returns two gated layers of `units` on everything and the products of their outputs, (batch, 1)."""
    return TwoStreamMLP(units, units, layers=1, heads=1 if units % 2 else 2)(x.everything())


def _history(x: BlockInputs, _: int) -> Any:
    """Returns the past, each item joined to the item at hand and to all that is read, (batch, 128 a sequence)."""
    found = []
    for items, ids, item, *likeness in x.histories:
        candidate = Concatenate()([item, *x.bounded()])
        found.append(HistoryTransformer(layers=1)([items, ids, candidate, *likeness]))
    return found[0] if len(found) == 1 else Concatenate()(found)


def _over_rows(layer: Callable[[], Any]) -> Callable[[BlockInputs, int], Any]:
    """Returns what a layer makes of the rows as one tensor, (batch, rows, e)."""
    return lambda x, _: layer()(AsFields(x.dim)(x.matrix()))


#: The kinds of blocks by name. Those that multiply read vectors `bounded`.
DAG_BLOCKS: dict[str, DagBlock] = {
    "mlp": DagBlock(_mlp, "MLP", sized=True),
    "fm": DagBlock(_fm, "FM"),
    "dot": DagBlock(_dot, "Dot products"),
    "cross_vector": DagBlock(_cross("vector"), "Cross (vector)"),
    "cross_matrix": DagBlock(_cross("matrix"), "Cross (matrix)"),
    "cross_low_rank": DagBlock(_cross("low_rank"), "Cross (low rank)"),
    "cross_mixture": DagBlock(_cross("mixture"), "Cross (mixture)"),
    "self_attention": DagBlock(_self_attention, "Self-attention"),
    "field_mlp": DagBlock(_field_mlp, "MLP of each field"),
    "bi_interaction": DagBlock(_over_rows(lambda: FactorizationMachine(reduce=False)), "Bi-interaction"),
    "elementwise": DagBlock(_over_rows(lambda: Elementwise("average")), "Average"),
    # Of many small rows these two vanish: they are for `macro="feature"`, where a block can read two.
    "product": DagBlock(_over_rows(lambda: Elementwise("multiply")), "Product"),
    "inner_product": DagBlock(_over_rows(InnerProduct), "Inner product"),
    "concatenate": DagBlock(lambda x, _: Concatenate()(x.everything()), "Concatenate"),
    "cross_residual": DagBlock(_cross_residual, "Cross (residual)"),
    "gated": DagBlock(lambda x, units: GatedDense(units)(x.everything()), "Gated MLP", sized=True),
    "feature_gate": DagBlock(lambda x, _: FeatureGate()(x.everything()), "Feature gate"),
    "two_stream": DagBlock(_two_stream, "Two streams", sized=True),
    "cin": DagBlock(_over_rows(lambda: CompressedInteraction(layers=1)), "Compressed interaction"),
    "history": DagBlock(_history, "History"),
}
