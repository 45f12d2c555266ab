"""The leaderboard as a table: columns that are there when there is something to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from autorec.leaderboard import leaderboard
from autorec.run import Run


def board(folder: Path, *trials: dict[str, Any], objective: Any = None) -> pl.DataFrame:
    """Writes a run of finished trials and returns its leaderboard."""
    with Run(folder) as run:
        run.write_config({"objective": objective})
        run.append({"event": "search", "objective": "val_auc", "direction": "max"})
        for number, trial in enumerate(trials):
            start = {"parent": trial.pop("parent")} if "parent" in trial else {}
            known = {"number": number, "values": {"dim": 8}, "fidelity": {}}
            run.append({"event": "started", **known, **start, "seed": number})
            known |= {"status": "completed", "metrics": {"val_auc": trial.get("score")}}
            run.append({"event": "finished", **known, **trial})
    found: pl.DataFrame = leaderboard(folder)
    return found


def test_one_objective_marks_no_front(tmp_path: Path) -> None:
    found = board(tmp_path, {"score": 0.7}, objective="val_auc")
    assert found["pareto"].to_list() == [None]
    assert found["pareto"].dtype == pl.Boolean


def test_several_objectives_mark_their_front(tmp_path: Path) -> None:
    trials = [{"score": 0.7, "latency": 1.0}, {"score": 0.9, "latency": 3.0}, {"score": 0.6, "latency": 2.0}]
    found = board(tmp_path, *trials, objective=["val_auc", "latency"])
    assert found.select("trial", "pareto").rows() == [("1", True), ("0", True), ("2", False)]


def test_costs_have_columns_only_where_they_are_known(tmp_path: Path) -> None:
    plain = board(tmp_path / "a", {"score": 0.7})
    assert not {"operations", "latency", "model_size", "ranker", "seeds", "mean_score", "parent"} & set(plain.columns)
    costs = {"operations": 9, "dense_parameters": 7, "latency": 0.5, "model_size": 40, "ranker": 0.3}
    found = board(tmp_path / "b", {"score": 0.7, **costs}, {"score": 0.6})
    assert found.select(*costs).row(0, named=True) == costs
    assert found.select(*costs).row(1) == (None,) * 5


def test_repeats_over_seeds_show_their_mean_and_whose_values_they_have(tmp_path: Path) -> None:
    found = board(tmp_path, {"score": 0.7}, {"score": 0.6}, {"score": 0.9, "parent": 0})
    shown = found.select("rank", "trial", "score", "mean_score", "seeds", "parent").rows()
    assert shown[0] == (1, "2", 0.9, 0.8, 2, 0)
    assert shown[1] == (None, "0", 0.7, 0.8, 2, None)


def test_a_model_over_its_budget_is_a_row_with_what_is_known_of_it(tmp_path: Path) -> None:
    failed = {"status": "failed", "score": None, "metrics": {}, "model_size": 99, "error": "OverBudget: model size"}
    found = board(tmp_path, failed, {"score": 0.6, "model_size": 9}, objective=["val_auc", "model_size"])
    assert found.select("trial", "pareto", "model_size").rows() == [("1", True, 9), ("0", False, 99)]


def test_a_baseline_without_a_score_does_not_hide_the_trials(tmp_path: Path) -> None:
    board(tmp_path, {"score": 0.7})
    with Run(tmp_path) as run:
        run.append({"event": "baseline", "kind": "baseline", "name": "prior", "status": "completed", "score": None})
    assert leaderboard(tmp_path)["trial"].to_list() == ["0"]
    assert Run(tmp_path, read_only=True).best["number"] == 0  # type: ignore[index]


def test_a_refitted_model_is_calibrated_in_the_row_that_it_was_refitted_of(tmp_path: Path) -> None:
    board(tmp_path, {"score": 0.7}, {"score": 0.6})
    with Run(tmp_path) as run:
        run.append({"event": "refit", "of": {"trial": 0}, "folder": "0000"})
        told = {"click": {"method": "platt"}}
        run.append({"event": "calibration", "method": "platt", "by": None, "of": run.model_id, "targets": told})
    assert leaderboard(tmp_path)["calibrated"].to_list() == ["platt", None]
