"""Past items beside the item at hand, from a log to the exported model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tensorflow as tf

from autorec.blocks import ItemLikeness
from autorec.data.demo import click_log
from autorec.data.encode import encode
from autorec.data.inference import infer
from autorec.data.table import as_source
from autorec.loading import load
from autorec.recommender import CTRRecommender
from autorec.spaces import DeepFM, LiRank
from autorec.training import precision
from autorec.training.options import TrainOptions
from tests.fitted import signature_tensors

ROLES = {"target": "click", "user": "user", "item": "item", "time": "time"}
QUIET: dict[str, Any] = {"epochs": 1, "progress": False, "baselines": False}


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return click_log(rows=3000, items=80, history=6).frame()


def layers_of(model: Any) -> list[Any]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, ItemLikeness)]


def served(folder: Path, rows: pl.DataFrame, schema: Any) -> np.ndarray:
    """Returns what plain TensorFlow answers for raw rows."""
    signature = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    return np.array(signature(**signature_tensors(rows, schema))["click"]).ravel()


def check_export(recommender: Any, rows: pl.DataFrame, folder: Path) -> None:
    exported = recommender.export(folder)
    wanted = recommender.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(served(folder, rows, recommender.schema_), wanted, atol=1e-6)
    np.testing.assert_allclose(np.ravel(load(exported).predict(rows)), wanted, atol=1e-6)


def test_an_exported_model_compares_past_items_as_the_trained_one_does(frame: pl.DataFrame, tmp_path: Path) -> None:
    found = CTRRecommender().fit(frame, space=DeepFM(), **ROLES, **QUIET)
    (layer,) = layers_of(found.model())
    assert layer.attributes
    assert layer.values.numpy().any()
    check_export(found, frame[:200], tmp_path / "model")


@pytest.mark.parametrize("space", ["dag", LiRank(isotonic=False)])
def test_so_does_a_refitted_ensemble(frame: pl.DataFrame, tmp_path: Path, space: Any) -> None:
    found = CTRRecommender().search(frame, space=space, max_trials=3, ensemble=True, refit=True, **ROLES, **QUIET)
    assert layers_of(found.model())
    check_export(found, frame[:200], tmp_path / "model")


def test_steps_of_compared_items_are_timed_on_small_tables(
    frame: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_ROWS", 60)
    cache = encode(as_source(frame), infer(frame, **ROLES), tmp_path / "cache")
    (past,) = (column for column in cache.layout.lists if column.attributes)
    assert past.attribute_file is not None
    times = precision.time_steps(LiRank().build_for, cache.train, cache.layout, 64, TrainOptions(precision="auto"))
    assert min(times.values()) > 0
