"""The best trials of a search as one model: pruned, weighed, exported.

Run: python examples/ensemble.py
"""

import tempfile

import autorec as ar
from autorec.data.demo import click_log

train, test = click_log(rows=20_000).split(0.25)
rec = ar.CTRRecommender(space="dnn")
rec.search(train, target="click", searcher="random", max_trials=5, keep=5, epochs=2, baselines=False)
alone = rec.evaluate(test)

rec.ensemble(size=3, pruning="pie")  # chosen on the validation rows
print(rec.leaderboard().select("rank", "trial", "kind", "val_auc", "val_log_loss", "values"))
for member in rec.ensemble_["members"]:
    print(f"trial {member['trial']}: weight {member['weight']:.2f}, alone {member['score']:.4f}")
print(f"members disagree on {rec.ensemble_['diversity']['disagreement']:.1%} of the rows")
print(f"test AUC {rec.evaluate(test)['auc']:.4f}, best trial alone {alone['auc']:.4f}")

with tempfile.TemporaryDirectory() as folder:
    served = ar.load(rec.export(f"{folder}/model"))  # one folder, one Keras model, one signature
    print(f"exported: AUC {served.evaluate(test)['auc']:.4f}, {served.model.count_params():,} parameters")
