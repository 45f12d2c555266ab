"""What one search found, used for another one: as a start, and as a fixed architecture.

Run: python examples/transfer.py
"""

import tempfile
from pathlib import Path

import autorec as ar
from autorec.data.demo import click_log
from autorec.spaces import InteractionDAG

first = click_log(rows=8_000, seed=1).frame()
other = click_log(rows=8_000, seed=2).frame().drop("country").rename({"price": "cost"})  # not even the same columns
train, test = other[:6_000], other[6_000:]
space = InteractionDAG(blocks=3, units=(32, 64, 128))
quick = {"target": "click", "epochs": 2, "baselines": False}

folder = Path(tempfile.mkdtemp())
rec = ar.CTRRecommender(space, directory=folder / "first")
rec.search(first, max_trials=4, **quick)

# The architecture and the recipe that were found, trained on other data without any search.
fixed = ar.CTRRecommender(rec.best_space(), options=rec.best_options())
fixed.fit(train, **quick)
print("found elsewhere:", fixed.evaluate(test)["auc"])

# Or a search that tries the best architectures of the first one before its own.
warm = ar.CTRRecommender(space, directory=folder / "second")
warm.search(train, max_trials=3, warm_start=folder / "first", **quick)
print(warm.leaderboard().select("rank", "trial", "val_auc", "values"))
print("searched from there:", warm.evaluate(test)["auc"])
