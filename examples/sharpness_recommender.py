"""Sharpness-aware training of a recommender: plain training beside mSAM, and a search that chooses.

Run: python examples/sharpness_recommender.py
"""

import autorec as ar
from autorec.data.demo import click_log

log = click_log(rows=12_000)
train, test = (part.frame() for part in log.split(0.25))

# Each batch is cut into 8 micro-batches; each perturbs the dense weights by its own gradient, the tables stay put.
for name, sharpness in {"plain": None, "mSAM": ar.SharpnessAware(rho=0.05, micro_batches=8)}.items():
    rec = ar.CTRRecommender("dcnv2", options=ar.TrainOptions(sharpness=sharpness, learning_rate=1e-3, table_l2=1e-5))
    rec.fit(train, target="click", progress=False)
    print(name, {metric: round(value, 4) for metric, value in rec.evaluate(test).items()})

# A tuple is searched among, None being plain training.
options = ar.TrainOptions(sharpness=(None, ar.SharpnessAware(rho=0.05), ar.SharpnessAware(rho=0.2)))
rec = ar.CTRRecommender("dcnv2", options=options)
rec.search(train, target="click", max_trials=4, epochs=3, baselines=False, progress=False)
print(rec.leaderboard().select("trial", "val_auc", "val_log_loss", "values"))
