"""The baselines of the leaderboard learn, respect the deadline, and never end a search."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from autorec.data.cache import Part
from autorec.data.layout import IdColumn, Layout, ListColumn, NumberColumn, TargetColumn
from autorec.data.lists import Lists
from autorec.searchers.baselines import BASELINES, baselines

ROWS, IDS = 3000, 12


def layout_of(*targets: TargetColumn) -> Layout:
    return Layout(
        ids=(IdColumn("user", "user", IDS, "user"), IdColumn("item", "item", IDS, "item")),
        numbers=(NumberColumn("age", "age", 0.0, 1.0, 0.0, 0.5, (-1.0, 0.0, 1.0), 0.1),),
        lists=(ListColumn("genres", "list_0", "bag", IDS, "genres", 3),),
        targets=targets or (TargetColumn("click", "binary", 0.5, 0.5, 0.0, 1.0),),
    )


def part_of(seed: int, rating: bool = False) -> Part:
    random = np.random.default_rng(seed)
    ids = random.integers(2, IDS, (ROWS, 2)).astype(np.int32)
    numbers = random.normal(size=(ROWS, 1))
    lengths = random.integers(0, 4, ROWS)
    lists = Lists(np.r_[0, np.cumsum(lengths)], random.integers(2, IDS, lengths.sum()).astype(np.int32))
    signal = 0.3 * (ids[:, 0] - ids[:, 1]) + numbers[:, 0]
    noise = random.logistic(size=ROWS)
    labels = 3 + 0.2 * signal + 0.1 * noise if rating else signal + noise > 0
    numbers[random.random(ROWS) < 0.1] = np.nan
    return Part({"ids": ids, "numbers": numbers, "list_0": lists}, labels.astype(np.float32)[:, None])


def rows_of(layout: Layout, rating: bool = False, **arguments: Any) -> dict[str, dict[str, Any]]:
    objective = "val_rmse" if rating else "val_auc"
    settings = {"objective": objective, **arguments}
    return {row["name"]: row for row in baselines(part_of(0, rating), part_of(1, rating), layout, **settings)}


def test_clicks_have_prior_logistic_regression_and_lightgbm() -> None:
    rows = rows_of(layout_of())
    assert list(rows) == ["prior", "logistic_regression", "lightgbm"]
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert {row["event"] for row in rows.values()} == {row["kind"] for row in rows.values()} == {"baseline"}
    assert rows["prior"]["score"] == 0.5
    assert rows["logistic_regression"]["score"] > 0.8
    assert rows["lightgbm"]["score"] > 0.78
    assert set(rows["lightgbm"]["metrics"]) == {"val_auc", "val_log_loss", "val_ece", "val_loss"}


def test_ratings_have_mean_ridge_regression_and_lightgbm() -> None:
    layout = layout_of(TargetColumn("rating", "real", 3.0, 0.5, 1.0, 5.0))
    rows = rows_of(layout, rating=True)
    assert list(rows) == ["prior", "ridge_regression", "lightgbm"]
    assert rows["prior"]["score"] > 0.3
    assert rows["ridge_regression"]["score"] < 0.23
    assert rows["lightgbm"]["score"] < 0.25


def test_the_same_seed_gives_the_same_scores() -> None:
    first, second = rows_of(layout_of()), rows_of(layout_of())
    assert [row["score"] for row in first.values()] == [row["score"] for row in second.values()]


def test_without_time_left_the_rows_say_so() -> None:
    rows = rows_of(layout_of(), deadline=time.monotonic())
    assert {row["status"] for row in rows.values()} == {"failed"}
    assert {row["error"] for row in rows.values()} == {"no time was left"}


@pytest.mark.alone
def test_a_deadline_ends_lightgbm_between_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autorec.searchers.baselines._ROUNDS", 10**6)
    monkeypatch.setattr("autorec.searchers.baselines._PATIENCE", 10**6)
    begin = time.monotonic()
    rows = rows_of(layout_of(), deadline=begin + 1.0, skip=("prior", "logistic_regression"))
    assert rows["lightgbm"]["status"] == "completed"
    assert time.monotonic() - begin < 4.0


def test_baselines_that_a_run_has_are_left_out() -> None:
    assert list(rows_of(layout_of(), skip=("lightgbm", "logistic_regression"))) == ["prior"]


def test_several_targets_have_a_model_each_and_the_mean_as_score() -> None:
    layout = layout_of(*(TargetColumn(name, "binary", 0.5, 0.5, 0.0, 1.0) for name in ("click", "like")))
    train, valid = part_of(0), part_of(1)
    for part in (train, valid):
        part.labels = np.hstack([part.labels, 1 - part.labels])
        part.labels[:100, 1] = np.nan
    row = list(baselines(train, valid, layout, objective="val_auc", skip=("prior", "lightgbm")))[0]
    metrics = row["metrics"]
    assert metrics["val_auc"] == pytest.approx((metrics["val_click_auc"] + metrics["val_like_auc"]) / 2)
    assert metrics["val_like_auc"] > 0.8


def test_a_target_of_one_class_in_the_validation_rows_is_left_out_as_it_is_of_trials() -> None:
    layout = layout_of(*(TargetColumn(name, "binary", 0.5, 0.5, 0.0, 1.0) for name in ("click", "buy")))
    train, valid = part_of(0), part_of(1)
    for part in (train, valid):
        part.labels = np.hstack([part.labels, 1 - part.labels])
    valid.labels[:, 1] = 0.0
    for row in baselines(train, valid, layout, objective="val_auc"):
        assert row["status"] == "completed"
        assert row["score"] == row["metrics"]["val_click_auc"]
        assert np.isnan(row["metrics"]["val_buy_auc"])


def test_an_objective_that_is_no_number_is_a_failed_row() -> None:
    train, valid = part_of(0), part_of(1)
    valid.users = np.arange(ROWS)  # a group has one row, and so one class
    for row in baselines(train, valid, layout_of(), objective="val_gauc"):
        assert (row["status"], row["score"]) == ("failed", None)
        assert "'val_gauc' is not a number" in row["error"]


def test_the_weighted_loss_is_an_objective_of_theirs_too() -> None:
    layout = layout_of(*(TargetColumn(name, "binary", 0.5, 0.5, 0.0, 1.0) for name in ("click", "like")))
    train, valid = part_of(0), part_of(1)
    for part in (train, valid):
        part.labels = np.hstack([part.labels, 1 - part.labels])
    [row] = baselines(train, valid, layout, objective="val_loss", skip=BASELINES[1:], loss_weights={"like": 3.0})
    metrics = row["metrics"]
    assert row["score"] == pytest.approx(metrics["val_click_log_loss"] + 3 * metrics["val_like_log_loss"])


def test_users_give_the_grouped_auc() -> None:
    train, valid = part_of(0), part_of(1)
    valid.users = np.asarray(valid.arrays["ids"])[:, 0].astype(np.int64)
    row = list(baselines(train, valid, layout_of(), objective="val_gauc", skip=("prior", "lightgbm")))[0]
    assert 0.5 < row["score"] == row["metrics"]["val_gauc"] < 1.0


def test_a_large_table_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autorec.searchers.baselines._ROWS", 500)
    sampled = rows_of(layout_of(), skip=("prior", "lightgbm"))["logistic_regression"]["score"]
    assert 0.7 < sampled < 0.85


def test_an_error_becomes_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> Any:
        raise MemoryError("too large")

    monkeypatch.setattr("autorec.searchers.baselines.one_hot", broken)
    row = rows_of(layout_of())["logistic_regression"]
    assert (row["status"], row["score"], row["error"]) == ("failed", None, "MemoryError: too large")
    assert "Traceback" in row["traceback"]
