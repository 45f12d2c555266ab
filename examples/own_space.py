"""A search space of one's own, in the manner of KerasTuner: a given argument is fixed, the rest is searched.

Run: python examples/own_space.py
"""

import autorec as ar
from autorec.data.demo import click_log


def build(hp):
    inputs, fields = ar.inputs(hp, dim=16)
    deep = ar.blocks.MLP.tune(hp, layers=2)(fields)
    cross = ar.blocks.CrossNetwork.tune(hp, kind="low_rank")(fields)
    both = [deep, cross]
    if hp.Boolean("attention"):
        with hp.conditional_scope("attention", [True]):
            both.append(ar.blocks.SelfAttention.tune(hp)(fields))
    return ar.ctr_model(inputs, both)


rec = ar.CTRRecommender(space=build)
rec.search(click_log(rows=20_000), target="click", searcher="greedy", max_trials=4, epochs=2, baselines=False)
print(rec.leaderboard().select("rank", "trial", "val_auc", "values"))
