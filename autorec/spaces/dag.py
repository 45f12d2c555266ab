"""`dag`: a graph of simple interactions, searched block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import keras

from autorec.blocks.checks import flag, whole
from autorec.data.layout import Layout
from autorec.errors import ConfigError, unknown_name
from autorec.spaces.dag_blocks import DAG_BLOCKS, BlockInputs
from autorec.spaces.dag_genotypes import PREFIX, Genotypes, sources_in
from autorec.spaces.dag_graph import Graph
from autorec.spaces.dag_streams import MACROS, VECTORS, RawStreams, raw_sources
from autorec.spaces.features import Features
from autorec.spaces.likeness import compared
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset

TYPES = ("mlp", "fm", "dot")
UNITS = (32, 64, 128, 256, 512, 1024)
BLOCKS = 7
STRUCTURE: dict[str, Any] = {
    "blocks": BLOCKS,
    "types": TYPES,
    "units": UNITS,
    "macro": "group",
    "number_fields": True,
}


class InteractionDAG(Preset):
    """A directed acyclic graph of simple interactions: what each block is and what it reads is searched.

    `y_k = block_k([raw inputs], [y_j : j < k])`, `logit = b + w . [all that no block reads]`

    Block `k` reads any of the raw dense stream (numbers, statistics and likeness, a vector), the raw sparse stream (a
    field for each column of ids, list and number) and the outputs of the blocks before it. One that reads nothing
    outputs nothing. `M` is what a block reads as rows of width e = `dim`: all vectors together are one row.

    - `mlp`: `relu(W [everything] + b)`, of `units` values;
    - `fm`: `sum_i w_i . M_i + sum_{i<j} <M_i, M_j>`, one value;
    - `dot`: `<M_i, M_j>` for all `j <= i`, `q (q + 1) / 2` values for `q` rows;
    - others by name, see `autorec.spaces.dag_blocks.DAG_BLOCKS`.

    Hyperparameters of block `k` (from 0) are `dag/<k>/type`, `dag/<k>/dense`, `dag/<k>/sparse`, `dag/<k>/skip_<j>` for
    `j < k`, and `dag/<k>/units` for types with units. A stream that the layout lacks has no bits. By default two deep
    layers stand beside a factorization machine, and the second one reads the inner products too; the other blocks are
    empty.

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        blocks: Number of blocks (1 or more; default 7).
        types: Names of `DAG_BLOCKS` (default `mlp`, `fm`, `dot`).
        units: Widths to choose from, or one (1 or more; default 32 to 1024 by powers of 2).
        macro: `group`: a bit for each stream; `feature`: a bit `dag/<k>/field/<name>` for each column, and one each
            for `dag/<k>/statistics`, `pairs`, `margins` and `leaves` (default `group`).
        number_fields: Whether embedded numbers and the leaves of trees are among the fields too (default True).

    Raises:
        ConfigError: If an argument is not allowed; in a build, if there is no sequence for the type `history`.

    Example:
        >>> space = InteractionDAG(blocks=2, types=["mlp", "fm", "dot"], units=[64, 256])
        >>> model = space.build_for(layout, space.encode(space.enumerate(layout)[20]))

    Source: Song et al., "Towards Automated Neural Interaction Discovery for Click-Through Rate Prediction" (KDD 2020).
    There numbers are in the dense stream alone, and products are not bounded; here the row that stands for vectors is,
    see `autorec.spaces.dag_blocks.bounded`: chains of products diverge otherwise.
    """

    NAME = PREFIX

    def __init__(
        self,
        *,
        blocks: int = BLOCKS,
        types: Sequence[str] = TYPES,
        units: int | Sequence[int] = UNITS,
        macro: str = "group",
        number_fields: bool = True,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.blocks = whole("blocks", blocks)
        self.types = _distinct("types", types)
        for name in self.types:
            if name not in DAG_BLOCKS:
                raise unknown_name("types", name, DAG_BLOCKS)
        self.units = tuple(whole("units", width) for width in _distinct("units", units))
        if macro not in MACROS:
            raise unknown_name("macro", macro, MACROS)
        self.macro = macro
        self.number_fields = flag("number_fields", number_fields)

    @classmethod
    def argument_names(cls) -> list[str]:
        """Returns the names of all arguments."""
        return [*super().argument_names(), *STRUCTURE]

    def get_config(self) -> dict[str, Any]:
        """Returns the space as plain JSON values."""
        config = super().get_config()
        given = {name: getattr(self, name) for name, value in STRUCTURE.items() if getattr(self, name) != value}
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
        return {**config, "arguments": {**config["arguments"], **own}}

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        # The streams first, so that hyperparameters of features depend on no other.
        raw = RawStreams(features, self.macro, self.number_fields)
        histories = features.histories() if "history" in self.types else []
        if "history" in self.types and not histories:
            raise ConfigError("types", "without 'history' where no sequence shares its ids with a column", self.types)
        graph = self._draw(hp, self._genotypes(raw.sources))
        outputs: dict[int, Any] = {}
        for number in graph.alive:
            node = graph.nodes[number]
            dense, fields = raw.take(name for name, read in zip(graph.sources, node.raw) if read)
            for earlier in graph.inputs[number]:
                (fields if len(outputs[earlier].shape) == 3 else dense).append(outputs[earlier])
            inputs = BlockInputs(dense, fields, features.dim, histories)
            outputs[number] = DAG_BLOCKS[node.kind].make(inputs, node.units or 0)
        dense, fields = raw.take(graph.loose_sources)
        loose = [*dense, *fields, *(outputs[number] for number in graph.loose)]
        return ranking_model(features.inputs, loose)

    def _draw(self, hp: Any, genotypes: Genotypes) -> Graph:
        """Returns the graph that `hp` has, after declaring all of its hyperparameters."""
        for number in range(genotypes.blocks):
            default, scope = genotypes.default(number), f"{self.NAME}/{number}"
            if len(self.types) > 1:
                hp.Choice(f"{scope}/type", list(self.types), default=default.kind)
            for name, bit in zip(genotypes.sources, default.raw):
                hp.Boolean(f"{scope}/{name}", default=bit)
            for earlier, bit in enumerate(default.skips):
                hp.Boolean(f"{scope}/skip_{earlier}", default=bit)
            sized = [name for name in self.types if name in genotypes.sized]
            if sized and len(self.units) > 1:
                with hp.conditional_scope(f"{scope}/type", sized) if len(self.types) > 1 else nullcontext():
                    hp.Choice(f"{scope}/units", list(self.units), default=default.units)
        return genotypes.decode(hp.values)

    def sources(self, layout: Layout, values: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """Returns the names of the raw sources, which are also those of their bits, sorted.

        Args:
            layout: Columns of the encoded rows.
            values: Hyperparameters by name, which say whether statistics are read; what is left out has its default.
        """
        optional = [*VECTORS, "leaves"]
        searched = {name: (values or {}).get(f"features/{name}", name != "leaves") for name in optional}
        if not set(layout.groups) - set(optional):
            searched |= dict.fromkeys(VECTORS, True)  # there is nothing else to read
        read = [name for name in optional if getattr(layout, name) and self.arguments.get(name, searched[name])]
        read += ["likeness"] * bool(compared(layout) and self.arguments.get("likeness", True))
        return raw_sources(layout, self.macro, self.number_fields, read)

    def _genotypes(self, sources: tuple[str, ...]) -> Genotypes:
        sized = frozenset(name for name in self.types if DAG_BLOCKS[name].sized)
        return Genotypes(self.blocks, self.types, self.units, sized, sources)

    def genotypes(self, layout: Layout, values: Mapping[str, Any] | None = None) -> Genotypes:
        """Returns the graphs of this space for a layout: drawn at random, changed, listed."""
        return self._genotypes(self.sources(layout, values))

    def decode(self, values: Mapping[str, Any], layout: Layout | None = None) -> Graph:
        """Returns the graph of some hyperparameters.

        Args:
            values: Hyperparameters by name; what is left out has its default, others are not looked at.
            layout: Columns of the encoded rows. Without it the raw sources are those that `values` speak of.
        """
        return self._of(values, layout).decode(values)

    def encode(self, graph: Graph) -> dict[str, Any]:
        """Returns the hyperparameters of a graph, blocks that it lacks with their bits off."""
        return self._genotypes(graph.sources).encode(graph)

    def canonical(self, values: Mapping[str, Any], layout: Layout | None = None) -> dict[str, Any]:
        """Returns the same values for all values that give the same network.

        Edges to empty blocks are off, empty blocks have no type, only types with units have units, and blocks stand
        in an order that depends on the network alone. Other hyperparameters stay as they are.

        Args:
            values: Hyperparameters by name; what is left out of the graph has its default.
            layout: Columns of the encoded rows. Without it the raw sources are those that `values` speak of.
        """
        return self._of(values, layout).canonical(values)

    def _of(self, values: Mapping[str, Any], layout: Layout | None) -> Genotypes:
        if layout is not None:
            return self.genotypes(layout, values)
        return self._genotypes(sources_in(values) or (("dense", "sparse") if self.macro == "group" else ()))

    def enumerate(self, layout: Layout, limit: int = 100_000) -> list[Graph]:
        """Returns every network of the space once, in canonical form, the smaller ones first.

        Args:
            layout: Columns of the encoded rows.
            limit: Most graphs.

        Raises:
            ConfigError: If there are more.
        """
        return self.genotypes(layout).enumerate(limit)


def _distinct(argument: str, values: Any) -> tuple[Any, ...]:
    found = tuple(values) if isinstance(values, (list, tuple)) else (values,)
    if not found or len(set(found)) < len(found):
        raise ConfigError(argument, "distinct values, at least one", values)
    return found
