"""The benchmarks of calibration and of several targets: figures, planted faults, tables."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks import calibration, calibration_tables, multi_task
from benchmarks.record import TARGETS as TARGETS_FILE

TARGETS = tomllib.loads(TARGETS_FILE.read_text(encoding="utf-8"))


def calibration_cells(auc: float = 0.7) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Returns made cells of two seeds: the error falls from .4 to .1, and from .05 to .03 on the planted fault."""
    before = {"auc": 0.7, "log_loss": 0.9, "ece": 0.4}
    after = {"auc": auc, "log_loss": 0.5, "ece": 0.1, "floor": 0.01}
    cell = {"before": before, **dict.fromkeys(calibration.METHODS, after), "rate": {**before, "ece": 0.12}}
    slopes = {f"slope_{device}": factor for device, factor in calibration.STRETCH.items()}
    plain = {"auc": 0.6, "log_loss": 0.6, "ece": 0.02}
    layers = {
        "plain": [{**plain, "ece_by_device": 0.05 + seed / 1000} for seed in range(2)],
        "layer": [{**plain, "ece_by_device": 0.03, **slopes} for _ in range(2)],
    }
    return {"demo": [cell, cell], "adult": [cell, cell]}, layers


def test_the_figures_of_calibration_have_every_key_of_the_targets() -> None:
    figures = calibration.figures_of(*calibration_cells())
    assert set(TARGETS["calibration"]) <= set(figures)
    assert (figures["ece_after_over_before"], figures["auc_loss"]) == (0.25, 0.0)
    assert figures["planted_least_slope_from_1"] == 0.5


def test_the_worst_loss_of_any_seed_counts() -> None:
    assert calibration.figures_of(*calibration_cells(auc=0.6998))["auc_loss"] == pytest.approx(2e-4)


def test_a_planted_fault_stretches_the_logits_by_device() -> None:
    train, test = calibration.planted(20_000, 0)
    assert not {"time", "user", "item"} & set(train.columns)
    by_position = train.group_by("device", "position").agg(pl.col("click").mean())
    spread = {device: by_position.filter(pl.col("device") == device)["click"].std() for device in ("phone", "tv")}
    assert spread["phone"] > 1.5 * spread["tv"]
    assert len(train) == 3 * len(test)


def cells(gain: float) -> dict[str, list[dict[str, float]]]:
    """Returns made cells of three seeds in which shared models are ahead by about `gain`."""
    rng = np.random.default_rng(0)
    size = {"parameters": 100.0, "step": 0.01, "val_log_loss": 0.4}
    noise = 1e-4 * rng.normal(size=3)
    found: dict[str, list[dict[str, float]]] = {
        kind: [{**size, **{f"{target}_log_loss": 0.4 - gain + n for target in multi_task.TARGETS}} for n in noise]
        for kind in multi_task.KINDS
    }
    return found | {target: [{**size, f"{target}_log_loss": 0.4}] * 3 for target in multi_task.TARGETS}


def test_the_figures_of_several_targets_have_every_key_of_the_targets() -> None:
    figures = multi_task.figures_of(cells(0.01))
    assert set(TARGETS["multi_task"]) <= set(figures)
    assert figures["rare_target_se"] > 10
    assert figures["parameters_over_singles"] == pytest.approx(1 / 3, abs=1e-4)
    assert multi_task.figures_of(cells(-0.01))["common_target_se"] < -10


def test_quick_runs_have_the_same_keys() -> None:
    some = {name: rows[:1] for name, rows in cells(0.01).items() if name not in multi_task.KINDS[1:]}
    assert set(TARGETS["multi_task"]) <= set(multi_task.figures_of(some))


def test_tables_have_a_line_for_each_model_and_method() -> None:
    figures = calibration.figures_of(*calibration_cells())
    assert len(calibration_tables.calibration_rows(figures)) == 2 + 2 * len(calibration_tables.METHODS)
    planted = calibration_tables.planted_rows(figures)
    assert "phone 2.00" in planted[-1]
    lines = calibration_tables.multi_task_rows(multi_task.figures_of(cells(0.01)))
    assert len(lines) == 3 + len(multi_task.KINDS)
    assert calibration_tables.calibration_rows({}) == calibration_tables.multi_task_rows({}) == []
