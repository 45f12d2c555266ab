"""Evolution over graphs of interactions: cheap trials first, then the best few in full, over several seeds.

Run: python examples/evolution.py
"""

import autorec as ar
from autorec.data.demo import click_log
from autorec.searchers.evolution import Evolution
from autorec.searchers.fidelity import Fidelity, Schedule
from autorec.spaces import InteractionDAG

train, test = click_log(rows=25_000).split(0.2)

rec = ar.CTRRecommender(space=InteractionDAG(blocks=3, units=(32, 64, 128)))
rec.search(
    train,
    target="click",
    searcher=Evolution(population=4, seed=1),  # or just "evolution", which is the default
    max_trials=8,
    fidelity=Schedule(Fidelity(rows=5_000, epochs=2), finalists=2, seeds=2),
    epochs=3,
    baselines=False,
)
print(rec.leaderboard().select("rank", "trial", "fidelity", "val_auc", "seconds"))
print("test:", rec.evaluate(test))
print("found:", rec.best_space().values)
