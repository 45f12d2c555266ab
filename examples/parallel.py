"""Two trials at a time on this machine: the same search, another number of processes.

Run: python examples/parallel.py
"""

import autorec as ar
from autorec.data.demo import click_log
from autorec.searchers.cores import cores


def build(hp):  # travels to the processes as it is
    inputs, fields = ar.inputs(hp, dim=8)
    return ar.ctr_model(inputs, [ar.blocks.MLP.tune(hp)(fields), ar.blocks.FactorizationMachine.tune(hp)(fields)])


workers = min(2, len(cores()))
rec = ar.CTRRecommender(space=build)
rec.search(
    click_log(rows=10_000), target="click", searcher="random", max_trials=4, epochs=2, baselines=False, workers=workers
)
print(rec.leaderboard().select("rank", "trial", "val_auc", "seconds"))
