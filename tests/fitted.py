"""Recommenders that are trained once for all tests, and never changed by one."""

from __future__ import annotations

import datetime
import tempfile
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from autorec.data.columns import MISSING_INT
from autorec.data.demo import click_log
from autorec.data.schema import Feature, Schema
from autorec.recommender import CTRRecommender, RatingRecommender
from autorec.spaces import DeepFM

QUICK: dict[str, Any] = {"epochs": 1, "progress": False, "baselines": False, "space": "lr"}


@lru_cache
def clicks(rows: int = 600, seed: int = 0) -> pl.DataFrame:
    """Returns a small click log with the targets click and like."""
    return click_log(rows=rows, seed=seed, targets=("click", "like")).frame()


@lru_cache
def searched() -> CTRRecommender:
    """Returns a search of two trials with baselines over a click log, two targets."""
    directory = tempfile.mkdtemp() + "/run"
    arguments = {**QUICK, "baselines": True, "max_trials": 2, "target": ["click", "like"], "user": "user"}
    return CTRRecommender(directory=directory).search(clicks(), **arguments)


@lru_cache
def single() -> CTRRecommender:
    """Returns a logistic regression on a click log, one target."""
    return CTRRecommender().fit(clicks().drop("like"), target="click", user="user", **QUICK)


@lru_cache
def rated() -> RatingRecommender:
    """Returns a linear model of ratings."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, 30, 500)
    frame = pl.DataFrame({"user": users.astype(str), "rating": 3 + users % 3 - rng.random(500)})
    return RatingRecommender().fit(frame, target="rating", **QUICK)


HOSTILE = Schema(
    [
        Feature("word", "categorical"),
        Feature("id", "categorical", "int", min_count=1),
        Feature("float id", "categorical", "float"),
        Feature("number", "numeric", "float"),
        Feature("count", "numeric", "int"),
        Feature("when", "time", "time"),
        Feature("seconds", "time", "int", unit="s"),
        Feature("Seconds", "time", "float", unit="s"),
        Feature("nanoseconds", "time", "int", unit="ns"),
        Feature("bag", "bag", "string"),
        Feature("sequence", "sequence", "int"),
        Feature("shared", "sequence", "int", vocabulary="id"),
        Feature("genres", "bag", "string", separator="|"),
        Feature("places", "bag", "string", separator=" "),
    ],
    targets=["y"],
    pairs=[("word", "id")],
)
_DAY = datetime.datetime(2024, 1, 1, 5)
_COLUMNS: dict[str, tuple[Any, list[Any]]] = {
    "word": (pl.String, ["a", "b", "", "line\nbreak", "cr\rx", "ünï", "null", " a", None]),
    "id": (pl.Int64, [1, 2, 3, 2**62, -(2**62), 0, -1, None]),
    "float id": (pl.Float64, [1.0, 2.0, -7.0, 2.0**40, None]),
    "number": (pl.Float64, [0.5, -1.5, 1e30, 5e-324, -0.0, None]),
    "count": (pl.Int64, [0, 1, 10, 10**12, -5, None]),
    "when": (pl.Datetime("us"), [_DAY, _DAY + datetime.timedelta(hours=31), datetime.datetime(1931, 5, 5, 3), None]),
    "seconds": (pl.Int64, [1_700_000_000, 1_700_003_600, -1000, None]),
    "Seconds": (pl.Float64, [1_700_000_000.25, -1000.75, None]),
    "nanoseconds": (pl.Int64, [1_700_000_000_000_000_000, -1, None]),
    "bag": (pl.List(pl.String), [["p", "q"], ["r"], [], ["p", ""], ["p", None], ["q"] * 60, None]),
    "sequence": (pl.List(pl.Int64), [[1, 2, 3], [5], [], [1, None, 2], list(range(70)), None]),
    "shared": (pl.List(pl.Int64), [[1, 2], [3], None]),
    "genres": (pl.String, ["A|B", "B", "", "A||C", "|", None]),
    "places": (pl.String, ["1 02", "3", "", "1  2", None]),
}
_UNSEEN: dict[str, list[Any]] = {
    "word": ["A", "\x00", "b ", None],
    "id": [MISSING_INT, MISSING_INT + 1, 2**63 - 1, 99],
    "float id": [np.nan, np.inf, -np.inf, -0.0, 2.0**63, -(2.0**63), 1e300],
    "number": [np.inf, -np.inf, np.nan, 1e308, -5e-324],
    "count": [MISSING_INT, 2**63 - 1, 2**53 + 1],
    "when": [datetime.datetime(1900, 1, 1), datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999), None],
    "seconds": [MISSING_INT, -1, 0, 2**40],
    "Seconds": [np.nan, np.inf, -np.inf, -1.5, 1e12, 1e-300],
    "nanoseconds": [MISSING_INT, 999, 1000, -1001],
    "bag": [["zz"], [None], [""], ["q"] * 80],
    "sequence": [[MISSING_INT, 1], [9999], [None], [-1]],
    "shared": [[MISSING_INT, 1], [9999], [2**62]],
    "genres": ["A|", "|B", "zz", " A", None],
    "places": [" ", "1 ", " 2", "99", "-1"],
}


def rows_of_every_kind(rows: int, seed: int, unseen: bool = False) -> pl.DataFrame:
    """Returns rows with a column of each kind and type, missing values among them, and the target `y`."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, (dtype, values) in _COLUMNS.items():
        pool = [*values, *(_UNSEEN[name] if unseen else [])]
        found[name] = pl.Series(name, [pool[i] for i in rng.integers(0, len(pool), rows)], dtype=dtype, strict=False)
    return pl.DataFrame([*found.values(), pl.Series("y", rng.integers(0, 2, rows))])


@lru_cache
def of_every_kind() -> CTRRecommender:
    """Returns a model that reads a column of each kind, with all statistics."""
    return CTRRecommender().fit(rows_of_every_kind(500, 0), schema=HOSTILE, **{**QUICK, "space": DeepFM(pairs=True)})


def signature_inputs(frame: pl.DataFrame, schema: Schema) -> dict[str, np.ndarray]:
    """Returns a frame as the arrays that an exported signature takes."""
    return {feature.name: _input(frame[feature.name], feature) for feature in schema}


def signature_tensors(frame: pl.DataFrame, schema: Schema) -> dict[str, Any]:
    """Returns a frame as the tensors that an exported signature takes."""
    import tensorflow as tf

    return {
        name: tf.constant(values.tolist(), tf.string, values.shape) if values.dtype == object else tf.constant(values)
        for name, values in signature_inputs(frame, schema).items()
    }


def _input(column: pl.Series, feature: Feature) -> np.ndarray:
    if feature.kind in ("bag", "sequence") and feature.separator is None:
        blank: Any = "" if feature.dtype == "string" else MISSING_INT
        lists = [[blank if value is None else value for value in row or []] for row in column.to_list()]
        width = max(map(len, lists))
        dtype = object if feature.dtype == "string" else np.int64
        return np.array([[*row, *[blank] * (width - len(row))] for row in lists], dtype)
    if feature.dtype == "string" or feature.separator is not None:
        return np.array(column.fill_null("").to_list(), object)
    if feature.dtype == "float":
        return column.fill_null(np.nan).to_numpy()
    return column.to_physical().fill_null(MISSING_INT).to_numpy()
