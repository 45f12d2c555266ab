"""The recommenders: search, fit and what they learned, and scikit-learn's manners."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import autorec
from autorec.config import SearchConfig
from autorec.effort import EFFORTS
from autorec.errors import ConfigError
from autorec.recommender import CTRRecommender, RatingRecommender
from autorec.repeat import search_from_config
from autorec.run import Run
from tests import fitted
from tests.fitted import QUICK


class Fast(CTRRecommender):
    """A recommender whose `fit` takes no time."""

    def fit(self, data: Any, y: Any = None, **arguments: Any) -> Any:
        return super().fit(data, y, epochs=1, **arguments)


class FastRating(RatingRecommender):
    """The same for ratings."""

    def fit(self, data: Any, y: Any = None, **arguments: Any) -> Any:
        return super().fit(data, y, epochs=1, **arguments)


def matrix(rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, 3))
    return values, (values[:, 0] + rng.normal(size=rows) > 0).astype(int)


# Search


def test_the_leaderboard_has_trials_ranked_and_baselines_marked() -> None:
    board = fitted.searched().leaderboard()
    baselines = board.filter(pl.col("kind") == "baseline")
    assert set(baselines["trial"]) == {"prior", "logistic_regression", "lightgbm"}
    assert baselines["rank"].null_count() == 3
    trials = board.filter(pl.col("kind") == "trial")
    assert trials["rank"].to_list() == [1, 2]
    assert trials["score"].is_sorted(descending=True)


def test_every_target_has_its_metrics_in_the_leaderboard() -> None:
    assert {"val_auc", "val_click_auc", "val_like_auc", "val_like_gauc"} <= set(fitted.searched().leaderboard().columns)


def test_the_model_takes_encoded_rows_and_gives_a_logit_for_each_target() -> None:
    assert sorted(fitted.searched().model().output) == ["click", "like"]
    assert isinstance(fitted.searched().model(trial=1), keras.Model)


def test_a_trial_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"trained trial: \[0, 1\], got 7"):
        fitted.searched().model(trial=7)


def test_a_trial_is_exported_by_its_number(tmp_path: Path) -> None:
    rows = fitted.clicks(40, seed=1)
    for trial in (0, 1):
        loaded = autorec.load(fitted.searched().export(tmp_path / str(trial), trial=trial))
        assert loaded.card["trial"] == trial
    best = int(fitted.searched().leaderboard().filter(pl.col("rank") == 1)["trial"][0])
    found = autorec.load(tmp_path / str(best)).predict(rows)["like"]
    assert np.array_equal(found, fitted.searched().predict(rows)["like"])


@pytest.mark.long
def test_the_same_seed_gives_the_same_leaderboard_bit_for_bit() -> None:
    arguments = {**QUICK, "space": "deepfm", "max_trials": 2, "target": "click", "seed": 3}
    boards = [CTRRecommender().search(fitted.clicks(), **arguments).leaderboard().drop("seconds") for _ in range(2)]
    assert boards[0].equals(boards[1])


def test_callbacks_of_keras_end_a_trial() -> None:
    stop = keras.callbacks.EarlyStopping("val_auc", mode="max", patience=1)
    options = autorec.TrainOptions(learning_rate=1e-9, patience=100)
    rec = CTRRecommender(options=options).fit(
        fitted.clicks(), target="click", callbacks=[stop], **{**QUICK, "epochs": 30}
    )
    row = rec.leaderboard().row(0, named=True)
    assert row["best_epoch"] < 30
    assert stop.stopped_epoch == 0  # each trial has a copy


def test_validation_rows_of_ones_own_are_what_trials_are_measured_on() -> None:
    held = fitted.clicks(300, seed=1)
    rec = CTRRecommender().fit(fitted.clicks(), target="click", validation_data=held, **QUICK)
    assert rec.leaderboard()["val_auc"][0] == pytest.approx(rec.evaluate(held)["auc"], abs=1e-12)


@pytest.mark.parametrize(("named", "found"), [(False, "kfold"), (True, "ordered")])
def test_statistics_beside_trees_know_no_future_where_later_rows_validate(
    named: bool, found: str, tmp_path: Path
) -> None:
    more = {"validation_data": fitted.clicks(200, 1).drop("like")} if named else {}
    rec = CTRRecommender(space="lr", directory=tmp_path / "run")
    rec.fit(fitted.clicks(400).drop("like"), target="click", trees=True, time="time", epochs=1, **more)
    config = Run(rec.directory_, read_only=True).config
    assert config is not None
    assert config["statistics"] == found


def test_rows_and_labels_may_come_apart_for_training_and_validation() -> None:
    rows, held = fitted.clicks().drop("like"), fitted.clicks(300, seed=1).drop("like")
    pair = (held.drop("click"), held["click"].to_numpy())
    apart = CTRRecommender().fit(rows.drop("click"), rows["click"], validation_data=pair, **QUICK)
    whole = CTRRecommender().fit(rows, target="click", validation_data=held, **QUICK)
    assert apart.schema_.targets == ["click"]
    assert apart.leaderboard()["val_auc"][0] == whole.leaderboard()["val_auc"][0]


def test_a_directory_may_begin_at_home_and_holds_when_the_working_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    at_home = CTRRecommender(directory="~/run").fit(fitted.clicks(), target="click", **QUICK)
    relative = CTRRecommender(directory="other").fit(fitted.clicks(), target="click", **QUICK)
    exported = relative.export("~/model")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert at_home.directory_ == tmp_path / "run"
    for model in (relative, autorec.load("~/model"), autorec.load(exported)):
        assert np.array_equal(model.predict(fitted.clicks(50)), at_home.predict(fitted.clicks(50)))
    assert not (tmp_path / "~").exists()


def test_a_schema_is_taken_from_its_file(tmp_path: Path) -> None:
    autorec.Schema.infer(fitted.clicks(), target="click").drop("country", "like").save(tmp_path / "schema.json")
    rec = CTRRecommender().fit(fitted.clicks(), schema=tmp_path / "schema.json", **QUICK)
    assert "country" not in rec.schema_
    assert rec.schema_.targets == ["click"]


def test_columns_get_their_roles_by_name() -> None:
    rows = fitted.clicks().with_columns(weight=pl.lit(2.0))
    roles = {"weight": "weight", "user": "user", "item": "item", "group": "item", "time": "time"}
    rec = CTRRecommender().fit(rows, target="click", split="time", **roles, **QUICK)
    assert {role: getattr(rec.schema_, role) for role in roles} == roles
    assert "weight" not in rec.schema_.names
    assert "gauc" in rec.evaluate(rows)


def test_refit_trains_the_winner_on_all_rows(tmp_path: Path) -> None:
    arguments = {**QUICK, "target": "click", "refit": True}
    rec = CTRRecommender(directory=tmp_path / "run").fit(fitted.clicks(), **arguments)
    rows = fitted.clicks(100, seed=1)
    card = rec.predictor_.card
    assert card["refitted"]
    assert card["metrics_of"] == "the model before the refit"
    assert (card["data"]["training_rows"], card["data"]["validation_rows"]) == (600, 0)
    assert not np.array_equal(rec.predict(rows), _trial(rec, 0).predict(rows))
    assert np.array_equal(autorec.load(tmp_path / "run").predict(rows), rec.predict(rows))


def _trial(rec: CTRRecommender, number: int) -> Any:
    from autorec.loading import load_run

    return load_run(rec.directory_, number)


# A run of another process


def test_a_run_is_loaded_as_it_was_left(tmp_path: Path) -> None:
    left = CTRRecommender(directory=tmp_path / "run").fit(fitted.clicks(), target="click", seed=1, **QUICK)
    found, rows = CTRRecommender.load(tmp_path / "run"), fitted.clicks(50, seed=1)
    assert found.leaderboard().equals(left.leaderboard())
    assert np.array_equal(found.predict(rows), left.predict(rows))
    assert found.best_options() == left.best_options()
    assert found.best_space().get_config() == left.best_space().get_config()
    assert list(found.feature_names_in_) == list(left.feature_names_in_)
    assert autorec.load(found.export(tmp_path / "model")).card["trial"] == 0
    again = found.search(fitted.clicks(), target="click", seed=1, searcher="greedy", max_trials=2, **_without_space())
    assert len(again.leaderboard()) == 2


def _without_space() -> dict[str, Any]:
    return {name: value for name, value in QUICK.items() if name != "space"}


def test_a_loaded_run_of_ones_own_code_needs_it_for_its_space_alone(tmp_path: Path) -> None:
    def build(hp: Any) -> keras.Model:
        inputs, fields = autorec.inputs(hp, dim=4)
        return autorec.ctr_model(inputs, [autorec.blocks.MLP(units=4)(fields)])

    arguments = {**_without_space(), "target": "click"}
    CTRRecommender(build, directory=tmp_path / "run").fit(fitted.clicks(), **arguments)
    found = CTRRecommender.load(tmp_path / "run")
    assert len(found.predict(fitted.clicks(20))) == 20
    with pytest.raises(ConfigError, match="`space` must be given to `load`"):
        found.best_space()
    assert CTRRecommender.load(tmp_path / "run", space=build).best_space().values is not None


def test_what_is_no_run_of_the_task_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`directory` must be a run directory"):
        CTRRecommender.load(tmp_path)
    with pytest.raises(ConfigError, match="a run of the task 'rating', got 'ctr'"):
        RatingRecommender.load(fitted.searched().directory_)


def test_a_call_wins_over_the_constructor(tmp_path: Path) -> None:
    rec = CTRRecommender("deepfm", directory=tmp_path / "mine", options=autorec.TrainOptions(learning_rate=0.5))
    rec.fit(
        fitted.clicks(),
        target="click",
        directory=tmp_path / "other",
        options=autorec.TrainOptions(learning_rate=0.01),
        **QUICK,
    )
    assert rec.predictor_.model.count_params() < 3000  # a logistic regression
    assert (tmp_path / "other" / "journal.jsonl").exists()
    assert not (tmp_path / "mine").exists()
    assert (rec.space, rec.options.learning_rate) == ("deepfm", 0.5)


def test_without_a_directory_the_run_goes_with_its_recommender() -> None:
    rec = CTRRecommender().fit(fitted.clicks(), target="click", **QUICK)
    directory = rec.directory_
    assert directory.is_dir()
    del rec
    assert not directory.exists()


def test_a_run_without_a_directory_goes_when_another_takes_its_place(tmp_path: Path) -> None:
    recommender = CTRRecommender()
    directories = []
    for directory in (None, None, tmp_path / "own", None):
        recommender.fit(fitted.clicks(), target="click", directory=directory, **QUICK)
        directories.append(recommender.directory_)
    assert [path.exists() for path in directories] == [False, False, True, True]
    assert not directories[0].parent.exists()
    assert len(recommender.predict(fitted.clicks())) == 600


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda rec: pickle.loads(pickle.dumps(rec))])  # noqa: S301
def test_a_temporary_run_stays_where_it_goes_on_and_where_a_copy_learns_something_else(copied: Any) -> None:
    recommender = CTRRecommender().fit(fitted.clicks(), target="click", **QUICK)
    directory = recommender.directory_
    for _ in range(2):
        recommender.search(
            fitted.clicks(), target="click", searcher="greedy", max_trials=2, directory=directory, **QUICK
        )
        assert len(recommender.predict(fitted.clicks())) == 600
    copied(recommender).fit(fitted.clicks(), target="like", **QUICK)
    assert (recommender.directory_, directory.exists()) == (directory, True)
    assert len(autorec.load(directory).predict(fitted.clicks())) == 600


def test_random_labels_on_unique_ids_give_a_validation_auc_of_one_half() -> None:
    rng, rows = np.random.default_rng(0), 6000
    columns = {"id": np.arange(rows).astype(str), "other": rng.permutation(rows), "y": rng.integers(0, 2, rows)}
    kinds = [autorec.Feature("id", "categorical"), autorec.Feature("other", "categorical", "int", min_count=1)]
    schema = autorec.Schema(kinds, targets=["y"])
    rec = CTRRecommender("deepfm").fit(columns, schema=schema, epochs=3, validation_fraction=0.5)
    error = np.sqrt(1 / 12 * (1 / 1500 + 1 / 1500))  # of an AUC without signal, 1500 rows of each class
    assert abs(rec.leaderboard()["val_auc"][0] - 0.5) < 2 * error


# Ratings


def test_ratings_are_learned_in_their_own_units() -> None:
    found = fitted.rated().predict({"user": [str(user) for user in range(30)]})
    assert found.dtype == np.float32
    assert 2.0 < found.mean() < 5.5


def test_the_score_of_ratings_is_minus_their_error() -> None:
    frame = pl.DataFrame({"user": ["1", "2"], "rating": [3.0, 4.0]})
    assert fitted.rated().score(frame) == -fitted.rated().evaluate(frame)["rmse"]


# scikit-learn's manners


def test_the_constructor_only_stores() -> None:
    rec = CTRRecommender(space=3, directory=4, options=5)
    assert rec.get_params() == {"space": 3, "directory": 4, "options": 5}
    assert clone(rec).set_params(space="fm").get_params() == {"space": "fm", "directory": 4, "options": 5}


@pytest.mark.parametrize(
    "name", ["leaderboard", "predict", "evaluate", "model", "export", "score", "best_space", "best_options"]
)
def test_nothing_works_before_something_was_learned(name: str) -> None:
    arguments = [fitted.clicks()] if name in ("predict", "evaluate", "export", "score") else []
    with pytest.raises(NotFittedError, match="call `search` or `fit` first"):
        getattr(CTRRecommender(), name)(*arguments)


def test_scikit_learn_knows_what_kind_they_are() -> None:
    assert is_classifier(CTRRecommender())
    assert is_regressor(RatingRecommender())


def test_a_matrix_has_columns_by_number() -> None:
    values, labels = matrix()
    rec = Fast("lr").fit(values, labels)
    assert rec.feature_names_in_.tolist() == ["x0", "x1", "x2"]
    assert rec.n_features_in_ == 3
    assert np.array_equal(rec.predict(values[:5]), rec.predict({f"x{i}": values[:5, i] for i in range(3)}))


def test_probabilities_of_both_classes_add_up() -> None:
    found = fitted.single().predict_proba(fitted.clicks(30))
    assert found.shape == (30, 2)
    assert np.allclose(found.sum(axis=1), 1)
    assert fitted.single().classes_.tolist() == [0, 1]


def test_several_targets_have_no_single_probability() -> None:
    with pytest.raises(ConfigError, match="one target for `predict_proba`"):
        fitted.searched().predict_proba(fitted.clicks(30))


@pytest.mark.long
@pytest.mark.parametrize("scoring", [None, "roc_auc"])
def test_clicks_are_cross_validated(scoring: str | None) -> None:
    values, labels = matrix()
    frame = pd.DataFrame(values, columns=["a", "b", "c"])
    found = cross_val_score(Fast("lr"), frame, pd.Series(labels), cv=2, scoring=scoring, error_score="raise")
    assert np.all((found > 0.3) & (found <= 1))


@pytest.mark.long
def test_ratings_are_cross_validated() -> None:
    values, _ = matrix()
    found = cross_val_score(
        FastRating("lr"), values, values[:, 1] * 2 + 3, cv=2, scoring="neg_root_mean_squared_error", error_score="raise"
    )
    assert np.all((found < 0) & (found > -10))


def test_fit_trains_one_model_and_says_so() -> None:
    with pytest.raises(ConfigError, match="`max_trials` must be left out of `fit`"):
        CTRRecommender().fit(fitted.clicks(), target="click", max_trials=3)


@pytest.mark.parametrize("name", ["effort", "fidelity", "max_latency", "max_model_size", "warm_start"])
def test_fit_takes_no_argument_of_a_search(name: str) -> None:
    with pytest.raises(ConfigError, match=f"`{name}` must be left out of `fit`"):
        CTRRecommender().fit(fitted.clicks(), target="click", **{name: "best"})


# What was found, elsewhere


@pytest.mark.long
def test_a_found_architecture_is_trained_on_other_data(tmp_path: Path) -> None:
    found = CTRRecommender().fit(fitted.clicks(), target="click", **{**QUICK, "space": "deepfm"})
    frame = pl.DataFrame({"user": ["a", "b", "c"] * 60, "stars": [1.5, 4.0, 3.0] * 60, "age": range(180)})
    rec = RatingRecommender(found.best_space(), directory=tmp_path, options=found.best_options())
    rec.fit(frame, target="stars", epochs=1)
    row = json.loads(rec.leaderboard()["values"][0])
    assert row["features/dim"] == json.loads(found.leaderboard()["values"][0])["features/dim"]
    assert not any(name.startswith("train/") for name in row)
    assert rec.predict(frame).shape == (180,)


@pytest.mark.long
def test_a_run_of_a_found_architecture_goes_on_and_is_repeated(tmp_path: Path) -> None:
    rec = CTRRecommender(fitted.single().best_space(), directory=tmp_path / "run")
    quick = {"epochs": 1, "progress": False, "baselines": False, "target": "click"}
    for trials in (1, 2):
        rec.search(fitted.clicks().drop("like"), searcher="random", max_trials=trials, **quick)
    config = SearchConfig.from_dict(Run(tmp_path / "run", read_only=True).config or {})
    again = search_from_config(config, directory=tmp_path / "again", data=fitted.clicks().drop("like"), progress=False)
    assert again.leaderboard().drop("seconds").equals(rec.leaderboard().drop("seconds"))
    assert again.best_space().get_config() == rec.best_space().get_config()


def test_the_found_options_are_those_of_the_trial() -> None:
    rec = fitted.searched()
    values = json.loads(rec.leaderboard().filter(pl.col("trial") == "1")["values"][0])
    options = rec.best_options(trial=1)
    assert options.learning_rate == values["train/learning_rate"]
    assert options.resolved() == options
    with pytest.raises(ConfigError, match=r"trained trial: \[0, 1\], got 7"):
        rec.best_space(trial=7)


# Effort


def test_an_effort_fills_in_what_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EFFORTS, "fast", {"space": "lr", "max_trials": 2, "fidelity": "auto", "refit": True})
    quick = {"epochs": 1, "progress": False, "baselines": False}
    CTRRecommender(directory=tmp_path).search(
        fitted.clicks(), target="click", effort="fast", fidelity="full", max_trials=1, **quick
    )
    config = Run(tmp_path, read_only=True).config or {}
    assert config["space"]["preset"] == "lr"
    assert (config["effort"], config["max_trials"], config["fidelity"], config["refit"]) == ("fast", 1, None, True)
