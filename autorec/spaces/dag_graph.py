"""A graph of interactions as data: what each block is and what it reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Node:
    """A block of a graph.

    Args:
        kind: Name of a kind of `DAG_BLOCKS`.
        raw: For each raw source of the graph, whether the block reads it.
        skips: For each block before it, whether the block reads its output.
        units: Width of the block, None for a kind without one.
    """

    kind: str
    raw: tuple[bool, ...]
    skips: tuple[bool, ...] = ()
    units: int | None = None

    @property
    def order(self) -> tuple[Any, ...]:
        """What nodes are compared by."""
        return (self.kind, self.units or 0, self.raw, self.skips)


@dataclass(frozen=True, eq=False)
class Graph:
    """Blocks in an order in which each reads only what stands before it.

    A block that reads nothing outputs nothing, and edges to it mean nothing. Graphs are equal if they describe the
    same network: what empty blocks are does not count, nor the order in which blocks stand.

    Args:
        nodes: The blocks; block `k` has `k` skips.
        sources: Names of the raw sources, sorted.

    Example:
        >>> deep = Node("mlp", raw=(True, True), units=64)
        >>> fm, empty = Node("fm", (False, True), (False,)), Node("dot", (False, False))
        >>> Graph((deep, fm), ("dense", "sparse"))
    """

    nodes: tuple[Node, ...]
    sources: tuple[str, ...]

    @cached_property
    def inputs(self) -> tuple[tuple[int, ...], ...]:
        """For each block the numbers of the blocks that it reads, those without output left out."""
        found: list[tuple[int, ...]] = []
        alive: list[bool] = []
        for node in self.nodes:
            found.append(tuple(number for number, used in enumerate(node.skips) if used and alive[number]))
            alive.append(any(node.raw) or bool(found[-1]))
        return tuple(found)

    @cached_property
    def alive(self) -> tuple[int, ...]:
        """The numbers of the blocks that read something."""
        return tuple(number for number, node in enumerate(self.nodes) if any(node.raw) or self.inputs[number])

    @cached_property
    def loose(self) -> tuple[int, ...]:
        """The numbers of the blocks whose output no block reads: the head does."""
        read = {number for inputs in self.inputs for number in inputs}
        return tuple(number for number in self.alive if number not in read)

    @cached_property
    def loose_sources(self) -> tuple[str, ...]:
        """The raw sources that no block reads: the head does."""
        return tuple(name for place, name in enumerate(self.sources) if not any(node.raw[place] for node in self.nodes))

    @cached_property
    def canonical(self) -> Graph:
        """The same network without its empty blocks, in an order that depends on the network alone."""
        labels = {number: self.nodes[number].order[:3] for number in self.alive}
        before = {number: frozenset(self.inputs[number]) for number in self.alive}
        order = _least_order(labels, before)
        nodes = []
        for place, number in enumerate(order):
            node = self.nodes[number]
            skips = tuple(earlier in before[number] for earlier in order[:place])
            nodes.append(Node(node.kind, node.raw, skips, node.units))
        return Graph(tuple(nodes), self.sources)

    def __eq__(self, other: object) -> bool:
        """Tells whether two graphs are the same network on the same sources."""
        if not isinstance(other, Graph):
            return NotImplemented
        return self._identity == other._identity

    def __hash__(self) -> int:
        """Returns one number for all graphs that are equal."""
        return hash(self._identity)

    @cached_property
    def _identity(self) -> tuple[Any, ...]:
        return (self.sources, *(node.order for node in self.canonical.nodes))


Labels = dict[int, tuple[Any, ...]]
Edges = dict[int, frozenset[int]]


def _least_order(labels: Labels, before: Edges) -> list[int]:
    """Returns the topological order that is the same for graphs that differ only in the order of their blocks.

    At each place stands the available block of the least colour, which already tells most blocks apart. Among those
    that it does not, twins (the same inputs, the same readers) can be exchanged; for others every choice is followed,
    and the one that gives the least list of edges is taken.
    """
    after = {number: frozenset(later for later in before if number in before[later]) for number in before}
    colours = _colours(labels, before, after)

    def extend(order: list[int]) -> list[int]:
        places = {number: place for place, number in enumerate(order)}
        keys = {
            number: (colours[number], sorted(places[earlier] for earlier in before[number]))
            for number in before
            if number not in places and before[number] <= places.keys()
        }
        if not keys:
            return order
        least = min(keys.values())
        tied = {after[number]: number for number, key in keys.items() if key == least}
        return min((extend([*order, number]) for number in tied.values()), key=edges)

    def edges(order: list[int]) -> list[list[int]]:
        return [sorted(order.index(earlier) for earlier in before[number]) for number in order]

    return extend([])


def _colours(labels: Labels, before: Edges, after: Edges) -> dict[int, int]:
    """Returns a number for each block by its label and those of all that it reads or that read it, however far."""
    colours = _ranks(labels)
    while True:
        neighbours = {
            number: (colours[number], _sorted(colours, before[number]), _sorted(colours, after[number]))
            for number in colours
        }
        finer = _ranks(neighbours)
        if len(set(finer.values())) == len(set(colours.values())):
            return finer
        colours = finer


def _sorted(colours: dict[int, int], numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(colours[number] for number in numbers))


def _ranks(keys: dict[int, tuple[Any, ...]]) -> dict[int, int]:
    ranks = {key: rank for rank, key in enumerate(sorted(set(keys.values())))}
    return {number: ranks[key] for number, key in keys.items()}
