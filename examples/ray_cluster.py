"""Trials on a Ray cluster; without one the search begins a Ray on this machine.

Run: python examples/ray_cluster.py [ADDRESS]
"""

import sys

import autorec as ar
from autorec.data.demo import click_log
from autorec.searchers.ray_cluster import RayCluster

address = sys.argv[1] if len(sys.argv) > 1 else "local"
rec = ar.CTRRecommender(space="deepfm")
rec.search(
    click_log(rows=5_000),
    target="click",
    searcher="random",
    max_trials=3,
    epochs=1,
    baselines=False,
    workers=2,
    executor=RayCluster(address, cpus=1),
)
print(rec.leaderboard().select("rank", "trial", "val_auc", "seconds"))
