"""Graphs as data: which are the same network."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest

from autorec.spaces.dag_genotypes import Genotypes
from autorec.spaces.dag_graph import Graph, Node

SOURCES = ("dense", "sparse")
GENOTYPES = Genotypes(5, ("mlp", "fm", "dot"), (32, 64), frozenset({"mlp"}), SOURCES)


def shuffled(graph: Graph, rng: Random) -> Graph:
    """The same network with its blocks in another order that is allowed."""
    left, order = list(range(len(graph.nodes))), []
    while left:
        free = [n for n in left if all(j in order for j, used in enumerate(graph.nodes[n].skips) if used)]
        order.append(rng.choice(free))
        left.remove(order[-1])
    nodes = []
    for place, number in enumerate(order):
        node = graph.nodes[number]
        skips = tuple(earlier < number and node.skips[earlier] for earlier in order[:place])
        nodes.append(Node(node.kind, node.raw, skips, node.units))
    return Graph(tuple(nodes), graph.sources)


def test_a_block_that_reads_nothing_is_empty_and_so_is_one_that_reads_only_it() -> None:
    empty = Node("fm", (False, False))
    graph = Graph((empty, Node("dot", (False, False), (True,)), Node("mlp", (True, False), (True, True), 8)), SOURCES)
    assert graph.alive == (2,)
    assert graph.canonical.nodes == (Node("mlp", (True, False), (), 8),)


def test_what_nobody_reads_is_loose() -> None:
    first, second = Node("fm", (False, True)), Node("mlp", (False, True), (False,), 8)
    graph = Graph((first, second, Node("dot", (False, False), (True, False))), SOURCES)
    assert graph.loose == (1, 2)
    assert graph.loose_sources == ("dense",)


def test_graphs_that_differ_in_the_order_of_their_blocks_are_equal() -> None:
    rng = Random(0)
    for _ in range(200):
        graph = GENOTYPES.random(rng)
        again = shuffled(graph, rng)
        assert again == graph
        assert hash(again) == hash(graph)
        assert again.canonical.nodes == graph.canonical.nodes


def test_blocks_that_only_their_readers_tell_apart_are_told_apart() -> None:
    raw, none = (True, True), (False, False)
    bits = ((True, False, False), (True, False, False))
    together = [Node("fm", raw, (False,) * n) for n in range(3)]
    both_one = Graph((*together, Node("dot", none, bits[0]), Node("dot", none, (*bits[1], False))), SOURCES)
    one_each = Graph((*together, Node("dot", none, bits[0]), Node("dot", none, (False, True, False, False))), SOURCES)
    assert both_one != one_each
    assert both_one.canonical == both_one


def test_rings_of_blocks_have_one_form_whatever_their_order() -> None:
    # Four readers of two blocks each, in one ring or in two: all labels and counts of neighbours agree.
    raw, none = (True, True), (False, False)

    def ring(pairs: list[tuple[int, int]]) -> Graph:
        bottom = [Node("fm", raw, (False,) * n) for n in range(4)]
        top = [
            Node("dot", none, tuple(j in pair for j in range(4)) + (False,) * place) for place, pair in enumerate(pairs)
        ]
        return Graph((*bottom, *top), SOURCES)

    one = [(0, 1), (1, 2), (2, 3), (3, 0)]
    two = [(0, 1), (0, 1), (2, 3), (2, 3)]
    assert {ring(list(order)) for order in permutations(one)} == {ring(one)}
    assert ring(one) != ring(two)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Node("mlp", (True, False), (), 64), False),
        (Node("mlp", (True, True), (), 32), False),
        (Node("mlp", (True, False), (), 32), True),
    ],
)
def test_units_and_raw_sources_are_part_of_a_network(other: Node, same: bool) -> None:
    graph = Graph((Node("mlp", (True, False), (), 32),), SOURCES)
    assert (Graph((other,), SOURCES) == graph) is same
    assert Graph((other,), ("dense",)) != graph
    assert graph != "a graph"
