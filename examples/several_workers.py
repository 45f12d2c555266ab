"""Two processes train each model of a search together; on a cluster each machine runs `worker` with its own TF_CONFIG.

Run: python examples/several_workers.py
"""

import json
import os
import socket
import subprocess
import sys

import autorec as ar
from autorec.data.demo import click_log


def worker(index):
    rec = ar.CTRRecommender(space="dcnv2", options=ar.TrainOptions(strategy="multi_worker"))
    rec.search(click_log(rows=10_000), target="click", max_trials=2, epochs=2, baselines=False, progress=index == 0)
    if index == 0:  # the chief, which alone writes the run directory
        print(rec.leaderboard().select("rank", "trial", "val_auc", "seconds"))


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


if "TF_CONFIG" in os.environ:
    worker(json.loads(os.environ["TF_CONFIG"])["task"]["index"])
else:
    cluster = {"worker": [free_address(), free_address()]}
    configs = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(2)]
    command = [sys.executable, __file__]
    workers = [subprocess.Popen(command, env={**os.environ, "TF_CONFIG": config}) for config in configs]
    sys.exit(max(process.wait() for process in workers))
