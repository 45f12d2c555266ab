"""The closed space behind `architectures` and `search`: every graph of two blocks, and the table of their losses.

A graph is written as its blocks, each with its kind, its units and what it reads: `mlp64:ds dot:s0` is an MLP of 64
units on raw dense and raw sparse, and a dot product of the raw sparse fields with block 0. Blocks stand in canonical
order and those without an input are left out, so a graph has one name.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.record import COLUMNS, RECORDS, Cells

METHOD = 1
NAME = "architectures"
BLOCKS = 2
TYPES = ("mlp", "fm", "dot")
UNITS = (64, 256)
#: What is no matter of the graph. Numbers are the raw dense stream and no fields, so that the streams are distinct.
FEATURES: dict[str, Any] = {
    "numbers": "log",
    "number_embedding": "piecewise",
    "pooling": "mean",
    "cap": 0,
    "statistics": False,
    "pairs": False,
    "number_fields": False,
}
DIM = 16


def space(dim: int = DIM) -> Any:
    """Returns the space of two blocks; only its graph is searched."""
    from autorec.spaces import InteractionDAG

    return InteractionDAG(blocks=BLOCKS, types=TYPES, units=UNITS, dim=dim, **FEATURES)


def genotypes() -> Any:
    """Returns all graphs of the space, on both raw streams."""
    from autorec.spaces.dag_genotypes import Genotypes

    return Genotypes(BLOCKS, TYPES, UNITS, frozenset({"mlp"}), ("dense", "sparse"))


def graphs(dense: bool) -> list[str]:
    """Returns the names of all graphs, in a fixed order.

    Args:
        dense: Whether there is a raw dense stream; without one, the graphs that do not read it are all there are.
    """
    names = [_name(graph) for graph in genotypes().enumerate()]
    return names if dense else [name for name in names if not any("d" in reads for _, reads in _blocks(name))]


def name_of(values: Mapping[str, Any]) -> str:
    """Returns the name of the graph that hyperparameters describe."""
    return _name(genotypes().decode(values).canonical)


def values_of(name: str) -> dict[str, Any]:
    """Returns hyperparameters of the graph with this name."""
    from autorec.spaces.dag_graph import Graph, Node

    nodes = []
    for number, (kind, reads) in enumerate(_blocks(name)):
        units = int(kind.removeprefix("mlp")) if kind.startswith("mlp") else None
        skips = tuple(str(earlier) in reads for earlier in range(number))
        nodes.append(Node(kind.rstrip("0123456789"), ("d" in reads, "s" in reads), skips, units))
    found: dict[str, Any] = genotypes().encode(Graph(tuple(nodes), ("dense", "sparse")))
    return found


def _blocks(name: str) -> list[tuple[str, str]]:
    return [(kind, reads) for kind, _, reads in (block.partition(":") for block in name.split())]


def _name(graph: Any) -> str:
    blocks = []
    for node in graph.nodes:
        reads = [letter for letter, bit in zip("ds", node.raw) if bit]
        reads += [str(earlier) for earlier, bit in enumerate(node.skips) if bit]
        blocks.append(f"{node.kind}{node.units or ''}:{''.join(reads)}")
    return " ".join(blocks)


def hyperparameters() -> Any:
    """Returns the hyperparameters of `space()` as the product declares them, on a layout with both streams.

    All bits are off by default: searches that begin with the defaults then begin with no block at all, and not with
    what somebody knows to be good.
    """
    import keras_tuner as kt
    import pandas as pd

    from autorec.data.encode import encode
    from autorec.data.schema import Schema
    from autorec.data.table import as_source
    from autorec.searchers.explore import explore
    from autorec.spaces.space import build

    rows = range(200)
    frame = pd.DataFrame(
        {
            "x": [row * 0.37 % 1.0 for row in rows],
            "a": [f"a{row % 7}" for row in rows],
            "b": [f"b{row % 5}" for row in rows],
            "click": [row % 2 for row in rows],
        }
    )
    oracle = kt.oracles.RandomSearchOracle(objective=kt.Objective("val_log_loss", "min"))
    with tempfile.TemporaryDirectory() as folder:
        cache = encode(as_source(frame), Schema.infer(frame, target="click"), Path(folder) / "cache", statistics=None)
        explore(oracle, lambda hp: build(space(), hp, cache.layout))
    config = oracle.get_space().get_config()
    for declared in config["space"]:
        if declared["class_name"] == "Boolean":
            declared["config"]["default"] = False
    return kt.HyperParameters.from_config({**config, "values": {}})


class Table(Cells):
    """The cells of `architectures`: those of the packed record, and those that were added since.

    Args:
        quick: Keep the cells in memory only, with none of the record's.
    """

    def __init__(self, quick: bool = False) -> None:
        super().__init__(NAME, METHOD, quick)
        self.packed = RECORDS / f"{NAME}.csv.gz"
        if not quick and self.packed.exists():
            with gzip.open(self.packed, "rt", newline="", encoding="utf-8") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["method"]) == METHOD] + self.rows

    def pack(self) -> None:
        """Writes all cells into the packed record, and removes the plain one."""
        if self.path is None:
            return
        rows = sorted(self.rows, key=lambda row: (row["configuration"], int(row["seed"])))
        temporary = self.packed.with_suffix(".part")
        with temporary.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
            packed.write(_text(rows).encode())
        temporary.replace(self.packed)
        self.path.unlink(missing_ok=True)

    def losses(self, name: str, fidelity: str, seeds: tuple[int, ...]) -> dict[str, float]:
        """Returns the mean validation log loss of each graph of a set over some seeds.

        Args:
            name: Name of the set.
            fidelity: `full` or `low`.
            seeds: All of them have to be there.
        """
        found: dict[str, list[float]] = {}
        for configuration, seed, figures in self._cells():
            if configuration["set"] == name and configuration["fidelity"] == fidelity and seed in seeds:
                found.setdefault(configuration["graph"], []).append(figures["val_log_loss"])
        return {graph: sum(each) / len(each) for graph, each in found.items() if len(each) == len(seeds)}

    def seconds(self, name: str, fidelity: str) -> list[float]:
        """Returns the processor seconds of each training of a set: those of the clock hang on what else runs."""
        return [
            figures["train"]
            for configuration, _, figures in self._cells()
            if configuration["set"] == name and configuration["fidelity"] == fidelity
        ]

    def operations(self, name: str) -> dict[str, int]:
        """Returns the multiply-adds of each graph of a set at full fidelity."""
        return {
            configuration["graph"]: figures["operations"]
            for configuration, _, figures in self._cells()
            if configuration["set"] == name and configuration["fidelity"] == "full"
        }

    def _cells(self) -> Iterator[tuple[dict[str, Any], int, dict[str, Any]]]:
        for row in self.rows:
            yield json.loads(row["configuration"]), int(row["seed"]), json.loads(row["figures"])


def _text(rows: list[dict[str, str]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
