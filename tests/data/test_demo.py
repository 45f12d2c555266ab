"""The built-in click log: repeatable, streamed, and as hard as it says."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import OneHotEncoder

from autorec.data.demo import ClickLog, click_log
from autorec.errors import ConfigError

ALL = ("click", "like", "dwell")


@pytest.fixture(scope="module")
def log() -> ClickLog:
    return click_log(rows=40_000, seed=3, targets=ALL, history=5)


def test_the_same_arguments_give_the_same_rows(log: ClickLog) -> None:
    assert click_log(rows=40_000, seed=3, targets=ALL, history=5).frame().equals(log.frame())


def test_another_seed_gives_other_rows() -> None:
    assert not click_log(rows=50, seed=1).frame().equals(click_log(rows=50, seed=2).frame())


@pytest.mark.parametrize("size", [1_000, 16_384, 17_001, 100_000])
def test_batches_of_every_size_hold_the_rows_in_order(log: ClickLog, size: int) -> None:
    batches = list(log.batches(["user", "click"], rows=size))
    assert [batch.num_rows for batch in batches[:-1]] == [size] * (40_000 // size - (40_000 % size == 0))
    whole = pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in batches])
    assert whole.equals(log.frame().select("user", "click"))


def test_a_slice_holds_the_rows_of_the_log_between(log: ClickLog) -> None:
    part = log.slice(10_000, 36_000).slice(1, 25_000)
    assert part.frame().equals(log.frame().slice(10_001, 24_999))
    np.testing.assert_array_equal(part.probabilities("like"), log.probabilities("like")[10_001:35_000])


def test_split_gives_the_earlier_and_the_later_rows(log: ClickLog) -> None:
    train, test = log.split(0.25)
    assert (train.rows, test.rows) == (30_000, 10_000)
    assert train.frame()["time"].max() < test.frame()["time"].min()  # type: ignore[operator]


def test_time_rises_and_stays_within_the_days(log: ClickLog) -> None:
    time = log.frame()["time"]
    assert time.is_sorted()
    assert time.dt.date().n_unique() == 14


def test_columns_have_the_types_of_the_schema(log: ClickLog) -> None:
    batch = next(log.batches())
    assert batch.schema == log.schema
    assert log.schema.names[:4] == ["time", "user", "item", "segment"]
    assert str(log.schema.field("history").type).startswith("list<")


def test_missing_values_are_null_and_in_age_and_price_only(log: ClickLog) -> None:
    nulls = log.frame().null_count().row(0, named=True)
    assert {name for name, count in nulls.items() if count} == {"age", "price"}
    assert not log.frame()["age"].is_nan().any()


@pytest.mark.parametrize("target", ALL)
def test_labels_occur_as_often_as_their_probabilities_say(log: ClickLog, target: str) -> None:
    p = log.probabilities(target)
    error = np.sqrt(np.sum(p * (1 - p))) / len(p)
    assert abs(log.frame()[target].to_numpy().mean() - p.mean()) < 4 * error


@pytest.mark.parametrize("target", ALL)
def test_the_bayes_figures_are_those_of_the_true_probabilities(log: ClickLog, target: str) -> None:
    labels, p = log.frame()[target].to_numpy(), log.probabilities(target)
    assert log.bayes_auc(target) == pytest.approx(roc_auc_score(labels, p), abs=0.015)
    assert log.bayes_log_loss(target) == pytest.approx(log_loss(labels, p), abs=0.015)


def test_the_bayes_auc_equals_the_sum_over_all_pairs() -> None:
    log = click_log(rows=60, users=3, items=2)
    p = log.probabilities("click")
    order = (p[:, None] > p) + 0.5 * (p[:, None] == p)
    weight = p[:, None] * (1 - p) * (1 - np.eye(60))
    assert log.bayes_auc("click") == pytest.approx((order * weight).sum() / weight.sum(), abs=1e-12)


def test_the_bayes_auc_counts_equal_probabilities_as_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClickLog, "probabilities", lambda self, target: np.full(10, 0.3))
    assert click_log(rows=10).bayes_auc("click") == pytest.approx(0.5)


def test_likes_and_dwells_are_rarer_and_happen_with_a_click(log: ClickLog) -> None:
    frame = log.frame()
    for target in ("like", "dwell"):
        assert 0.05 < float(frame[target].to_numpy().sum() / frame["click"].to_numpy().sum()) < 0.95
        assert frame.filter(pl.col(target) > pl.col("click")).is_empty()


def test_other_targets_and_a_history_leave_the_common_columns() -> None:
    plain, rich = click_log(rows=200), click_log(rows=200, targets=ALL, history=4)
    common = [name for name in plain.schema.names if name != "click"]
    assert plain.frame().select(common).equals(rich.frame().select(common))
    assert plain.frame()["click"].equals(click_log(rows=200, targets=ALL).frame()["click"])


def test_a_history_is_no_longer_than_asked_for_and_holds_items(log: ClickLog) -> None:
    history = log.frame()["history"]
    assert history.list.len().max() == 5
    assert history.explode().drop_nulls().is_between(0, 999).all()


def test_the_newest_items_of_a_history_matter_most(log: ClickLog) -> None:
    category = np.array(log.process.tables["item_category"])
    frame = log.frame().with_columns(p=pl.Series(log.probabilities("click"))).filter(pl.col("history").list.len() == 5)
    shown = category[frame["item"].to_numpy()]

    def lift(place: int) -> float:
        same = category[frame["history"].list.get(place).to_numpy()] == shown
        return float(np.mean(frame["p"].to_numpy()[same]) - np.mean(frame["p"].to_numpy()[~same]))

    assert lift(4) > 0.05
    assert lift(4) > lift(0)


def test_a_history_tells_something() -> None:
    assert click_log(history=10).bayes_auc("click") > click_log().bayes_auc("click") + 0.005


def pair_rates(log: ClickLog) -> np.ndarray:
    frame = log.frame().group_by("segment", "category").agg(pl.col("click").mean()).sort("segment", "category")
    return frame["click"].to_numpy()


@pytest.mark.parametrize(("drift", "low", "high"), [(0.0, 0.9, 1.0), (1.0, -1.0, 0.7)])
def test_drift_moves_effects_with_the_days(drift: float, low: float, high: float) -> None:
    log = click_log(rows=160_000, drift=drift)
    first, last = log.slice(0, 40_000), log.slice(120_000, 160_000)
    assert low < np.corrcoef(pair_rates(first), pair_rates(last))[0, 1] <= high


def test_logistic_regression_gets_at_most_half_of_the_way_to_the_bayes_auc() -> None:
    train, test = click_log(rows=80_000).split(0.25)
    columns = ["user", "item", "segment", "country", "device", "category", "position", "hour"]
    a, b = (part.frame().with_columns(hour=pl.col("time").dt.hour()) for part in (train, test))
    encoder = OneHotEncoder(handle_unknown="ignore").fit(a[columns].to_numpy())
    x, z = (
        sparse.hstack([encoder.transform(f[columns].to_numpy()), f[["age", "price"]].fill_null(30.0).to_numpy() / 30])
        for f in (a, b)
    )
    model = LogisticRegression(C=0.03, max_iter=200).fit(x, a["click"].to_numpy())
    auc = roc_auc_score(b["click"].to_numpy(), model.decision_function(z))
    assert 0.5 < auc <= 0.5 + (test.bayes_auc("click") - 0.5) / 2


def test_the_best_possible_auc_is_that_of_a_usual_click_log() -> None:
    assert all(0.78 < click_log(rows=50_000, seed=seed).bayes_auc("click") < 0.87 for seed in range(5))


def test_planted_interactions_name_columns_of_the_log(log: ClickLog) -> None:
    assert {len(columns) for columns in log.planted} == {2, 3}
    assert {name for columns in log.planted for name in columns} <= set(log.schema.names)
    assert ("history", "category") not in click_log(rows=1).planted


def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(rows: int) -> int:
        tracemalloc.start()
        for _ in click_log(rows=rows).batches(rows=10_000):
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(300_000) < 1.3 * peak(50_000)


@pytest.mark.parametrize("count", [1, 2])
def test_the_smallest_logs_can_be_read(count: int) -> None:
    log = click_log(rows=count, users=1, items=1, days=1, history=2, targets=ALL)
    assert log.frame().shape == (count, 14)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("rows", 0),
        ("users", 1.5),
        ("items", True),
        ("days", -1),
        ("seed", -1),
        ("drift", float("nan")),
        ("drift", -0.1),
        ("history", -1),
        ("targets", ()),
        ("targets", ("click", "clicks")),
        ("targets", ("click", "click")),
    ],
)
def test_a_wrong_argument_is_named(argument: str, value: Any) -> None:
    arguments: dict[str, Any] = {argument: value}
    with pytest.raises(ConfigError, match=f"`{argument}`"):
        click_log(**arguments)


def test_an_unknown_target_column_or_range_is_refused(log: ClickLog) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'click'"):
        click_log(rows=5).bayes_auc("clik")
    with pytest.raises(ConfigError, match="columns"):
        log.batches(["clock"])
    with pytest.raises(ConfigError, match="start, stop"):
        log.slice(5, 5)
    with pytest.raises(ConfigError, match="fraction"):
        log.split(1.0)
