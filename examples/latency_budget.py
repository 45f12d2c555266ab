"""A search under limits of size and latency, and what it found between accuracy and speed.

Run: python examples/latency_budget.py
"""

import autorec as ar
from autorec.data.demo import click_log
from autorec.spaces import InteractionDAG

rec = ar.CTRRecommender(space=InteractionDAG(blocks=3, units=(16, 64, 256)))
rec.search(
    click_log(rows=20_000),
    target="click",
    max_trials=8,
    epochs=2,
    max_model_size="1MB",  # of the weights; a larger model fails before it is trained, and is no trial that counts
    max_latency=20.0,  # milliseconds for one row, measured
    objective=["val_auc", "latency"],  # the first one ranks
    baselines=False,
)
board = rec.leaderboard()
print(board.select("rank", "pareto", "trial", "val_auc", "latency", "model_size", "operations"))
print("nothing found is both better and faster than one of these:")
print(board.filter(board["pareto"]).sort("latency").select("trial", "val_auc", "latency"))
