"""Graphs as drawings."""

from __future__ import annotations

from random import Random
from xml.etree import ElementTree

from autorec.data.layout import Layout
from autorec.spaces import DAG_BLOCKS, InteractionDAG
from autorec.spaces.dag_graph import Graph, Node
from autorec.spaces.dag_svg import describe, draw

SVG = "{http://www.w3.org/2000/svg}"
SOURCES = ("dense", "sparse")
CHAIN = Graph(
    (Node("mlp", (True, True), (), 64), Node("fm", (False, True), (False,)), Node("dot", (False, False), (True, True))),
    SOURCES,
)


def texts(graph: Graph) -> list[str]:
    return [str(text.text) for text in ElementTree.fromstring(draw(graph)).iter(f"{SVG}text")]


def boxes(graph: Graph) -> list[tuple[float, float, float, float]]:
    """Corners of the boxes, that of the whole drawing first."""
    found = []
    for box in ElementTree.fromstring(draw(graph)).iter(f"{SVG}rect"):
        x, y = float(box.get("x", 0)), float(box.get("y", 0))
        found.append((x, y, x + float(box.get("width", 0)), y + float(box.get("height", 0))))
    return found


def test_a_drawing_has_a_box_for_each_block_each_source_and_the_head() -> None:
    assert set(texts(CHAIN)) >= {"MLP 64", "FM", "Dot products", "dense", "sparse", "Head", "block 2"}
    assert len(boxes(CHAIN)) == 1 + 3 + 2 + 1


def test_a_drawing_tells_in_words_what_reads_what() -> None:
    assert describe(CHAIN) == (
        "block 0: MLP 64 of dense, sparse; block 1: FM of sparse; block 2: Dot products of block 0, block 1; "
        "head of block 2"
    )
    assert ElementTree.fromstring(draw(CHAIN))[0].text == describe(CHAIN)


def test_empty_blocks_are_not_drawn_and_loose_sources_go_to_the_head() -> None:
    graph = Graph((Node("fm", (False, False)),), SOURCES)
    assert texts(graph) == ["dense", "numbers, statistics", "sparse", "a field each column", "Head", "one linear layer"]
    assert describe(graph) == "head of dense, sparse"


def test_boxes_do_not_overlap_and_lie_within_the_drawing(layout: Layout) -> None:
    space = InteractionDAG(macro="feature", types=tuple(DAG_BLOCKS))
    for seed in range(10):
        whole, *others = boxes(space.genotypes(layout).random(Random(seed)))
        for number, (left, top, right, bottom) in enumerate(others):
            assert left >= 0
            assert top >= 0
            assert right <= whole[2]
            assert bottom <= whole[3]
            for x, y, far, low in others[:number]:
                assert right <= x or far <= left or bottom <= y or low <= top


def test_many_sources_with_the_same_readers_share_a_box() -> None:
    names = tuple(f"field/f{number}" for number in range(9))
    graph = Graph((Node("fm", (True,) * 8 + (False,)),), names)
    assert texts(graph)[:3] == ["8 features", "f0, f1, f2, f3, f4,…", "f8"]


def test_names_of_columns_are_escaped() -> None:
    graph = Graph((Node("fm", (True, False)),), ("field/a<b", 'field/c & "d"'))
    assert {"a<b", 'c & "d"'} <= set(texts(graph))
