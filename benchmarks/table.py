"""Writes the table of the README from the records: `python -m benchmarks.table`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from benchmarks.record import RECORDS, TARGETS

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- benchmarks -->", "<!-- end of benchmarks -->"


def rows() -> list[str]:
    """Returns a line for each figure that has a target and a record."""
    lines = ["| benchmark | figure | target | measured |", "|---|---|---|---|"]
    for name, targets in tomllib.loads(TARGETS.read_text(encoding="utf-8")).items():
        path = RECORDS / f"{name}.json"
        if not path.exists():
            continue
        figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["figures"]
        for key, bound in targets.items():
            word, limit = ("at least", bound["min"]) if "min" in bound else ("at most", bound["max"])
            value = figures.get(key)
            missed = value is None or value < bound.get("min", value) or value > bound.get("max", value)
            shown = "none" if value is None else f"{value:.4g}"
            lines.append(f"| {name} | {key} | {word} {limit} | {shown}{' (missed)' if missed else ''} |")
    return lines


def main() -> None:
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    README.write_text("\n".join([f"{head}{BEGIN}", "", *rows(), "", f"{END}{tail}"]), encoding="utf-8")
    print("\n".join(rows()))


if __name__ == "__main__":
    main()
