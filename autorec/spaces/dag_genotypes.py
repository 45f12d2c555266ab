"""The graphs of a search space: as hyperparameters, at random, changed by one field, and all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from random import Random
from typing import Any

from autorec.errors import ConfigError
from autorec.spaces.dag_graph import Graph, Node

PREFIX = "dag"
_BLOCK = re.compile(rf"{PREFIX}/(\d+)/(.+)")
_SKIP = re.compile(r"skip_\d+")


@dataclass(frozen=True)
class Start:
    """What a block is by default: its kind, its wished width, whether it reads what is raw, the blocks it reads."""

    kind: str
    units: int = 128
    raw: bool = False
    reads: tuple[int, ...] = ()


# A deep network of two layers beside a factorization machine; the inner products join it in its second layer, as in
# DLRM. The further blocks are empty: a search brings them to life one at a time.
STARTS = (
    Start("mlp", 256, raw=True),
    Start("fm", raw=True),
    Start("dot", raw=True),
    Start("mlp", 128, reads=(0, 2)),
)
EMPTY = Start("mlp")


@dataclass(frozen=True)
class Genotypes:
    """All graphs of up to `blocks` blocks of some kinds and widths on some raw sources.

    Hyperparameters of block `k` are `dag/<k>/type`, one `dag/<k>/<source>` for each raw source, `dag/<k>/skip_<j>`
    for each block `j < k`, and `dag/<k>/units` for kinds with units. What has one value alone is left out.

    Args:
        blocks: Number of blocks (1 or more).
        kinds: Their kinds.
        units: Their widths, for kinds with units.
        sized: The kinds with units.
        sources: Names of the raw sources, sorted.

    Example:
        >>> genotypes = Genotypes(2, ("mlp", "fm"), (64, 256), frozenset({"mlp"}), ("dense", "sparse"))
        >>> graph = genotypes.random(random.Random(0))
        >>> genotypes.decode(genotypes.encode(graph)) == graph
        True

    Source: Song et al., Towards Automated Neural Interaction Discovery for Click-Through Rate Prediction, KDD 2020.
    There mutations may leave the network as it was; here they never do.
    """

    blocks: int
    kinds: tuple[str, ...]
    units: tuple[int, ...]
    sized: frozenset[str]
    sources: tuple[str, ...]

    def default(self, number: int) -> Node:
        """Returns what block `number` is by default; its units are those it has if its kind gets some."""
        start = STARTS[number] if number < len(STARTS) else EMPTY
        kind = start.kind if start.kind in self.kinds else self.kinds[0]
        nearest = min(self.units, key=lambda units: (abs(units - start.units), units))
        skips = tuple(earlier in start.reads for earlier in range(number))
        return Node(kind, (start.raw,) * len(self.sources), skips, nearest)

    def decode(self, values: Mapping[str, Any]) -> Graph:
        """Returns the graph of some hyperparameters; what they leave out has its default.

        Args:
            values: Hyperparameters by name; others than those of the graph are not looked at.
        """
        return Graph(tuple(self._node(number, values) for number in range(self.blocks)), self.sources)

    def _node(self, number: int, values: Mapping[str, Any]) -> Node:
        default, scope = self.default(number), f"{PREFIX}/{number}"
        kind = str(values.get(f"{scope}/type", default.kind)) if len(self.kinds) > 1 else self.kinds[0]
        units = values.get(f"{scope}/units", default.units) if len(self.units) > 1 else self.units[0]
        raw = [bool(values.get(f"{scope}/{name}", bit)) for name, bit in zip(self.sources, default.raw)]
        skips = [bool(values.get(f"{scope}/skip_{earlier}", bit)) for earlier, bit in enumerate(default.skips)]
        return Node(kind, tuple(raw), tuple(skips), units if kind in self.sized else None)

    def encode(self, graph: Graph) -> dict[str, Any]:
        """Returns the hyperparameters of a graph; of the blocks that it lacks, the bits alone, which are off.

        Raises:
            ConfigError: If it has more blocks than there are.
        """
        if len(graph.nodes) > self.blocks:
            raise ConfigError("graph", f"one of up to {self.blocks} blocks", f"{len(graph.nodes)} blocks")
        values: dict[str, Any] = {}
        for number in range(self.blocks):
            node = graph.nodes[number] if number < len(graph.nodes) else None
            scope = f"{PREFIX}/{number}"
            if node is not None and len(self.kinds) > 1:
                values[f"{scope}/type"] = node.kind
            raw = (False,) * len(self.sources) if node is None else node.raw
            skips = (False,) * number if node is None else node.skips
            values |= {f"{scope}/{name}": bit for name, bit in zip(self.sources, raw)}
            values |= {f"{scope}/skip_{earlier}": bit for earlier, bit in enumerate(skips)}
            if node is not None and node.units is not None and len(self.units) > 1:
                values[f"{scope}/units"] = node.units
        return values

    def canonical(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the values with the graph in its canonical form; the others stay."""
        others = {name: value for name, value in values.items() if not _BLOCK.fullmatch(name)}
        return {**others, **self.encode(self.decode(values).canonical)}

    def random(self, rng: Random) -> Graph:
        """Returns a graph with kinds and units drawn uniformly and each bit on with probability 1/2."""
        nodes = []
        for number in range(self.blocks):
            kind = rng.choice(self.kinds)
            nodes.append(Node(kind, _bits(rng, len(self.sources)), _bits(rng, number), self._units(kind, rng)))
        return Graph(tuple(nodes), self.sources)

    def _units(self, kind: str, rng: Random) -> int | None:
        return rng.choice(self.units) if kind in self.sized else None

    def mutate(self, graph: Graph, rng: Random) -> Graph:
        """Returns another network: one field of one block drawn anew.

        A block, then a field of it (kind, each raw source, skips, units) are drawn uniformly, until the network is
        another. A block that gets a kind with units gets units too.
        """
        empty = Graph((), self.sources) if not graph.nodes else graph
        nodes = [*empty.nodes, *(self._empty(number) for number in range(len(empty.nodes), self.blocks))]
        parent = Graph(tuple(nodes), self.sources)
        child = parent
        while child == parent:
            number = rng.randrange(self.blocks)
            changed = self._change(nodes[number], rng)
            child = Graph((*nodes[:number], changed, *nodes[number + 1 :]), self.sources)
        return child

    def _empty(self, number: int) -> Node:
        default = self.default(number)
        units = default.units if default.kind in self.sized else None
        return Node(default.kind, (False,) * len(self.sources), (False,) * number, units)

    def _change(self, node: Node, rng: Random) -> Node:
        fields: list[Any] = ["kind", *range(len(self.sources))]
        fields += ["skips"] * bool(node.skips) + ["units"] * (node.units is not None)
        field = rng.choice(fields)
        if field == "kind":
            kind = rng.choice(self.kinds)
            kept = node.units if node.units is not None and kind in self.sized else self._units(kind, rng)
            return replace(node, kind=kind, units=kept)
        if field == "skips":
            return replace(node, skips=_bits(rng, len(node.skips)))
        if field == "units":
            return replace(node, units=rng.choice(self.units))
        return replace(node, raw=tuple(bit != (place == field) for place, bit in enumerate(node.raw)))

    def enumerate(self, limit: int = 100_000) -> list[Graph]:
        """Returns every network once, in canonical form, the smaller ones first.

        Args:
            limit: Most graphs (1 or more).

        Raises:
            ConfigError: If there are more.
        """
        found: dict[Graph, None] = {Graph((), self.sources): None}
        newest = list(found)
        for _ in range(self.blocks):
            # Each network of one block more is one of these with a block that none of its blocks reads.
            larger: dict[Graph, None] = {}
            for graph in newest:
                for node in self._nodes(len(graph.nodes)):
                    larger[Graph((*graph.nodes, node), self.sources).canonical] = None
                    if len(found) + len(larger) > limit:
                        raise ConfigError("limit", "as large as the number of graphs", limit)
            found |= larger
            newest = list(larger)
        return list(found)

    def _nodes(self, number: int) -> Iterator[Node]:
        """Yields everything that block `number` can be, but for empty."""
        labels = [(kind, units) for kind in self.kinds for units in (self.units if kind in self.sized else (None,))]
        bits = product((False, True), repeat=len(self.sources) + number)
        inputs = [read for read in bits if any(read)]
        for (kind, units), read in product(labels, inputs):
            yield Node(kind, read[: len(self.sources)], read[len(self.sources) :], units)


def sources_in(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the names of the raw sources that some hyperparameters speak of, sorted."""
    found = {match[2] for name in values if (match := _BLOCK.fullmatch(name))}
    return tuple(sorted(name for name in found if name not in ("type", "units") and not _SKIP.fullmatch(name)))


def _bits(rng: Random, count: int) -> tuple[bool, ...]:
    return tuple(rng.random() < 0.5 for _ in range(count))
