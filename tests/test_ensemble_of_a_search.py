"""Ensembles through the public interface: of a finished search, of a growing one, of an effort."""

from __future__ import annotations

import gc
import itertools
import shutil
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import autorec
from autorec.data.cache import Cache
from autorec.errors import ConfigError
from autorec.loading import load_run
from autorec.recommender import CTRRecommender, RatingRecommender
from autorec.run import Run
from autorec.searchers import ensemble_selection
from autorec.spaces import DNN
from autorec.steps.ensemble import EnsembleMaker
from autorec.steps.refit import Refit
from tests import fitted
from tests.export.test_folder import PLAIN_TENSORFLOW

QUICK: dict[str, Any] = {"epochs": 1, "progress": False, "baselines": False, "statistics": None}
GROWING: dict[str, Any] = {**QUICK, "searcher": "ensemble", "max_trials": 4, "target": "click", "space": DNN(dim=4)}


def clicks(rows: int = 600, seed: int = 0) -> Any:
    return fitted.clicks(rows, seed).drop("like")


@lru_cache
def searched() -> CTRRecommender:
    """Returns a search of three trials whose files are all kept."""
    rec = CTRRecommender(DNN(dim=4))
    return rec.search(clicks(), target="click", searcher="random", max_trials=3, keep=3, **QUICK)


@lru_cache
def grown() -> CTRRecommender:
    """Returns a search that grew an ensemble."""
    return CTRRecommender().search(clicks(), **GROWING)


def copy_of(rec: CTRRecommender, folder: Path) -> CTRRecommender:
    """Returns a recommender with a run of its own, which a test may change."""
    shutil.copytree(rec.directory_, folder / "run")
    other = CTRRecommender(DNN(dim=4))
    other._directory = folder / "run"
    return other


def logits(chance: np.ndarray) -> np.ndarray:
    return np.log(chance / (1 - chance))


def mean_of_members(rec: CTRRecommender, rows: Any) -> np.ndarray:
    """Returns the chances of the weighted mean of the members' logits, each asked alone."""
    told: Any = rec.ensemble_
    alone = {each["trial"]: load_run(rec.directory_, each["trial"]).predict(rows) for each in told["members"]}
    mean = sum(each["weight"] * logits(alone[each["trial"]].astype(np.float64)) for each in told["members"])
    return np.asarray(1 / (1 + np.exp(-mean)))


# Of a finished search


def test_predictions_are_the_weighted_mean_of_the_members(tmp_path: Path) -> None:
    rec, rows = copy_of(searched(), tmp_path), clicks(100, 1)
    rec.ensemble(size=3, progress=False)
    assert 1 <= len(rec.ensemble_["members"]) <= 3  # type: ignore[index]
    np.testing.assert_allclose(rec.predict(rows), mean_of_members(rec, rows), atol=1e-6)


def test_it_is_what_every_other_way_to_the_model_gives(tmp_path: Path) -> None:
    rec, rows = copy_of(searched(), tmp_path), clicks(100, 1)
    before = rec.predict(rows)
    chances = rec.ensemble(2, None, progress=False).predict(rows)
    assert not np.array_equal(chances, before)
    np.testing.assert_array_equal(autorec.load(rec.directory_).predict(rows), chances)
    assert rec.model() is rec.predictor_.model
    assert rec.evaluate(rows)["auc"] == autorec.load(rec.directory_).evaluate(rows)["auc"]


def test_an_export_answers_in_tensorflow_as_the_mean_and_holds_the_members_weights_alone(tmp_path: Path) -> None:
    import tensorflow as tf

    rec, rows = copy_of(searched(), tmp_path), clicks(60, 2)
    folder = rec.ensemble(size=2, pruning="pie", progress=False).export(tmp_path / "model")
    served = tf.saved_model.load(str(folder / "saved_model"))
    found = served.signatures["serving_default"](**fitted.signature_tensors(rows, rec.schema_))["click"]
    np.testing.assert_allclose(found, mean_of_members(rec, rows), atol=1e-6)
    members = [load_run(rec.directory_, each["trial"]).model for each in rec.ensemble_["members"]]  # type: ignore[index]
    count = sum(int(np.prod(variable.shape)) for model in members for variable in model.variables)
    assert sum(int(np.prod(variable.shape)) for variable in autorec.load(folder).model.variables) == count
    assert sum(int(np.prod(weight.shape)) for weight in served._weights) == count


@pytest.mark.long
def test_an_export_needs_nothing_but_tensorflow(tmp_path: Path) -> None:
    rec, rows = copy_of(searched(), tmp_path), clicks(60, 3)
    folder = rec.ensemble(size=3, progress=False).export(tmp_path / "model")
    np.savez(tmp_path / "in.npz", **fitted.signature_inputs(rows, rec.schema_))  # type: ignore[arg-type]
    command = [sys.executable, "-c", PLAIN_TENSORFLOW, folder, tmp_path / "in.npz", tmp_path / "out.npz"]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["click"], mean_of_members(rec, rows), atol=1e-6)


def test_an_exported_folder_loads_bit_for_bit_and_says_who_is_in_it(tmp_path: Path) -> None:
    rec, rows = copy_of(searched(), tmp_path), clicks(60, 4)
    folder = rec.ensemble(size=2, progress=False).export(tmp_path / "model")
    np.testing.assert_array_equal(autorec.load(folder).predict(rows), rec.predict(rows))
    card = autorec.load(folder).card
    assert card["trial"] is None
    assert [each["trial"] for each in card["ensemble"]["members"]] == [
        each["trial"]
        for each in rec.ensemble_["members"]  # type: ignore[index]
    ]


def test_members_and_weights_are_told_and_stand_in_the_leaderboard(tmp_path: Path) -> None:
    told: list[str] = []
    rec = copy_of(searched(), tmp_path)
    rec.ensemble(2, None, progress=lambda event: told.append(event["text"]))
    assert "ensemble of 2 of 3 trials (unpruned)" in told[0]
    assert "members disagree on" in told[0]
    board = rec.leaderboard()
    [row] = board.filter(board["kind"] == "ensemble").to_dicts()
    assert row["trial"] == "ensemble of 2"
    assert row["values"].count("trial ") == 2
    assert row["val_auc"] == rec.ensemble_["score"]  # type: ignore[index]


def test_a_single_trial_can_still_be_taken(tmp_path: Path) -> None:
    rec, rows = copy_of(searched(), tmp_path), clicks(50, 5)
    rec.ensemble(2, None, progress=False)
    folder = rec.export(tmp_path / "model", trial=0)
    np.testing.assert_array_equal(autorec.load(folder).predict(rows), load_run(rec.directory_, 0).predict(rows))


@pytest.mark.long
def test_a_search_that_goes_on_ends_its_reign(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"target": "click", "searcher": "random", **QUICK, "directory": tmp_path / "run"}
    rec = CTRRecommender("lr").search(clicks(200), max_trials=2, **arguments)
    assert rec.ensemble(progress=False).ensemble_["pruning"] == "answers"  # twenty rows choose
    assert rec.search(clicks(200), max_trials=2, **arguments).ensemble_ is not None
    assert rec.search(clicks(200), max_trials=3, **arguments).ensemble_ is None


@pytest.mark.long
def test_several_targets_share_the_members(tmp_path: Path) -> None:
    rec = copy_of(fitted.searched(), tmp_path)
    found = rec.ensemble(progress=False).predict(fitted.clicks(30, 1))
    assert set(found) == {"click", "like"}


@pytest.mark.long
def test_ratings_are_means_within_their_bounds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {"user": rng.integers(0, 9, 300).astype(str), "rating": rng.integers(1, 6, 300).astype(float)}
    rec = RatingRecommender("lr", directory=tmp_path / "run")
    rec.search(rows, target="rating", searcher="random", max_trials=2, **QUICK).ensemble(2, None, progress=False)
    alone = [load_run(rec.directory_, each["trial"]).predict(rows) for each in rec.ensemble_["members"]]  # type: ignore[index]
    shares = [each["weight"] for each in rec.ensemble_["members"]]  # type: ignore[index]
    np.testing.assert_allclose(rec.predict(rows), sum(s * each for s, each in zip(shares, alone)), atol=1e-5)


@pytest.mark.long
def test_the_trees_alone_predict_export_and_serve(tmp_path: Path) -> None:
    import tensorflow as tf

    rec, rows = CTRRecommender(DNN(dim=4), directory=tmp_path / "run"), clicks(60, 2)
    settings = {**QUICK, "baselines": True, "trees": True}
    rec.search(clicks(900), target="click", searcher="random", max_trials=1, **settings)
    chances = rec.ensemble(trials=["forest"], progress=False).predict(rows)
    assert list(rec.model().input) == ["margins"]
    assert rec.ensemble_["score"] == rec.leaderboard().filter(trial="forest")["score"][0]  # type: ignore[index]
    folder = rec.export(tmp_path / "model")
    np.testing.assert_array_equal(autorec.load(folder).predict(rows), chances)
    served = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    found = served(**fitted.signature_tensors(rows, rec.schema_))["click"]
    np.testing.assert_allclose(found, chances, atol=1e-6)
    told: Any = rec.ensemble(trials=["forest", 0], pruning=None, progress=False).ensemble_
    assert {each["trial"] for each in told["members"]} == {"forest", 0}
    both = rec.predict(rows)
    np.testing.assert_array_equal(autorec.load(rec.export(tmp_path / "model")).predict(rows), both)


# What cannot be


def test_nothing_searched_yet_is_said() -> None:
    with pytest.raises(NotFittedError, match="call `search` or `fit` first"):
        CTRRecommender().ensemble()


def test_more_members_than_trials_an_unknown_rule_and_other_runs_are_refused(tmp_path: Path) -> None:
    rec = copy_of(searched(), tmp_path)
    with pytest.raises(ConfigError, match="`size` must be at most 3, the number of good trials, got 4"):
        rec.ensemble(size=4)
    with pytest.raises(ConfigError, match="`pruning` must be one of .*got 'pia'.*Did you mean 'pie'"):
        rec.ensemble(pruning="pia")
    with pytest.raises(ConfigError, match="folders of trials of the run"):
        rec.ensemble(trials=[0, fitted.searched().directory_ / "trials" / "0000"])
    assert rec.ensemble_ is None


def test_a_fit_of_one_model_ends_in_none() -> None:
    with pytest.raises(ConfigError, match="`ensemble` must be left out of `fit`"):
        CTRRecommender().fit(clicks(), target="click", ensemble=True)


def test_its_members_are_trained_once_more_on_all_rows(tmp_path: Path) -> None:
    more = {**QUICK, "statistics": "kfold", "searcher": "random", "max_trials": 2, "directory": tmp_path / "run"}
    rows, new = clicks(3000), clicks(500, 9)
    rec = CTRRecommender(DNN(dim=4)).search(rows, target="click", **more)
    rec.ensemble(pruning=None, progress=False)
    before = rec.predict(new)
    frozen: list[int] = []
    more["progress"] = lambda event: frozen.append(gc.get_freeze_count())
    for _ in range(2):  # the second time there is nothing to do
        rec.search(rows, target="click", **more, refit=True)
    assert frozen[-1] > 100_000  # what was there before is not gone over again
    run, card = Run(rec.directory_, read_only=True), rec.predictor_.card
    assert len(run.events("refit")) == len(run.events("encoded")) == 1
    assert run.events("encoded")[0]["seconds"] > 0.0
    assert run.model_id == {"ensemble": "0000", "refit": True}
    assert (card["refitted"], card["data"]["training_rows"], len(card["ensemble"]["members"])) == (True, 3000, 2)
    found = [(each["trial"], each["weight"]) for each in card["networks"]]
    assert found == [(member["trial"], member["weight"]) for member in card["ensemble"]["members"]]
    trials, own = Cache.open(run.directory / "cache").layout, rec.predictor_.encoder.layout
    assert own.groups == trials.groups
    assert own.statistics[0].mean != trials.statistics[0].mean  # it reads rows as it was trained to
    assert np.abs(rec.predict(new) - before).max() > 1e-4
    assert np.corrcoef(logits(rec.predict(new)), logits(before))[0, 1] > 0.7
    assert np.array_equal(autorec.load(rec.export(tmp_path / "model")).predict(new), rec.predict(new))
    assert not list(run.directory.glob("*cache-all*"))


# Of a growing search


@pytest.mark.parametrize(("name", "value"), [("refit", True), ("fidelity", "auto")])
def test_nothing_retrains_the_members_of_a_grown_one(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"`{name}` must be left out with the searcher 'ensemble'"):
        CTRRecommender().search(clicks(), target="click", searcher="ensemble", max_trials=2, **{name: value})


@pytest.mark.long
def test_a_growing_search_ends_in_its_ensemble() -> None:
    rec = grown()
    told: Any = rec.ensemble_
    events = [each["trial"] for each in told["members"]]
    assert told["pruning"] == "pie"
    assert len(events) >= 1
    assert told["mean_depth"] is not None
    assert all((rec.directory_ / "trials" / f"{number:04d}").exists() for number in events)
    np.testing.assert_allclose(rec.predict(clicks(50, 6)), mean_of_members(rec, clicks(50, 6)), atol=1e-6)


@pytest.mark.long
def test_a_growing_search_cut_in_the_middle_ends_alike(tmp_path: Path) -> None:
    arguments = {**GROWING, "directory": tmp_path / "run"}
    CTRRecommender().search(clicks(), **{**arguments, "max_trials": 2})
    journal = tmp_path / "run" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    kept = list(itertools.takewhile(lambda line: b'"event": "ensemble"' not in line, lines))
    journal.write_bytes(b"".join(kept[:-1]))  # a kill ahead of the last decision
    rec = CTRRecommender().search(clicks(), **arguments)
    rows = clicks(50, 7)
    assert [e["trial"] for e in rec.ensemble_["members"]] == [e["trial"] for e in grown().ensemble_["members"]]  # type: ignore[index]
    np.testing.assert_array_equal(rec.predict(rows), grown().predict(rows))


@pytest.mark.long
def test_two_workers_grow_an_ensemble_too() -> None:
    rec = CTRRecommender().search(clicks(), **GROWING, workers=2)
    grown_by_one = [event["trials"] for event in Run(grown().directory_, read_only=True).events("grown")]
    assert [event["trials"] for event in Run(rec.directory_, read_only=True).events("grown")] == grown_by_one
    np.testing.assert_allclose(rec.predict(clicks(50, 9)), mean_of_members(rec, clicks(50, 9)), atol=1e-6)


# Of an effort


@pytest.mark.parametrize(("few", "rule"), [(1000, "answers"), (10, "pie")])
def test_a_search_ends_in_eight_and_fewer_only_where_that_is_clearly_better(
    monkeypatch: pytest.MonkeyPatch, few: int, rule: str
) -> None:
    seen: list[Any] = []

    def make(self: EnsembleMaker, rows: Any, *given: Any, **named: Any) -> bool:
        seen.append((given, named, self.refit is not None))
        return False

    monkeypatch.setattr(EnsembleMaker, "make", make)
    monkeypatch.setattr(ensemble_selection, "FEW", few)
    for refit in (False, True):
        rec = CTRRecommender(DNN(dim=4))
        rec.search(clicks(200), target="click", max_trials=1, ensemble=True, refit=refit, **QUICK)
    wanted = (rule, 8), {"enough": 8, "most": 30, "unless_worse": True}
    assert seen == [(*wanted, False), (*wanted, True)]


@pytest.mark.parametrize(
    ("more", "filled"),
    [
        ({"ensemble": True}, True),
        ({"ensemble": False}, False),
        ({"ensemble": True, "max_trials": 1}, False),
        ({"ensemble": True, "max_model_size": 10**9}, False),
        ({"ensemble": True, "calibrate": "platt"}, False),
    ],
)
def test_a_refit_fills_time_that_the_clock_leaves_where_nothing_else_is_limited(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], filled: bool
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(Refit, "make", lambda self, *later: seen.append(self.fill))
    monkeypatch.setattr(EnsembleMaker, "make", lambda *given, **named: False)
    CTRRecommender(DNN(dim=4)).search(clicks(200), target="click", time_limit=4.0, refit=True, **more, **QUICK)
    assert seen == [filled]


def test_on_too_few_rows_for_an_ensemble_the_best_are_repeated_as_without_one() -> None:
    said: list[str] = []
    rec = CTRRecommender(DNN(dim=4))
    more = {**QUICK, "progress": lambda event: said.append(event.get("text", ""))}
    rec.search(clicks(300), target="click", max_trials=2, ensemble=True, fidelity="auto", **more)
    assert any(text.startswith("finals: trials") for text in said)
    assert not any("ensemble leans on" in text for text in said)
    assert rec.ensemble_ is None


@pytest.mark.alone
@pytest.mark.long
def test_what_fills_the_time_is_in_the_model_that_is_shipped(tmp_path: Path) -> None:
    rec, told, begin = CTRRecommender(DNN(dim=4)), list[str](), time.monotonic()
    more = {**QUICK, "progress": lambda event: told.append(event.get("text", ""))}
    rec.search(clicks(1000), target="click", time_limit=40.0, ensemble=True, refit=True, **more)
    assert time.monotonic() - begin <= 40.0 * 1.05
    networks = rec.predictor_.card["networks"]
    assert len(networks) <= 12
    assert len(networks) == len({(each["trial"], each["seed"]) for each in networks})
    assert sum(each["weight"] for each in networks) == pytest.approx(1.0)
    again = sum(text.startswith("there is time left: trial") for text in told)
    assert len(networks) - again == len({each["trial"] for each in networks}) < len(networks)
    shipped = autorec.load(rec.export(tmp_path / "model"))
    assert shipped.card["networks"] == networks
    np.testing.assert_array_equal(shipped.predict(clicks(50, 9)), rec.predict(clicks(50, 9)))


@pytest.mark.alone
@pytest.mark.long
def test_the_best_effort_ends_in_time_with_an_ensemble_or_says_why_not() -> None:
    told: list[str] = []
    begin = time.monotonic()
    rec = CTRRecommender().search(
        clicks(3000),
        target="click",
        effort="best",
        time_limit=40.0,
        epochs=2,
        progress=lambda event: told.append(event.get("text", "")),
    )
    assert time.monotonic() - begin <= 40.0 * 1.05
    assert rec.ensemble_ is not None or any(text.startswith("no ensemble: its validation loss") for text in told)
    assert any(text.startswith(("refit on all rows: ", "no refit: it would take")) for text in told)
    assert 0.5 < rec.evaluate(clicks(500, 8))["auc"] <= 1.0
