"""A table of more than a million ids: a training step costs what the rows of its batch cost, not what the table has.

Run: python examples/million_ids.py
"""

import time

import numpy as np
import polars as pl

import autorec as ar

ITEMS, ROWS = 1_200_000, 1_700_000

# A log in which every item occurs, a few of them often.
rng = np.random.default_rng(0)
often = (ITEMS ** rng.random(ROWS - ITEMS)).astype(np.int64)
item = rng.permutation(np.concatenate([np.arange(ITEMS), often]))
country = rng.integers(0, 40, ROWS)
logit = -1.0 + 1.5 * np.sin(12.9898 * item) + 1.0 * np.sin(78.233 * country)
frame = pl.DataFrame({"item": item, "country": country, "click": rng.random(ROWS) < 1 / (1 + np.exp(-logit))})

schema = ar.Schema.infer(frame, target="click", item="item")
schema["country"].kind = "categorical"
schema["item"].min_count = 1  # rows for the rare items too

begin = time.perf_counter()
rec = ar.CTRRecommender(space="deepfm").fit(frame, schema=schema, epochs=1, statistics=None)
print(f"encoded and trained in {time.perf_counter() - begin:.0f} s")

for table in ar.training.tables(rec.model()):
    print(f"table {table.name}: {table.shape[0]:,} rows of width {table.shape[1]}")
print(rec.leaderboard().select("trial", "val_auc", "val_log_loss", "parameters"))
