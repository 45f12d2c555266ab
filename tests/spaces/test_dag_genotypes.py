"""The graphs of a space: as hyperparameters, at random, mutated, enumerated."""

from __future__ import annotations

from dataclasses import fields
from itertools import product
from random import Random

import pytest

from autorec.errors import ConfigError
from autorec.spaces.dag_genotypes import Genotypes, sources_in
from autorec.spaces.dag_graph import Graph, Node

BOTH = ("dense", "sparse")
WHOLE = Genotypes(7, ("mlp", "fm", "dot"), (32, 64, 128, 256, 512, 1024), frozenset({"mlp"}), BOTH)
SMALL = Genotypes(2, ("mlp", "fm", "dot"), (64, 256), frozenset({"mlp"}), BOTH)


def differing(parent: Graph, child: Graph) -> set[str]:
    """Fields of nodes that differ; units that come or go with the kind are not counted."""
    found = set()
    for before, after in zip(parent.nodes, child.nodes, strict=True):
        names = {field.name for field in fields(Node) if getattr(before, field.name) != getattr(after, field.name)}
        if "kind" in names and None in (before.units, after.units):
            names -= {"units"}
        found |= {(id(before), name) for name in names}
    return {name for _, name in found} if len(found) == 1 else {str(found)}


def test_decoding_what_was_encoded_gives_the_same_graph() -> None:
    rng = Random(0)
    for _ in range(100):
        graph = WHOLE.random(rng)
        assert WHOLE.decode(WHOLE.encode(graph)).nodes == graph.nodes
        assert WHOLE.decode(WHOLE.encode(graph.canonical)) == graph


def test_a_random_graph_has_each_bit_with_probability_one_half() -> None:
    rng = Random(0)
    nodes = [node for _ in range(300) for node in WHOLE.random(rng).nodes]
    bits = [bit for node in nodes for bit in (*node.raw, *node.skips)]
    assert sum(bits) / len(bits) == pytest.approx(0.5, abs=0.02)
    assert {node.units for node in nodes if node.kind == "mlp"} == set(WHOLE.units)


def test_a_mutation_changes_exactly_one_field_and_the_network() -> None:
    rng, seen = Random(1), set()
    for _ in range(300):
        parent = WHOLE.random(rng)
        child = WHOLE.mutate(parent, rng)
        assert child != parent
        found = differing(parent, child)
        assert len(found) == 1
        seen |= found
    assert seen == {"kind", "raw", "skips", "units"}


def test_a_canonical_graph_can_be_mutated_though_it_lacks_its_empty_blocks() -> None:
    empty = Graph((), BOTH)
    children = {WHOLE.mutate(empty, Random(seed)) for seed in range(20)}
    assert all(len(child.alive) == 1 for child in children)


def test_children_that_differ_have_canonical_values_that_differ() -> None:
    rng = Random(2)
    parent = WHOLE.random(rng)
    children = {WHOLE.mutate(parent, rng) for _ in range(100)}
    forms = {tuple(sorted(WHOLE.canonical(WHOLE.encode(child)).items())) for child in children}
    assert len(forms) == len(children)


def test_canonical_values_lack_what_does_not_matter_and_keep_the_rest() -> None:
    values = {"dag/0/type": "fm", "dag/0/units": 64, "dag/0/dense": False, "dag/0/sparse": True}
    values |= {"dag/1/type": "mlp", "dag/1/dense": False, "dag/1/sparse": False, "dag/1/skip_0": False}
    values |= {"train/learning_rate": 0.01, "dag/1/units": 256}
    found = SMALL.canonical(values)
    assert found == {
        "train/learning_rate": 0.01,
        "dag/0/type": "fm",
        "dag/0/dense": False,
        "dag/0/sparse": True,
        "dag/1/dense": False,
        "dag/1/sparse": False,
        "dag/1/skip_0": False,
    }
    assert SMALL.canonical(found) == found


def test_canonical_values_agree_exactly_where_networks_do() -> None:
    rng = Random(3)
    graphs = [SMALL.random(rng) for _ in range(200)]
    forms = [tuple(sorted(SMALL.canonical(SMALL.encode(graph)).items())) for graph in graphs]
    assert len(set(forms)) == len(set(graphs))
    assert all((a == b) == (f == g) for a, f in zip(graphs, forms) for b, g in zip(graphs[:20], forms))


@pytest.mark.parametrize(("sources", "count"), [(BOTH, 283), (("sparse",), 47)])
def test_two_blocks_of_four_kinds_make_as_many_networks_as_all_their_encodings(
    sources: tuple[str, ...], count: int
) -> None:
    genotypes = Genotypes(2, SMALL.kinds, SMALL.units, SMALL.sized, sources)
    labels = [("mlp", 64), ("mlp", 256), ("fm", None), ("dot", None)]
    reads = list(product((False, True), repeat=len(sources)))
    encodings = product(labels, labels, reads, reads, (False, True))
    brute = {Graph((Node(*a, r, (), u), Node(*b, s, (k,), v)), sources) for (*a, u), (*b, v), r, s, k in encodings}
    found = genotypes.enumerate()
    assert len(found) == count
    assert set(found) == brute


def test_too_many_networks_are_refused() -> None:
    with pytest.raises(ConfigError, match="`limit` must be as large as the number of graphs, got 1000"):
        WHOLE.enumerate(limit=1000)


def test_a_graph_of_more_blocks_than_there_are_is_refused() -> None:
    graph = WHOLE.random(Random(0))
    with pytest.raises(ConfigError, match="one of up to 2 blocks, got '7 blocks'"):
        SMALL.encode(graph)


def test_what_has_one_value_alone_has_no_hyperparameter() -> None:
    plain = Genotypes(1, ("mlp",), (64,), frozenset({"mlp"}), ("sparse",))
    graph = Graph((Node("mlp", (True,), (), 64),), ("sparse",))
    assert plain.encode(graph) == {"dag/0/sparse": True}
    assert plain.decode({"dag/0/sparse": True, "dag/0/type": "fm", "dag/0/units": 8}) == graph


def test_values_speak_of_their_sources() -> None:
    values = {"dag/1/skip_0": True, "dag/0/field/skip_0": True, "dag/0/sparse": True, "dag/0/units": 8, "mlp/units": 8}
    assert sources_in(values) == ("field/skip_0", "sparse")
