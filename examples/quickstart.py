"""From a click log to a tested, exported model.

Run: python examples/quickstart.py
"""

import tempfile
from pathlib import Path

import autorec as ar
from autorec.data.demo import click_log

log = click_log(rows=20_000)
train, test = log.split(0.2)

folder = Path(tempfile.mkdtemp())
rec = ar.CTRRecommender(directory=folder / "run")
rec.search(train, target="click", user="user", item="item", time="time", max_trials=3, epochs=3)
print(rec.leaderboard().select("rank", "trial", "val_auc", "seconds"))
print("test:", rec.evaluate(test))
print("best possible AUC:", test.bayes_auc("click"))

rec.export(folder / "model")
model = ar.load(folder / "model")
print("click probabilities:", model.predict(test.frame().head(3)))
