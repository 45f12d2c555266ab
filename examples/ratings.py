"""Predict ratings, and list the items that a user would rate best.

Run: python examples/ratings.py
"""

import numpy as np
import polars as pl

import autorec as ar

random = np.random.default_rng(0)
users, items = random.integers(0, 300, 20_000), random.integers(0, 80, 20_000)
taste, kind = random.normal(size=(300, 4)), random.normal(size=(80, 4))
stars = 3 + 0.5 * (taste[users] * kind[items]).sum(axis=1) + random.normal(0, 0.5, 20_000)
log = pl.DataFrame({"user": users, "item": items, "stars": stars.round().clip(1, 5)})
train, test = log.head(16_000), log.tail(4_000)

rec = ar.RatingRecommender()
rec.search(train, target="stars", user="user", item="item", space="fm", max_trials=3)
print(rec.leaderboard().select("rank", "trial", "val_rmse", "val_mae"))
print("test:", rec.evaluate(test))

candidates = pl.DataFrame({"user": 17, "item": np.arange(80)})
print(candidates.with_columns(stars=rec.predict(candidates)).top_k(5, by="stars"))
