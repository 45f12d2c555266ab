"""Does a search find what was planted, and nothing where there is nothing?"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder

import autorec as ar

ROWS, TEST, SIZE = 24_000, 8_000, 40


def planted(interaction: float, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Clicks by the sum of two effects, and by the inner product of two factors with the given weight."""
    rng = np.random.default_rng(seed)
    a, b, noise = (rng.integers(SIZE, size=ROWS + TEST) for _ in range(3))
    effects, factors = rng.normal(0, 0.7, (2, SIZE)), rng.normal(0, 1, (2, SIZE, 3))
    logit = effects[0][a] + effects[1][b] + interaction * (factors[0][a] * factors[1][b]).sum(1)
    click = (rng.random(ROWS + TEST) < 1 / (1 + np.exp(-logit))).astype(int)
    columns = {name: [f"{name}{value}" for value in values] for name, values in zip("abn", (a, b, noise))}
    frame = pl.DataFrame({**columns, "click": click})
    return frame[:ROWS], frame[ROWS:]


def linear_auc(train: pl.DataFrame, test: pl.DataFrame) -> float:
    encoder = OneHotEncoder().fit(train.select("a", "b", "n").to_numpy())
    x, z = (encoder.transform(frame.select("a", "b", "n").to_numpy()) for frame in (train, test))
    model = LogisticRegression(max_iter=500).fit(x, train["click"].to_numpy())
    return float(roc_auc_score(test["click"].to_numpy(), model.decision_function(z)))


def searched_auc(train: pl.DataFrame, test: pl.DataFrame) -> float:
    rec = ar.CTRRecommender()
    rec.search(train, target="click", searcher="greedy", max_trials=4, baselines=False, progress=False)
    return rec.evaluate(test)["auc"]


@pytest.mark.long
def test_a_planted_interaction_is_found() -> None:
    train, test = planted(interaction=0.7)
    assert searched_auc(train, test) > linear_auc(train, test) + 0.02


@pytest.mark.long
def test_where_effects_only_add_up_the_search_is_no_worse_than_logistic_regression() -> None:
    train, test = planted(interaction=0.0)
    assert searched_auc(train, test) > linear_auc(train, test) - 0.005
