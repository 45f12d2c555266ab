"""Leaderboards fit the terminal."""

from __future__ import annotations

import io
import json
import re

import polars as pl
import pytest

from autorec.tables import show_table

VALUES = {"train/learning_rate": 0.000214, "features/dim": 16, "mlp/units": 32, "statistics": True, "more": "x" * 90}


def board(**columns: list[object]) -> pl.DataFrame:
    rows = {
        "rank": [1, None],
        "trial": ["0", "lightgbm"],
        "kind": ["trial", "baseline"],
        "status": ["completed", "completed"],
        "score": [0.75, 0.5],
        "val_auc": [0.75, 0.5],
        "val_log_loss": [0.4, 0.6],
        "val_loss": [0.4, None],
        "seconds": [1.26, 0.5],
        "values": [json.dumps(VALUES), None],
        "error": pl.Series([None, None], dtype=pl.String),
    }
    return pl.DataFrame({**rows, **columns})


def shown(frame: pl.DataFrame) -> list[str]:
    stream = io.StringIO()
    show_table(frame, stream)
    return stream.getvalue().splitlines()


def test_a_row_is_one_line_whatever_its_values() -> None:
    assert len(shown(board())) == 3
    assert max(map(len, shown(board()))) <= 160


def test_columns_that_say_nothing_new_are_left_out() -> None:
    assert shown(board())[0].split() == ["rank", "trial", "kind", "val_auc", "val_log_loss", "seconds", "values"]


def test_the_status_is_shown_when_a_trial_failed() -> None:
    lines = shown(board(status=["completed", "failed"], error=[None, "ValueError: too\ndeep"]))
    assert "status" in lines[0]
    assert lines[2].rstrip().endswith("ValueError: too deep")


def test_brackets_and_colons_in_a_cell_are_text() -> None:
    cause = "ValueError: got [nan] in [/data/x] :smile:"
    lines = shown(board(status=["completed", "failed"], error=[None, cause]))
    assert lines[2].rstrip().endswith(cause)


def test_hyperparameters_are_shown_in_short() -> None:
    assert "learning_rate 0.000214, dim 16, mlp/units 32, statistics True" in shown(board())[1]


def test_the_front_has_a_mark_and_costs_are_short() -> None:
    lines = shown(board(pareto=[True, False], model_size=[12_345_678, None], latency=[0.41234, None]))
    assert "pareto" in lines[0]
    assert "*" in lines[1]
    assert "*" not in lines[2]
    assert "12.3 MB" in lines[1]
    assert "0.41 " in f"{lines[1]} "
    assert "pareto" not in shown(board(pareto=pl.Series([None, None], dtype=pl.Boolean)))[0]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_terminal_gets_the_columns_that_fit_and_the_names_of_the_others(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    more = {f"val_{name}_auc": [0.1 * i, 0.2] for i, name in enumerate(("click", "like", "dwell", "share", "buy"))}
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in shown(board(**more))]
    assert max(map(len, lines[:3])) <= width
    assert all(name in "".join((lines[0], lines[-1])) for name in ("val_buy_auc", "values", "seconds"))
