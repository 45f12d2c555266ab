"""One recommender of several targets: losses, masks, long targets, the utility."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tensorflow as tf

import autorec
from autorec.cli import main
from autorec.data.demo import click_log
from autorec.errors import ConfigError, DataError
from autorec.recommender import CTRRecommender
from autorec.run import Run
from tests import fitted
from tests.fitted import QUICK

TARGETS = ["click", "like", "dwell"]


@lru_cache
def rows(count: int = 800) -> pl.DataFrame:
    """Returns rows with a click, a like that is known for clicks alone, and a dwell time in seconds."""
    frame = click_log(rows=count, targets=("click", "like", "dwell")).frame()
    rng = np.random.default_rng(0)
    seconds = frame["click"].to_numpy() * np.exp(rng.normal(2 + 2 * frame["dwell"].to_numpy(), 0.5))
    known = pl.when(pl.col("click") == 1).then(pl.col("like"))
    return frame.with_columns(like=known, dwell=pl.Series(seconds))


@lru_cache
def several() -> CTRRecommender:
    """Returns a model of all three targets."""
    arguments = {"long": {"dwell": "category"}, "utility": {"click": 1, "like": 5.0, "dwell": -0.5}}
    return CTRRecommender().fit(rows(), target=TARGETS, **arguments, **QUICK)


def test_one_target_in_a_list_is_the_model_of_one_target() -> None:
    one, listed = (
        CTRRecommender().fit(fitted.clicks().drop("like"), target=target, **{**QUICK, "space": "deepfm"})
        for target in ("click", ["click"])
    )
    assert one.leaderboard().drop("seconds").equals(listed.leaderboard().drop("seconds"))
    assert np.array_equal(one.predict(fitted.clicks()), listed.predict(fitted.clicks()))


def test_each_target_has_its_metrics_and_the_objective_is_their_mean() -> None:
    row = several().leaderboard().row(0, named=True)
    assert row["val_auc"] == pytest.approx(np.mean([row[f"val_{target}_auc"] for target in TARGETS]))
    assert {"click_auc", "like_ece", "dwell_log_loss"} <= set(several().evaluate(rows()))


def test_a_target_of_one_class_in_the_validation_rows_hides_no_baseline_and_ends_no_search() -> None:
    held = rows().head(100).with_columns(like=pl.lit(0.0))
    arguments = {**QUICK, "baselines": True, "max_trials": 1}
    rec = CTRRecommender().search(rows(), target=["click", "like"], validation_data=held, **arguments)
    board = rec.leaderboard().filter(pl.col("kind") == "baseline")
    assert set(board["status"]) == {"completed"}
    assert board["score"].to_list() == board["val_click_auc"].to_list()


def test_targets_may_have_any_names(tmp_path: Path) -> None:
    names = ["it's a click!", "größe (7d)/ä"]
    frame = (
        fitted.clicks(300)
        .select("user", "item", "country", "click", "like")
        .rename(dict(zip(["click", "like"], names)))
    )
    model = CTRRecommender().fit(frame, target=names, **QUICK)
    assert set(model.predict(frame)) == set(names)
    model.export(tmp_path / "model")
    served = autorec.load(tmp_path / "model").predict(frame.drop(names))
    assert np.array_equal(served[names[1]], model.predict(frame)[names[1]])
    module = tf.saved_model.load(str(tmp_path / "model" / "saved_model"))
    answers = module.signatures["serving_default"](**fitted.signature_tensors(frame, model.schema_))
    np.testing.assert_allclose(np.ravel(answers[names[1]]), served[names[1]], atol=1e-5)


def test_rows_without_a_label_of_a_target_count_for_the_others_alone() -> None:
    masked = rows().with_columns(like=pl.lit(None, pl.Int64), other=pl.col("like"))
    known = several().evaluate(rows())
    with pytest.raises(DataError, match="column 'like': the target is missing in every row"):
        several().evaluate(masked)
    half = rows().with_columns(like=pl.when(pl.int_range(pl.len()) % 2 == 0).then("like"))
    found = several().evaluate(half)
    assert (found["click_auc"], found["like_auc"]) != (known["click_auc"], known["like_auc"])
    assert found["click_auc"] == known["click_auc"]


# A long target


def test_a_long_target_is_measured_by_the_thresholds_of_the_training_rows() -> None:
    thresholds = several().predictor_.encoder.thresholds["dwell"]
    frame = rows().with_columns(dwell=pl.col("dwell") * 100)
    longer = (frame["dwell"].to_numpy() > 0).mean()
    _, labels, _, _ = several().predictor_.raw(frame)
    assert labels[:, 2].mean() == pytest.approx(longer)
    assert several().predictor_.encoder.thresholds["dwell"] == thresholds


def test_an_exported_model_knows_what_is_long(tmp_path: Path) -> None:
    loaded = autorec.load(several().export(tmp_path / "model"))
    assert loaded.evaluate(rows()) == several().evaluate(rows())


def test_another_context_is_another_experiment(tmp_path: Path) -> None:
    arguments = {**QUICK, "target": "dwell", "directory": tmp_path / "run"}
    frame = rows().drop("click", "like")
    CTRRecommender().fit(frame, long={"dwell": "category"}, **arguments)
    with pytest.raises(ConfigError, match="`schema` must be the one of the run .*long is"):
        CTRRecommender().fit(frame, long={"dwell": "device"}, **arguments)


def test_a_rating_is_not_long_and_a_context_must_be_there() -> None:
    with pytest.raises(ConfigError, match="`long` must be left out for ratings"):
        fitted.rated().fit({"user": ["a", "b"], "y": [1.5, 2.5]}, target="y", long={"y": "user"})
    with pytest.raises(DataError, match="column 'categry': .*Did you mean 'category'"):
        CTRRecommender().fit(rows(), target=TARGETS, long={"dwell": "categry"}, **QUICK)


# Losses


@pytest.mark.long
def test_a_target_without_weight_moves_nothing() -> None:
    options = [
        autorec.TrainOptions(learning_rate=0.01, loss_weights={"like": 0.0}),
        autorec.TrainOptions(learning_rate=0.01),
    ]
    for option, same in zip(options, (True, False)):
        kernels = []
        for shuffled in (False, True):
            frame = fitted.clicks()
            labels = frame["like"].shuffle(seed=1) if shuffled else frame["like"]
            schema = autorec.Schema([autorec.Feature("price", "numeric", "float")], targets=["click", "like"])
            arguments: dict[str, Any] = {**QUICK, "statistics": None, "schema": schema, "options": option}
            model = CTRRecommender().fit(frame.with_columns(like=labels), **arguments).model()
            kernels.append([v.numpy() for v in model.trainable_variables if v.path.endswith("kernel")])
        assert all(np.array_equal(a, b) for a, b in zip(*kernels)) == same


@pytest.mark.parametrize(
    ("weights", "words"), [({"likes": 2.0}, "one of .*Did you mean 'like'"), ({"click": 0, "like": 0}, "above 0 for a")]
)
def test_weights_of_no_target_are_refused(weights: dict[str, float], words: str) -> None:
    options = autorec.TrainOptions(loss_weights=weights)
    with pytest.raises(ConfigError, match=f"`loss_weights` must be {words}"):
        CTRRecommender(options=options).fit(fitted.clicks(), target=["click", "like"], **QUICK)


# Targets that tell nothing


@pytest.mark.parametrize(
    ("values", "words"), [([0] * 600, "constant: every labelled row has 0"), ([None] * 600, "missing in every row")]
)
def test_a_target_that_tells_nothing_is_named(values: list[Any], words: str) -> None:
    frame = fitted.clicks().with_columns(like=pl.Series(values, dtype=pl.Int64))
    with pytest.raises(DataError, match=f"column 'like': .*{words}"):
        CTRRecommender().fit(frame, target=["click", "like"], **QUICK)


def test_a_target_of_one_class_in_the_training_rows_is_named() -> None:
    frame = fitted.clicks().with_columns(like=pl.Series([0] * 560 + [1] * 40), time=pl.int_range(600))
    with pytest.raises(DataError, match="column 'like': the 540 training rows have only the value 0 of the target"):
        CTRRecommender().fit(frame, target=["click", "like"], time="time", split="time", **QUICK)


def test_a_validation_target_of_one_class_matters_where_it_is_the_objective() -> None:
    frame = fitted.clicks().with_columns(like=pl.Series([0, 1] * 270 + [0] * 60), time=pl.int_range(600))
    arguments = {"target": ["click", "like"], "time": "time", "split": "time", **QUICK}
    rec = CTRRecommender().fit(frame, **arguments)
    row = rec.leaderboard().row(0, named=True)
    assert row["val_like_auc"] is None
    assert row["val_auc"] == row["val_click_auc"]
    with pytest.raises(DataError, match="column 'like': the 60 validation rows have only the value 0"):
        CTRRecommender().fit(frame, objective="val_like_auc", **arguments)


# The utility


def test_the_utility_is_the_stated_sum() -> None:
    found = several().predict(rows())
    expected = found["click"] + 5.0 * found["like"] - 0.5 * found["dwell"]
    np.testing.assert_allclose(found["utility"], expected, rtol=1e-6)


def test_an_exported_signature_gives_the_utility(tmp_path: Path) -> None:
    folder = several().export(tmp_path / "model")
    served = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    found = served(**fitted.signature_tensors(rows(), several().schema_))
    np.testing.assert_allclose(found["utility"].numpy(), several().predict(rows())["utility"], atol=1e-5)
    assert autorec.load(folder).card["utility"] == {"click": 1.0, "like": 5.0, "dwell": -0.5}


def test_another_utility_trains_nothing_anew(tmp_path: Path) -> None:
    arguments = {**QUICK, "target": ["click", "like"], "directory": tmp_path}
    CTRRecommender().fit(fitted.clicks(), **arguments)
    rec = CTRRecommender().fit(fitted.clicks(), utility={"like": 2.0}, **arguments)
    assert len(Run(tmp_path, read_only=True).trials()) == 1
    found = rec.predict(fitted.clicks())
    np.testing.assert_array_equal(found["utility"], 2 * found["like"])


def test_one_target_with_a_utility_has_its_two_probabilities() -> None:
    rec = CTRRecommender().fit(fitted.clicks(), target="click", utility={"click": 2.0}, **QUICK)
    rows = fitted.clicks(30, seed=1)
    np.testing.assert_array_equal(rec.predict_proba(rows)[:, 1], rec.predict(rows)["click"])


@pytest.mark.parametrize("utility", [{}, {"click": "a"}, {"click": float("nan")}, ["click"], {"clicks": 1.0}])
def test_a_utility_that_is_none_is_refused(utility: Any) -> None:
    with pytest.raises(ConfigError, match="`utility`"):
        CTRRecommender().fit(fitted.clicks(), target=["click", "like"], utility=utility, **QUICK)


# The command line


def test_the_command_line_takes_it_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows().write_parquet(tmp_path / "train.parquet")
    command = ["fit", str(tmp_path / "train.parquet"), "--space", "lr", "--epochs", "1", "--out", str(tmp_path / "run")]
    command += [part for target in TARGETS for part in ("--target", target)]
    command += [
        "--long",
        "dwell:category:0.8",
        "--loss-weight",
        "like:2",
        "--utility",
        "click:1",
        "--utility",
        "like:5",
    ]
    assert main([*command, "--quiet"]) == 0
    config = Run(tmp_path / "run", read_only=True).config or {}
    assert config["schema"]["long"] == {"dwell": {"by": ["category"], "quantile": 0.8, "least": 100}}
    assert config["options"]["loss_weights"] == {"like": 2.0}
    assert config["utility"] == {"click": 1.0, "like": 5.0}
    out = tmp_path / "scores.csv"
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "train.parquet"), "--out", str(out)]) == 0
    assert pl.read_csv(out).columns == [*TARGETS, "utility"]
    assert main([*command, "--utility", "like"]) == 2
    assert "`--utility` must be TARGET:WEIGHT" in capsys.readouterr().err
