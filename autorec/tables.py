"""Leaderboards as tables that fit the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from autorec.searchers.budgets import size_text

WIDTH = 160  # where there is no terminal
_FIRST = ("rank", "pareto", "trial", "kind", "status", "score")
_LONG = ("values", "error")
_DIGITS = {"seconds": 1, "latency": 2, "ranker": 2}
_BAR = 40  # characters of a bar
_LEAST = 24  # characters of a long column that are worth a column


def show_table(frame: Any, stream: TextIO | None = None) -> None:
    """Prints a leaderboard, a Polars frame, one line a row.

    Left out are columns without a value, those that repeat another one, and what does not fit the width of the
    terminal; hyperparameters and errors are cut to the place that is left. Rows on the Pareto front have a `*`.

    Args:
        frame: What `Recommender.leaderboard` returns, or some of its columns.
        stream: Where to write; standard output by default.
    """
    # Cells have brackets and colons of their own.
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    console = Console(file=stream or sys.stdout, **plain)
    if not console.is_terminal:
        console = Console(file=stream or sys.stdout, width=WIDTH, **plain)
    cells = {name: [_text(name, value) for value in frame[name]] for name in _telling(frame)}
    shown, left_out = _fitting(cells, console.width)
    _shorten(cells, shown, console.width)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in shown:
        right = frame[name].dtype.is_numeric()
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for row in zip(*(cells[name] for name in shown)):
        table.add_row(*row)
    console.print(table)
    if left_out:
        console.print(f"Not shown for want of room: {', '.join(left_out)}.", soft_wrap=True)


def show_reliability(frame: Any, title: str, stream: TextIO | None = None) -> None:
    """Prints the data of a reliability diagram, a line a bin, with a bar of what happened and a mark of the prediction.

    Args:
        frame: What `evaluate(reliability=True)` adds.
        title: What to print above it.
        stream: Where to write; standard output by default.
    """
    out = stream or sys.stdout
    most = max([*frame["predicted"], *frame["observed"]], default=1.0) or 1.0
    out.write(f"\n{title}\n{'predicted':>10}{'observed':>10}{'rows':>10}  # observed, | predicted, to {most:.4g}\n")
    for row in frame.iter_rows(named=True):
        bar = ["#" if place < row["observed"] / most * _BAR else " " for place in range(_BAR + 1)]
        bar[round(row["predicted"] / most * _BAR)] = "|"
        numbers = f"{row['predicted']:10.4f}{row['observed']:10.4f}{row['rows']:10,}"
        out.write(f"{numbers}  {''.join(bar).rstrip()}\n")


def _telling(frame: Any) -> list[str]:
    """Returns the columns that say something: not empty, not the same as one before, `status` only where one failed."""
    names: list[str] = []
    for name in frame.columns:
        column = frame[name]
        repeats = column.dtype.is_float() and any(_same(column, frame[other]) for other in names if other != "score")
        uniform = name == "status" and (column == "completed").all()
        if column.null_count() < len(column) and not repeats and not uniform:
            names.append(name)
    if "score" in names and any(_same(frame["score"], frame[name]) for name in names if name.startswith("val_")):
        names.remove("score")
    return names


def _same(some: Any, other: Any) -> bool:
    """Returns whether two columns are equal wherever the first has a value."""
    return other.dtype.is_float() and bool((some == other).fill_null(some.is_null()).all())


def _fitting(cells: dict[str, list[str]], width: int) -> tuple[list[str], list[str]]:
    """Returns the columns that fit into `width`, those of most interest first in line for a place, and the others."""
    widths = {name: min(_width(cells, name), _LEAST if name in _LONG else width) for name in cells}
    wanted = [name for name in _FIRST if name in cells]
    wanted += [name for name in cells if name not in wanted and name.startswith("val_")][:2]
    wanted += [name for name in ("error", "best_epoch", "seconds", "values", "parameters", *cells) if name in cells]
    kept: list[str] = []
    for name in dict.fromkeys(wanted):
        if sum(widths[other] + 2 for other in kept) + widths[name] <= width:
            kept.append(name)
    return [name for name in cells if name in kept], [name for name in cells if name not in kept]


def _width(cells: dict[str, list[str]], name: str) -> int:
    return max(map(len, (name, *cells[name])))


def _shorten(cells: dict[str, list[str]], shown: Sequence[str], width: int) -> None:
    """Cuts the long columns to the place that the others leave."""
    long = [name for name in _LONG if name in shown]
    left = width - sum(_width(cells, name) + 2 for name in shown if name not in long) + 2
    for i, name in enumerate(long):
        place = min(_width(cells, name), left // (len(long) - i) - 2)
        cells[name] = [text if len(text) <= place else f"{text[: place - 1]}…" for text in cells[name]]
        left -= place + 2


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "*" if value else ""
    if name == "model_size":
        return size_text(value)
    if isinstance(value, float):
        return f"{value:.{_DIGITS.get(name, 5)}f}"
    text = str(value)
    return _values(json.loads(text)) if text.startswith("{") else text.replace("\n", " ")


def _values(values: dict[str, Any]) -> str:
    """Returns hyperparameters in short: those of recipe and features without their prefix."""
    words = []
    for name, value in values.items():
        short = name.removeprefix("train/").removeprefix("features/")
        words.append(f"{short} {value:.3g}" if isinstance(value, float) else f"{short} {value}")
    return ", ".join(words)
