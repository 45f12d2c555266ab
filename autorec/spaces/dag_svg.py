"""A graph of interactions as a drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from autorec.spaces.dag_blocks import DAG_BLOCKS
from autorec.spaces.dag_graph import Graph

BOX_WIDTH, BOX_HEIGHT, LANE = 150, 46, 12  # a lane is where an edge passes a column of boxes
GAP_X, GAP_Y, MARGIN = 80, 18, 16
LETTERS = 20  # that fit into a box
SWEEPS = 8
RAW, HEAD, OTHER = "#e9e9e9", "#d6d6d6", "#e6dcf2"
COLOURS = {"mlp": "#cfe2f7", "fm": "#fbe3c4", "dot": "#d3ecd3"}
HINTS = {"dense": "numbers, statistics", "sparse": "a field each column"}
FEW = 4  # raw sources up to which each has a box of its own


@dataclass(eq=False)
class Item:
    """A box of a drawing, or with an empty title a lane.

    Args:
        column: Its place from the left.
        title: First line.
        hint: Second line.
        colour: What the box is filled with.
        whole: What shows where the pointer rests on it.
        before: The items to the left that edges come from.
        y: Its upper edge in pixels.
    """

    column: int
    title: str = ""
    hint: str = ""
    colour: str = ""
    whole: str = ""
    before: list[Item] = field(default_factory=list)
    y: float = 0.0

    @property
    def height(self) -> int:
        """Height in pixels."""
        return BOX_HEIGHT if self.title else LANE

    @property
    def x(self) -> int:
        """Left edge in pixels."""
        return MARGIN + self.column * (BOX_WIDTH + GAP_X)

    @property
    def middle(self) -> float:
        """Where edges meet it, in pixels from above."""
        return self.y + self.height / 2


def draw(graph: Graph) -> str:
    """Returns a drawing of a graph as an SVG document that needs no other file.

    What is raw stands on the left, the head on the right, each block to the right of all it reads. Empty blocks are
    left out. Of many raw sources those with the same readers share a box.

    Args:
        graph: The graph; its blocks are numbered as they stand in it.

    Example:
        >>> space = InteractionDAG()
        >>> Path("dag.svg").write_text(draw(space.decode(trial["values"])), encoding="utf-8")
    """
    items = _arranged(_items(graph))
    width = max(item.x for item in items) + BOX_WIDTH + MARGIN
    height = max(item.y + item.height for item in items) + MARGIN
    edges = "".join(_edge(before, item) for item in items for before in item.before)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" role="img" font-family="sans-serif" font-size="13">',
            f"<title>{escape(describe(graph))}</title>",
            f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#ffffff"/>',
            f'<g fill="none" stroke="#808080" stroke-width="1.4">{edges}</g>',
            *(_box(item) for item in items if item.title),
            "</svg>\n",
        ]
    )


def describe(graph: Graph) -> str:
    """Returns a graph in words: each block with what it reads, then what the head reads."""
    parts = []
    for number in graph.alive:
        raw = [_plain(name) for name, read in zip(graph.sources, graph.nodes[number].raw) if read]
        names = [*raw, *(f"block {earlier}" for earlier in graph.inputs[number])]
        parts.append(f"block {number}: {_name(graph, number)} of {', '.join(names)}")
    loose = [*(_plain(name) for name in graph.loose_sources), *(f"block {number}" for number in graph.loose)]
    return "; ".join([*parts, f"head of {', '.join(loose)}"])


def _name(graph: Graph, number: int) -> str:
    node = graph.nodes[number]
    label = DAG_BLOCKS[node.kind].label
    return label if node.units is None else f"{label} {node.units}"


def _plain(source: str) -> str:
    return source.removeprefix("field/")


def _items(graph: Graph) -> list[Item]:
    """Returns all boxes with their edges, and the lanes of edges that pass columns."""
    head = Item(1, "Head", "one linear layer", HEAD, "reads all that no block reads")
    boxes: dict[Any, Item] = {}
    edges: list[tuple[Item, Item]] = []
    for number in graph.alive:
        inputs = [boxes[earlier] for earlier in graph.inputs[number]]
        column = 1 + max((item.column for item in inputs), default=0)
        colour = COLOURS.get(graph.nodes[number].kind, OTHER)
        boxes[number] = Item(column, _name(graph, number), f"block {number}", colour, f"dag/{number}")
        edges += [(item, boxes[number]) for item in inputs]
        head.column = max(head.column, column + 1)
    edges += [(boxes[number], head) for number in graph.loose]
    sources = _sources(graph)
    edges += [(source, boxes[reader]) for source, readers in sources for reader in readers]
    edges += [(source, head) for source, readers in sources if not readers]
    items = [*(source for source, _ in sources), *boxes.values(), head]
    return items + _lanes(edges)


def _sources(graph: Graph) -> list[tuple[Item, tuple[int, ...]]]:
    """Returns a box for each raw source, or for each group of sources with the same readers, and the readers."""
    groups: dict[Any, list[str]] = {}
    for place, name in enumerate(graph.sources):
        readers = tuple(number for number in graph.alive if graph.nodes[number].raw[place])
        groups.setdefault((readers, "" if len(graph.sources) > FEW else name), []).append(_plain(name))
    found = []
    for (readers, _), names in groups.items():
        title = names[0] if len(names) == 1 else f"{len(names)} features"
        hint = HINTS.get(names[0], "") if len(names) == 1 else ", ".join(names)
        found.append((Item(0, title, hint, RAW, ", ".join(names)), readers))
    return found


def _lanes(edges: list[tuple[Item, Item]]) -> list[Item]:
    """Connects the items; edges of one item pass each column between in one lane. Returns the lanes."""
    lanes: dict[tuple[Item, int], Item] = {}
    for start, goal in edges:
        last = start
        for column in range(start.column + 1, goal.column):
            lane = lanes.get((start, column))
            if lane is None:
                lane = lanes[start, column] = Item(column, before=[last])
            last = lane
        goal.before.append(last)
    return list(lanes.values())


def _arranged(items: list[Item]) -> list[Item]:
    """Sets how high each item stands: near its neighbours to the left and the right, by turns."""
    columns = [[item for item in items if item.column == column] for column in range(max(i.column for i in items) + 1)]
    after: dict[Item, list[Item]] = {item: [] for item in items}
    for item in items:
        for before in item.before:
            after[before].append(item)
    for column in columns:
        _stack(column)
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 else reversed(columns):
            neighbours = {item: item.before if sweep % 2 else after[item] for item in column}
            wished = {item: _mean(near, item) for item, near in neighbours.items()}
            column.sort(key=lambda item, wished=wished: wished[item])  # type: ignore[misc]
            _stack(column)
    tallest = max(column[-1].y + column[-1].height for column in columns)
    for column in columns:
        shift = (tallest - column[-1].y - column[-1].height) / 2
        for item in column:
            item.y += shift
    return [item for column in columns for item in column]


def _mean(near: list[Item], item: Item) -> float:
    return sum(other.middle for other in near) / len(near) if near else item.middle


def _stack(column: list[Item]) -> None:
    y = float(MARGIN)
    for item in column:
        item.y = y
        y += item.height + GAP_Y


def _edge(start: Item, goal: Item) -> str:
    """Returns a line from the right of an item to the left of another, and through it if that is a lane."""
    left, right = start.x + BOX_WIDTH, goal.x
    bend = (left + right) / 2
    through = "" if goal.title else f" H{goal.x + BOX_WIDTH}"
    path = f"M{left} {start.middle:g} C{bend:g} {start.middle:g} {bend:g} {goal.middle:g} {right} {goal.middle:g}"
    return f'<path d="{path}{through}"/>'


def _box(item: Item) -> str:
    middle = item.x + BOX_WIDTH / 2
    lines = [(item.title, 19 if item.hint else 28, 'font-weight="600" fill="#1a1a1a"')]
    lines += [(item.hint, 36, 'font-size="11" fill="#555555"')] if item.hint else []
    texts = "".join(
        f'<text x="{middle:g}" y="{item.y + y:g}" text-anchor="middle" {style}>{escape(_short(text))}</text>'
        for text, y, style in lines
    )
    place = f'x="{item.x}" y="{item.y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}"'
    return (
        f'<g><title>{escape(item.whole)}</title><rect {place} rx="7" fill="{item.colour}" stroke="#6b6b6b"/>{texts}</g>'
    )


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
