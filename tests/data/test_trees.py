"""The columns that small forests give: out of fold, the same leaf for every row, nothing that leaks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from autorec.data import trees
from autorec.data.cache import Cache
from autorec.data.encode import encode
from autorec.data.encoder import Encoder
from autorec.data.layout import IdColumn, Layout, StatisticColumn
from autorec.data.schema import Feature, Schema
from autorec.data.table import as_source
from autorec.errors import DataError

FEATURES = [
    Feature("c", "categorical", "int"),
    Feature("user", "categorical", "int", min_count=1),
    Feature("x", "numeric", "float"),
    Feature("tags", "bag", "int"),
]


def log(rows: int = 1500, seed: int = 0, noise: bool = False) -> pl.DataFrame:
    """A log whose target hangs on a number where a column of ids is even; or on nothing."""
    rng = np.random.default_rng(seed)
    c, x = rng.integers(0, 9, rows), rng.normal(size=rows)
    logit = np.zeros(rows) if noise else np.where(c % 2, x, -x) * 3
    y = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    x[rng.random(rows) < 0.1] = np.nan
    users = rng.integers(0, 500, rows)
    return pl.DataFrame({"c": c, "user": users, "x": x, "tags": [[1]] * rows, "y": y}).with_columns(
        pl.col("x").fill_nan(None)
    )


def encoded(frame: pl.DataFrame, folder: Path, targets: tuple[str, ...] = ("y",), **arguments: Any) -> Cache:
    schema = Schema(
        FEATURES, targets=list(targets), pairs=[("c", "user")], weight="w" if "w" in frame.columns else None
    )
    return encode(as_source(frame), schema, folder / "cache", fraction=0.25, **{"trees": True, **arguments})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return encoded(log(), tmp_path_factory.mktemp("trees"))


def margins(cache: Cache, part: str = "train") -> np.ndarray:
    return np.asarray(getattr(cache, part).arrays["margins"])


def leaves(cache: Cache, part: str = "train") -> np.ndarray:
    return np.asarray(getattr(cache, part).arrays["leaves"])


def test_the_layout_describes_a_margin_for_each_target_and_a_leaf_for_each_tree(cache: Cache) -> None:
    assert cache.layout.groups == ("ids", "numbers", "statistics", "pairs", "margins", "leaves", "list_0")
    (margin,) = cache.layout.margins
    assert (margin.name, margin.sources, margin.kind, margin.target) == ("margin(y)", (), "margin", "y")
    assert margin.mean == pytest.approx(margins(cache).mean(), abs=1e-5)
    assert margin.std == pytest.approx(margins(cache).std(), rel=1e-5)
    assert leaves(cache).shape[1] == len(cache.layout.leaves) <= 3 * 16
    assert (leaves(cache).max(0) < [column.size for column in cache.layout.leaves]).all()


def test_where_no_tree_splits_there_are_none(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"user": rng.integers(0, 200, 900), "item": rng.integers(0, 90, 900), "y": np.arange(900) % 2})
    features = [Feature("user", "categorical", "int"), Feature("item", "categorical", "int")]
    told: list[Any] = []
    cache = encode(as_source(frame), Schema(features, targets=["y"]), tmp_path / "c", trees=True, progress=told.append)
    assert {"event": "message", "text": "no trees: no column tells enough to split the rows by it"} in told
    assert not cache.layout.margins
    assert "margins" not in cache.train.arrays


def test_margins_predict_what_the_columns_alone_do_not(cache: Cache) -> None:
    for part in (cache.train, cache.validation):
        labels = np.asarray(part.labels[:, 0])
        assert roc_auc_score(labels, np.asarray(part.arrays["margins"])[:, 0]) > 0.8


def test_a_training_row_is_served_by_one_forest_and_a_validation_row_by_all(cache: Cache) -> None:
    assert cache.encoder.forest is not None
    shares = cache.encoder.forest.shares[cache.encoder.forest.fields]
    served = np.stack([(leaves(cache)[:, shares == share] > 0) for share in range(3)], 1)
    assert (served.all(2) == served.any(2)).all()
    assert (served.any(2).sum(1) == 1).all()
    assert np.ptp(served.any(2).sum(0)) <= 1
    assert (leaves(cache, "validation") > 0).all()


def test_a_row_does_not_see_its_own_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share = np.arange(1125) % 3
    monkeypatch.setattr(trees, "_shares", lambda labels, seed: share.astype(np.int8))
    found: list[Any] = []
    for flipped in (False, True):
        frame = log().with_columns(split=pl.int_range(1500) % 4 == 0)
        train, held = frame.filter(~pl.col("split")), frame.filter("split")
        train = train.with_columns(y=pl.when(pl.lit(share == 0) & flipped).then(1 - pl.col("y")).otherwise("y"))
        source = as_source(train.drop("split"))
        schema = Schema(FEATURES, targets=["y"])
        found.append(
            encode(
                source,
                schema,
                tmp_path / str(flipped),
                validation=as_source(held.drop("split")),
                statistics=None,
                trees=True,
            )
        )
    before, after = found
    np.testing.assert_array_equal(margins(before)[share == 0], margins(after)[share == 0])
    unseeing = [leaves(c)[share == 0][:, c.encoder.forest.shares[c.encoder.forest.fields] == 0] for c in found]
    np.testing.assert_array_equal(*unseeing)
    assert (unseeing[0] > 0).all()
    assert not np.array_equal(margins(before)[share == 1], margins(after)[share == 1])


def test_labels_of_chance_do_not_leak(tmp_path: Path) -> None:
    cache = encoded(log(6000, noise=True), tmp_path)
    for part in ("train", "validation"):
        auc = roc_auc_score(np.asarray(getattr(cache, part).labels[:, 0]), margins(cache, part)[:, 0])
        assert abs(auc - 0.5) < 3 * np.sqrt(1 / (3 * len(margins(cache, part))))


def one_hot(cache: Cache, part: str) -> np.ndarray:
    found = leaves(cache, part)
    sizes = [column.size for column in cache.layout.leaves]
    return np.concatenate([found[:, i : i + 1] == np.arange(2, size) for i, size in enumerate(sizes)], 1)


def test_a_model_of_the_leaves_learns_nothing_from_labels_of_chance(tmp_path: Path) -> None:
    cache = encoded(log(6000, noise=True), tmp_path, statistics=None)
    train, held = one_hot(cache, "train"), one_hot(cache, "validation")
    model = LogisticRegression(C=0.01).fit(train, cache.train.labels[:, 0])
    seen = roc_auc_score(cache.train.labels[:, 0], model.decision_function(train))
    unseen = roc_auc_score(cache.validation.labels[:, 0], model.decision_function(held))
    # As many columns of chance would be fitted as well.
    chance = np.random.default_rng(0).permuted(train, axis=0)
    fitted = LogisticRegression(C=0.01).fit(chance, cache.train.labels[:, 0]).decision_function(chance)
    assert seen < roc_auc_score(cache.train.labels[:, 0], fitted) + 0.03
    assert abs(unseen - 0.5) < 0.04


def test_the_encoder_gives_other_rows_what_the_cache_holds(cache: Cache, tmp_path: Path) -> None:
    part = cache.validation
    arrays = part.take(slice(None), ["ids", "numbers", "statistics", "pairs"])
    cache.encoder.save(tmp_path)
    for encoder in (cache.encoder, Encoder.load(tmp_path)):
        found = encoder.encode_trees(arrays, ["margins", "leaves"])
        np.testing.assert_array_equal(found["margins"], margins(cache, "validation"))
        np.testing.assert_array_equal(found["leaves"], leaves(cache, "validation"))


def test_a_damaged_forest_is_named(cache: Cache, tmp_path: Path) -> None:
    cache.encoder.save(tmp_path)
    (tmp_path / "forest.npz").write_bytes((tmp_path / "forest.npz").read_bytes()[:-100])
    with pytest.raises(DataError, match=r"forest\.npz"):
        Encoder.load(tmp_path)


def test_raw_rows_need_no_group_but_the_one_that_is_asked_for(cache: Cache) -> None:
    batch = next(as_source(log(40, seed=5)).batches(cache.schema.names))
    whole = cache.encoder.encode(batch)
    for group in ("margins", "leaves"):
        found = cache.encoder.encode(batch, [group])
        assert list(found) == [group]
        np.testing.assert_array_equal(found[group], whole[group])
    assert list(cache.encoder.encode(batch.slice(0, 0), ["leaves"])["leaves"].shape) == [0, len(cache.layout.leaves)]


def test_without_trees_the_cache_is_as_ever_and_with_them_all_else_is(cache: Cache, tmp_path: Path) -> None:
    plain = encoded(log(), tmp_path, trees=False)
    assert plain.encoder.forest is None
    assert plain.layout.groups == ("ids", "numbers", "statistics", "pairs", "list_0")
    for group in ("ids", "numbers", "statistics", "pairs"):
        np.testing.assert_array_equal(plain.train.arrays[group], cache.train.arrays[group])


def test_the_same_seed_grows_the_same_trees(cache: Cache, tmp_path: Path) -> None:
    again = encoded(log(), tmp_path)
    np.testing.assert_array_equal(margins(again), margins(cache))
    np.testing.assert_array_equal(leaves(again), leaves(cache))


def test_each_target_has_forests_of_its_own_and_unlabelled_rows_have_margins(tmp_path: Path) -> None:
    frame = log().with_columns(z=pl.col("x").fill_null(0.0) * 100 + 500, w=pl.lit(2.0))
    frame = frame.with_columns(y=pl.when(pl.int_range(1500) % 5 == 0).then(None).otherwise("y"))
    cache = encoded(frame, tmp_path, targets=("y", "z"))
    assert [column.name for column in cache.layout.margins] == ["margin(y)", "margin(z)"]
    assert cache.encoder.forest is not None
    assert set(cache.encoder.forest.targets[cache.encoder.forest.fields]) == {0, 1}
    assert np.isfinite(margins(cache)).all()
    labels = np.asarray(cache.validation.labels[:, 1])
    assert np.corrcoef(labels, margins(cache, "validation")[:, 1])[0, 1] > 0.95


def test_rows_outside_of_the_sample_are_served_by_all_forests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "_ROWS", 600)
    cache = encoded(log(), tmp_path)
    served = (leaves(cache) > 0).all(1)
    assert (served.sum(), (~served).sum()) == (1125 - 600, 600)


def test_shares_have_as_many_rows_and_the_same_mean_label() -> None:
    labels = (np.random.default_rng(0).random((3000, 1)) < 0.1).astype(np.float32)
    labels[:30] = np.nan
    shares = trees._shares(labels, 1)
    assert shares is not None
    assert (shares[:30] == -1).all()
    assert np.bincount(shares[30:]).tolist() == [990, 990, 990]
    sums = [labels[shares == share].sum() for share in range(3)]
    assert max(sums) - min(sums) <= 1


@pytest.mark.parametrize(("rows", "text"), [(200, "no trees: they need 300 labelled rows of each target")])
def test_too_few_rows_grow_no_trees(tmp_path: Path, rows: int, text: str) -> None:
    events: list[dict[str, Any]] = []
    cache = encoded(log(rows), tmp_path, progress=events.append)
    assert cache.encoder.forest is None
    assert events[-1] == {"event": "message", "text": text}


def test_trees_that_are_not_grown_in_time_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, Any]] = []
    checks = iter(range(10))

    def late(self: trees.TreeColumns) -> None:
        if next(checks) == 4:
            raise trees._TimeIsUp

    monkeypatch.setattr(trees.TreeColumns, "_check_time", late)
    cache = encoded(log(), tmp_path, progress=events.append)
    assert "margins" not in cache.layout.groups
    assert not list(cache.directory.rglob("margins*")) + list(cache.directory.rglob("forest*"))
    assert events[-1]["text"] == "no trees: there is no time for them"


def test_columns_that_are_not_written_in_time_are_withdrawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, Any]] = []

    def late(self: trees.TreeColumns) -> None:
        if (self.folder / "validation" / "leaves.bin").exists():
            raise trees._TimeIsUp

    monkeypatch.setattr(trees.TreeColumns, "_check_time", late)
    cache = encoded(log(), tmp_path, progress=events.append)
    assert cache.encoder.forest is None
    assert {"margins", "leaves"}.isdisjoint(cache.layout.groups)
    assert not [*cache.directory.rglob("margins*"), *cache.directory.rglob("leaves*")]
    assert events[-1]["text"] == "no trees: there is no time for them"


def test_a_deadline_that_is_past_grows_no_trees(tmp_path: Path) -> None:
    cache = encoded(log(), tmp_path, deadline=time.monotonic())
    assert {"margins", "leaves", "pairs"}.isdisjoint(cache.layout.groups)


def test_ids_of_large_vocabularies_are_left_to_the_statistics() -> None:
    layout = Layout(ids=(IdColumn("small", "small", 256, "small"), IdColumn("large", "large", 257, "large")))
    assert [(given.group, given.position, given.size) for given in trees.tree_inputs(layout)] == [("ids", 0, 256)]


def test_statistics_stand_for_ids_that_trees_do_not_read() -> None:
    def statistic(*sources: str) -> StatisticColumn:
        return StatisticColumn("rate", sources, "rate", "y", 0.0, 1.0)

    layout = Layout(
        ids=tuple(IdColumn(name, name, size, name) for name, size in (("small", 9), ("tiny", 3), ("large", 257))),
        statistics=(statistic("small"), statistic("large")),
        pairs=(statistic("small", "tiny"), statistic("small", "large")),
    )
    found = [(given.group, given.position) for given in trees.tree_inputs(layout) if given.group != "ids"]
    assert found == [("statistics", 1), ("pairs", 1)]


def test_a_layout_with_nothing_that_trees_read_has_no_trees(tmp_path: Path) -> None:
    schema = Schema([Feature("tags", "bag", "int")], targets=["y"])
    cache = encode(as_source(log().select("tags", "y")), schema, tmp_path / "c", trees=True)
    assert cache.layout.groups == ("list_0",)
