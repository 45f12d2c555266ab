"""Clicks, likes and long dwells in one model: shared experts, a tower each, one utility to rank by.

Run: python examples/several_targets.py
"""

import tempfile

import numpy as np
import polars as pl

import autorec as ar
from autorec.data.demo import click_log
from autorec.spaces import MultiTask

# A dwell in seconds, longer for some categories; a like is known only of rows that were clicked.
frame = click_log(rows=20_000, targets=("click", "like", "dwell")).frame()
length = frame["category"].replace_strict({"news": 3.0, "games": 20.0}, default=8.0, return_dtype=pl.Float64)
seconds = np.random.default_rng(0).exponential(length.to_numpy() * (1 + 3 * frame["dwell"].to_numpy()))
frame = frame.with_columns(
    like=pl.when(pl.col("click") == 1).then("like"),
    dwell=pl.when(pl.col("click") == 1).then(pl.Series(seconds)).otherwise(0.0),
)
train, test = frame[:15_000], frame[15_000:]

rec = ar.CTRRecommender(
    space=MultiTask(kind="mmoe", units=64, tower_units=32),
    options=ar.TrainOptions(learning_rate=2e-3, loss_weights={"like": 2.0}),
)
rec.fit(
    train,
    target=["click", "like", "dwell"],
    long={"dwell": ar.LongTarget(by="category", quantile=0.8)},  # long for its category
    utility={"click": 1.0, "like": 5.0, "dwell": 2.0},
    epochs=3,
)
for name, value in rec.evaluate(test).items():
    print(f"{name:16} {value:.4f}")

found = rec.predict(test)
best = np.argsort(-found["utility"])[:5]
print("best five by utility:", {name: values[best].round(3).tolist() for name, values in found.items()})
print("AUC of the mean over targets:", f"{rec.score(test):.4f}")

with tempfile.TemporaryDirectory() as folder:
    served = ar.load(rec.export(f"{folder}/model"))
    print("exported utility:", served.predict(test.head(3))["utility"])
