"""Calibrated recommenders: search, resume, export, ensembles, the command line."""

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
from autorec.data.cache import Cache
from autorec.errors import ConfigError
from autorec.recommender import CTRRecommender
from autorec.run import Run
from autorec.steps.calibration import validation_rows
from autorec.training import metrics
from tests import fitted
from tests.fitted import QUICK

# A linear model at a high rate: off enough for every method to help.
OFF: dict[str, Any] = {**QUICK, "epochs": 4, "options": autorec.TrainOptions(learning_rate=0.05, table_l2=0.0)}


@lru_cache
def rows(part: int) -> pl.DataFrame:
    """Returns 3000 rows to train on, 2000 to calibrate by, 3000 to test on."""
    start, stop = ((0, 3000), (3000, 5000), (5000, 8000))[part]
    return fitted.clicks(8000)[start:stop]


def trained(**more: Any) -> CTRRecommender:
    arguments = {**OFF, "target": "click", "validation_data": rows(1).drop("like"), **more}
    return CTRRecommender().fit(rows(0).drop("like"), **arguments)


@pytest.fixture(scope="module")
def rec() -> CTRRecommender:
    return trained()


def test_it_gives_better_probabilities_in_the_same_order(rec: CTRRecommender) -> None:
    before = rec.calibrate(None, progress=False).evaluate(rows(2))
    after = rec.calibrate(progress=False).evaluate(rows(2))
    assert after["ece"] < 0.5 * before["ece"]
    assert after["log_loss"] < before["log_loss"]
    assert abs(after["auc"] - before["auc"]) < 1e-4
    assert (rec.calibration_ or {})["targets"]["click"]["method"] in ("platt", "isotonic")


def test_the_card_and_the_leaderboard_tell_it(rec: CTRRecommender) -> None:
    rec.calibrate("isotonic", by="device", progress=False)
    assert rec.predictor_.card["calibrated"]
    assert rec.predictor_.card["calibration"]["by"] == "device"
    assert rec.leaderboard()["calibrated"].to_list() == ["isotonic by device"]
    rec.calibrate(None, progress=False)
    assert not rec.predictor_.card["calibrated"]
    assert "calibrated" not in rec.leaderboard().columns
    assert rec.calibration_ is None


def test_the_export_answers_calibrated(rec: CTRRecommender, tmp_path: Path) -> None:
    expected = rec.calibrate("platt", by="category", progress=False).predict(rows(2))
    folder = rec.export(tmp_path / "model")
    assert np.array_equal(autorec.load(folder).predict(rows(2)), expected)
    served = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    found = served(**fitted.signature_tensors(rows(2), rec.schema_))["click"].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert autorec.load(folder).card["calibration"]["targets"]["click"]["segments"]["own"] > 1


def test_a_trial_by_its_number_is_as_it_was_trained(rec: CTRRecommender) -> None:
    raw = rec.calibrate(None, progress=False).model()
    rec.calibrate("platt", progress=False)
    assert len(rec.model(trial=0).layers) == len(raw.layers) < len(rec.model().layers)


def test_rows_that_are_named_are_what_it_is_fitted_to(rec: CTRRecommender) -> None:
    rec.calibrate("platt", data=rows(2), progress=False)
    assert (rec.calibration_ or {})["rows"] == "rows"
    assert rec.evaluate(rows(2))["ece"] < 0.03
    apart = rec.predict(rows(2))
    rec.calibrate("platt", data=rows(2).drop("click"), y=rows(2)["click"], progress=False)
    assert np.array_equal(rec.predict(rows(2)), apart)


def test_the_rate_of_sampled_negatives_is_undone_exactly(rec: CTRRecommender) -> None:
    plain = rec.calibrate("platt", progress=False).predict(rows(2)).astype(float)
    shifted = rec.calibrate("platt", negatives_kept=0.1, progress=False).predict(rows(2))
    np.testing.assert_allclose(shifted, 0.1 * plain / (1 - plain + 0.1 * plain), atol=1e-6)


def test_an_unknown_column_and_one_of_numbers_are_refused(rec: CTRRecommender) -> None:
    with pytest.raises(ConfigError, match="`by` must be one of .*Did you mean 'device'"):
        rec.calibrate(by="devices", progress=False)
    with pytest.raises(ConfigError, match="`by` must be a categorical column.*of the kind 'numeric'"):
        rec.calibrate(by="price", progress=False)


def test_too_few_validation_rows_are_refused() -> None:
    with pytest.raises(ConfigError, match="100 labels of 'click' or more for the method 'auto', got 60"):
        fitted.single().calibrate(progress=False)


def test_ratings_are_refused() -> None:
    for act in (fitted.rated().calibrate, lambda: fitted.rated().fit({"a": [1]}, target="a", calibrate=True)):
        with pytest.raises(ConfigError, match="`calibrate` must be left out for ratings"):
            act()


def test_reliability_is_of_calibrated_probabilities_and_sums_to_the_error(rec: CTRRecommender) -> None:
    found = rec.calibrate(progress=False).evaluate(rows(2), reliability=True)
    frame = found["reliability"]
    assert frame["rows"].sum() == 3000
    assert (frame["share"] * frame["gap"].abs()).sum() == pytest.approx(found["ece"])
    p = rec.predict(rows(2))
    assert found["ece"] == pytest.approx(metrics.ece(rows(2)["click"].to_numpy(), p))


# Searches


def test_a_search_ends_in_it(tmp_path: Path) -> None:
    said: list[str] = []
    told = {"progress": lambda event: said.append(event.get("text", "")), "directory": tmp_path / "run"}
    rec = trained(calibrate=True, **told)
    assert (rec.calibration_ or {})["method"] == "auto"
    assert sum(text.startswith("calibrated (") for text in said) == 1
    assert autorec.load(tmp_path / "run").card["calibrated"]
    trained(calibrate=True, **told)  # goes on: nothing is left to do
    assert len(Run(tmp_path / "run", read_only=True).events("calibration")) == 1


def test_a_search_of_too_few_rows_says_so_and_keeps_its_model(tmp_path: Path) -> None:
    said: list[str] = []
    told = {"progress": lambda event: said.append(event.get("text", "")), "directory": tmp_path}
    rec = CTRRecommender().fit(fitted.clicks(), target="click", calibrate="isotonic", **{**QUICK, **told})
    assert any("not calibrated: `data` must be validation rows with 500 labels" in text for text in said)
    assert not rec.predictor_.card["calibrated"]


def test_where_nothing_helps_nothing_is_changed(rec: CTRRecommender) -> None:
    raw = rec.calibrate(None, progress=False).predict(rows(2))
    fair = rows(2).with_columns(click=pl.Series((np.random.default_rng(0).random(3000) < raw).astype(int)))
    rec.calibrate("auto", data=fair, progress=False)
    assert (rec.calibration_ or {})["targets"]["click"]["method"] == "none"
    assert not rec.predictor_.card["calibrated"]
    assert np.array_equal(rec.predict(rows(2)), raw)


@pytest.mark.long
def test_a_refit_keeps_the_calibrator_of_its_trial() -> None:
    rec, alone = trained(calibrate="platt", refit=True), trained(calibrate="platt")
    assert rec.predictor_.card["refitted"]
    assert rec.predictor_.card["calibrated"]
    of = [(one.calibration_ or {})["targets"]["click"]["log_loss"] for one in (rec, alone)]
    assert of[0] == of[1]


def test_segments_of_a_refitted_model_have_the_ids_of_its_own_encoder() -> None:
    first = rows(0).drop("like").filter(pl.col("device") != "desktop")  # the most common one, unknown to the trials
    rec = CTRRecommender().fit(first, **{**OFF, "target": "click", "validation_data": rows(1).drop("like")}, refit=True)
    rec.calibrate("isotonic", by="device", progress=False)
    encoder = rec.predictor_.encoder
    ids = dict(enumerate(encoder.vocabularies["device"].values, 2))
    assert sorted(ids.values()) == sorted(set(rows(1)["device"]))
    own = Run(rec.directory_, read_only=True)
    curves = (own.calibration or {})["targets"]["click"]["calibrator"]["segments"]
    assert {ids[int(number)] for number in curves} == {"phone"}
    cache = Cache.open(rec.directory_ / "cache")
    place = [column.name for column in cache.layout.ids].index("device")
    found: Any = validation_rows(own, cache, place).segments
    assert [ids.get(number) for number in found[:50]] == [
        name if name != "desktop" else None for name in rows(1)["device"][:50]
    ]


@pytest.mark.long
def test_of_several_targets_each_has_its_own_and_an_ensemble_is_calibrated() -> None:
    arguments = {**OFF, "target": ["click", "like"], "validation_data": rows(1), "max_trials": 2, "searcher": "random"}
    rec = CTRRecommender().search(rows(0), **{**arguments, "options": None, "epochs": 2})
    rec.ensemble(pruning=None, progress=False)
    rec.calibrate("platt", progress=False)
    assert set((rec.calibration_ or {})["targets"]) == {"click", "like"}
    assert rec.predictor_.card["calibrated"]
    board = rec.leaderboard()
    assert board.filter(pl.col("kind") == "ensemble")["calibrated"].to_list() == ["platt"]
    assert board.filter(pl.col("kind") == "trial")["calibrated"].null_count() == 2


def test_an_unknown_method_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'isotonic'"):
        trained(calibrate="isotonik", directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# The command line


def test_the_command_calibrates_and_shows_reliability(
    rec: CTRRecommender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, test = str(rec.directory_), tmp_path / "test.csv"
    rows(2).drop("like").write_csv(test)
    assert main(["calibrate", run, "--method", "platt", "--by", "device", "--negatives-kept", "0.5"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("calibrated (platt, curves of their own for ")
    assert "corrected for 0.5 of the negatives" in shown
    assert main(["evaluate", run, str(test), "--reliability"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("auc ")
    assert sum("|" in line and "#" in line for line in lines) == 16
    assert main(["calibrate", run, "--method", "none"]) == 0
    assert capsys.readouterr().out == "the model is no longer calibrated\n"
