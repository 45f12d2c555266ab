"""The ablation of LiRank's parts: histories without the future, its keys, its table."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from benchmarks import ablation, ablation_data
from benchmarks.ablation_data import AblationSet, earlier_items, history_numbers
from benchmarks.ablation_table import PARTS, lines
from benchmarks.record import TARGETS as TARGETS_FILE
from benchmarks.record import Cells
from benchmarks.table import LIRANK

PLANTED = 999_999


def log(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    """Rows in no order, several of a user at one time."""
    random = np.random.default_rng(seed)
    columns = {"user": 20, "item": 50, "time": 40, "like": 2, "age": 30}
    return pd.DataFrame({name: random.integers(0, high, rows) for name, high in columns.items()})


def planted(frame: pd.DataFrame, user: int, time: int) -> pd.DataFrame:
    """The log with one more like, of an item that no other row has."""
    row = {"user": user, "item": PLANTED, "time": time, "like": 1, "age": 0}
    return pd.concat([frame, pd.DataFrame([row])], ignore_index=True)


@pytest.fixture
def movielens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AblationSet:
    """The set with histories, of a made log with a planted like."""
    monkeypatch.setattr(ablation_data, "movielens", lambda: (planted(log(), 3, 20), log(seed=1), "like", "ctr"))
    return AblationSet("movielens100k", tmp_path, False)


def test_no_history_contains_a_planted_future_event(movielens: AblationSet) -> None:
    seen = 0
    for seed in range(ablation_data.FOLDS):
        for part in movielens.parts(seed):
            holds = np.array([PLANTED in items for items in part["history"]])
            may = (part["user"] == 3) & (part["time"] > 20)
            assert not holds[~may].any()
            seen += int(holds.sum())
    assert seen > 0


def test_a_held_out_like_is_in_no_history(movielens: AblationSet) -> None:
    for seed in range(ablation_data.FOLDS):
        fit, validation, test = movielens.parts(seed)
        if PLANTED in validation["item"].to_numpy():
            assert not any(PLANTED in items for part in (fit, validation, test) for items in part["history"])
            return
    pytest.fail("each row is held out in one of the folds")


def test_a_history_is_the_newest_earlier_likes_of_the_user_oldest_first() -> None:
    frame = log()
    likes = frame[frame["like"] == 1]
    for row, items in zip(frame.to_dict("records"), earlier_items(frame, likes, 5), strict=True):
        own = likes[(likes["user"] == row["user"]) & (likes["time"] < row["time"])]
        np.testing.assert_array_equal(items, own.sort_values("time", kind="stable")["item"].to_numpy()[-5:])


def test_folds_are_disjoint_and_cover_all_rows(movielens: AblationSet) -> None:
    held = [movielens.parts(seed)[1] for seed in range(ablation_data.FOLDS)]
    assert sum(len(part) for part in held) == 601
    assert all(len(movielens.parts(seed)[0]) + len(part) == 601 for seed, part in enumerate(held))


def test_a_history_in_numbers_is_how_many_are_alike_in_what_the_item_decides() -> None:
    rows = pd.DataFrame({"item": [1, 2, 3], "kind": ["a", "b", "a"], "age": [1, 2, 3], "user": [7, 7, 8]})
    rows["history"] = [np.array([2, 3, 3]), np.array([], int), np.array([1])]
    more = pd.concat([rows, rows.assign(age=5, user=9)], ignore_index=True)
    found = history_numbers(rows, more)
    assert set(found) == {"history_length", "history_kind"}
    np.testing.assert_allclose(found["history_kind"], [2 / 3, 0, 1])


def cells(name: str, variant: str) -> dict[str, Any]:
    """Cells of made figures: each variant is better than the one before by a hundredth."""
    place = list(ablation.VARIANTS).index(variant)
    made = []
    for seed in ablation.SEEDS:
        auc = 0.7 + 0.01 * place + 0.001 * np.sin(7 * seed + place)
        row = {"test_auc": auc, "val_auc": auc, "test_log_loss": 0.5, "test_ece": 0.01}
        more = {"parameters": 10, "dense_parameters": 5, **({"milliseconds": 2.0} if seed == 0 else {})}
        made.append({**row, **({} if variant == "lightgbm" else more)})
    return {"try": 1, "cells": made}


@pytest.fixture
def figures() -> dict[str, Any]:
    found = {}
    for name in ("frappe", "movielens100k", "adult", "demo"):
        known = [each for each in ablation.VARIANTS if each != "history" or name in ablation.WITH_HISTORY]
        found[name] = {variant: cells(name, variant) for variant in known}
        found[name]["unified"] = found[name]["history" if name in ablation.WITH_HISTORY else "isotonic"]
    return ablation.figures_of(found)


def test_figures_have_the_keys_of_the_targets_and_compare_with_what_validation_picks(figures: dict[str, Any]) -> None:
    assert set(tomllib.loads(TARGETS_FILE.read_text(encoding="utf-8"))["ablation"]) <= set(figures)
    assert figures["frappe/best_single"] == "lightgbm"
    assert figures["unified_worst_set_se"] < -1
    assert figures["sets_where_unified_ahead"] == 0
    assert figures["sets_where_residual_ahead_of_dcnv2"] == 4
    assert figures["demo/history_over_isotonic"] == pytest.approx(0.01, abs=2e-3)


def test_the_table_has_a_line_for_each_model_of_each_set(figures: dict[str, Any]) -> None:
    found = lines(figures)
    assert len(found) == 2 + 2 * 10 + 2 * 9
    assert lines({}) == []


@pytest.mark.parametrize("name", PARTS)
def test_each_part_has_a_page_with_its_lines(figures: dict[str, Any], name: str) -> None:
    page = (LIRANK / f"{name.replace(' ', '_')}.md").read_text(encoding="utf-8")
    assert f"<!-- {name} -->" in page
    assert f"<!-- end of {name} -->" in page
    assert len(lines(figures, PARTS[name])) == 2 + 2 * (2 if name == "histories" else 4)


def test_crosses_compared_have_about_as_many_parameters() -> None:
    from autorec.blocks import CrossNetwork, ResidualCross

    residual, plain = ResidualCross(rank=ablation.RANK), CrossNetwork("low_rank", rank=3 * ablation.RANK)
    for block in (residual, plain):
        block.build((None, 200))
    assert residual.count_params() / plain.count_params() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("variant", [name for name in ablation.VARIANTS if name != "lightgbm"])
def test_every_variant_is_a_space(variant: str) -> None:
    from autorec.data.layout import IdColumn, Layout, ListColumn, TargetColumn

    layout = Layout(
        ids=(IdColumn("user", "user", 9, "user"), IdColumn("item", "item", 9, "item")),
        lists=(ListColumn("history", "list_0", "sequence", 9, "item", 5),),
        targets=(TargetColumn("click", "binary", 0.3, 0.4, 0.0, 1.0),),
    )
    model = ablation.space_of(variant, 8, 0.25).build_for(layout)
    kinds = {type(layer).__name__ for layer in model.layers}
    assert ("HistoryTransformer" in kinds) == (variant == "history")
    assert ("IsotonicCalibration" in kinds) == (variant in ("isotonic", "history"))
    assert ("GatedMLP" in kinds) == (variant in ("gating", "isotonic", "history"))


@pytest.mark.parametrize("place", range(len(ablation.TRIES)))
def test_a_training_has_all_that_its_try_says(
    place: int, movielens: AblationSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Seen(Exception):
        pass

    def train(model: Any, *_: Any, options: Any, **__: Any) -> None:
        widths = {layer.units for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dense)}
        shares = {layer.rate for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)}
        raise Seen(max(widths), max(shares, default=0.0), options.table_l2)

    monkeypatch.setattr("autorec.training.trainer.train", train)
    made = ablation.Ablation("movielens100k", tmp_path, Cells("ablation", ablation.METHOD, quick=True), quick=False)
    made._data = movielens
    with pytest.raises(Seen) as seen:
        made.cell("mlp", place, ablation.TUNING[0])
    assert seen.value.args == ablation.TRIES[place]


@pytest.mark.parametrize("name", ["movielens100k", "adult"])
def test_some_variants_alone_can_be_asked_for(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation.Ablation, "cell", lambda *_: {"val_auc": 0.5})
    made = ablation.Ablation(name, tmp_path, Cells("ablation", ablation.METHOD, quick=True), quick=False)
    assert set(made.run(["mlp", "gating"], [0])) == {"mlp", "gating"}
    whole = made.run(ablation.CHAIN, [0])
    assert whole["unified"] is whole["history" if name in ablation.WITH_HISTORY else "isotonic"]
