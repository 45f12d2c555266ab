"""Residual DCN as a preset, as a block of one's own space, and inside the unified model that also reads histories.

Run: python examples/residual_dcn.py
"""

import autorec as ar
from autorec.data.demo import click_log
from autorec.spaces import LiRank

log = click_log(rows=12_000, history=20)
train, test = (part.frame() for part in log.split(0.25))

# The history holds items: it shares their ids and table rows, so that past items and the item at hand meet.
schema = ar.Schema.infer(train, target="click", user="user", item="item", time="time")
schema["history"].kind, schema["history"].vocabulary = "sequence", "item"


def build(hp):
    inputs, fields = ar.inputs(hp, dim=16)
    cross = ar.blocks.ResidualCross.tune(hp, rank=16)(fields)  # a given argument is fixed, the rest is searched
    deep = ar.blocks.GatedMLP.tune(hp, units=64, layers=2)(fields)
    return ar.ctr_model(inputs, [cross, deep])


spaces = {"residual_dcn": "residual_dcn", "own": build, "lirank": LiRank(units=128, calibrate_by=["device"])}
for name, space in spaces.items():
    rec = ar.CTRRecommender(space)
    rec.fit(train, schema=schema, epochs=4, progress=False)
    print(name, {metric: round(value, 4) for metric, value in rec.evaluate(test).items()})
print(f"the best possible AUC is {log.bayes_auc('click'):.4f}")
