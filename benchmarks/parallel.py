"""Trials in parallel: how many an hour, on Ray too, and whether memory is given back.

A random search of the demo log, whose trials are the same in each mode but for the number of threads:

both    one trial at a time, in the process of the search, on both cores
pinned  the same, kept to one core
two     two workers, each kept to a core
ray     two workers on a Ray of two cores that is begun for the search

Each run is a process of its own, and modes take turns. Seconds count from the first trial to the end of the search, the
start of worker processes among them. Memory is the sum over all processes, sampled during a search of small trials.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

import psutil

from benchmarks.record import Cells, arguments, finish

METHOD = 1
MODES = ("both", "pinned", "two", "ray")
ROWS, TRIALS, EPOCHS, RUNS = 100_000, 24, 3, 3
SMALL_ROWS, SMALL_TRIALS = 5_000, 100
FEW = 10


class Memory:
    """Samples the memory of this process and those it has begun; the most by number of finished trials."""

    def __init__(self) -> None:
        self.most: dict[int, int] = {}
        self.finished = 0
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        me = psutil.Process()
        while True:
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.most[self.finished] = max(self.most.get(self.finished, 0), total)
            time.sleep(0.1)

    def until(self, trials: int) -> int:
        """Returns the most until so many trials had finished."""
        return max(total for finished, total in self.most.items() if finished <= trials)


def work(mode: str, rows: int, trials: int, epochs: int) -> None:
    """Runs a search; the last line of its output says how long the trials took, and what came of them."""
    if mode == "pinned":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from autorec.data.demo import click_log
    from autorec.recommender import CTRRecommender
    from autorec.searchers.ray_cluster import RayCluster

    begun: list[float] = []
    memory = Memory()

    def listen(event: dict[str, Any]) -> None:
        if event["event"] == "trial_started" and not begun:
            begun.append(time.perf_counter())
        memory.finished += event["event"] == "trial_finished"

    where = {"two": {"workers": 2}, "memory": {"workers": 2}, "ray": {"workers": 2, "executor": RayCluster("local")}}
    recommender = CTRRecommender(space="dag" if mode == "memory" else "dcnv2")
    recommender.search(
        click_log(rows=rows),
        target="click",
        searcher="random",
        max_trials=trials,
        epochs=epochs,
        baselines=False,
        seed=1,
        progress=listen,
        **where.get(mode, {}),
    )
    seconds = time.perf_counter() - begun[0]
    board = recommender.leaderboard().filter(rank=1)
    found = {
        "seconds": round(seconds, 2),
        "trials": trials,
        "winner": int(board["trial"][0]),
        "score": float(board["val_auc"][0]),
        "megabytes_of_few": memory.until(FEW) // 10**6,
        "megabytes": memory.until(trials) // 10**6,
    }
    print(json.dumps(found))


def measure(mode: str, rows: int, trials: int, epochs: int) -> dict[str, Any]:
    """Returns what a search in a process of its own came to."""
    command = [sys.executable, "-m", "benchmarks.parallel", "--work", f"{mode},{rows},{trials},{epochs}"]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if mode == "pinned":
        quiet |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=quiet)
        errors.seek(0)
        if done.returncode:
            raise RuntimeError(f"{mode} failed: {errors.read()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def figures_of(found: dict[str, list[dict[str, Any]]], memory: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures: medians over the runs of ratios within a run."""

    def ratio(slower: str, faster: str) -> float:
        pairs = zip(found[slower], found[faster])
        return round(statistics.median(slow["seconds"] / fast["seconds"] for slow, fast in pairs), 3)

    figures: dict[str, Any] = {
        "two_workers_over_one_using_both_cores": ratio("both", "two"),
        "two_workers_over_one_pinned": ratio("pinned", "two"),
        "ray_over_workers_seconds": ratio("ray", "two"),
        "memory_100_trials_over_10": round(memory["megabytes"] / memory["megabytes_of_few"], 3),
        "megabytes_of_10_trials": memory["megabytes_of_few"],
        "same_winner_as_one_pinned": all(
            (two["winner"], two["score"]) == (one["winner"], one["score"])
            for two, one in zip(found["two"], found["pinned"])
        ),
    }
    for mode, rows in found.items():
        hours = statistics.median(row["seconds"] for row in rows) / 3600
        figures[f"trials_an_hour_{mode}"] = round(rows[0]["trials"] / hours)
    return figures


def main() -> None:
    options = arguments(__doc__ or "", work={"default": None, "help": "MODE,ROWS,TRIALS,EPOCHS (for the benchmark)"})
    if options.work:
        mode, *sizes = options.work.split(",")
        work(mode, *map(int, sizes))
        return
    cells = Cells("parallel", METHOD, options.quick)
    rows, trials, epochs, runs = (20_000, 4, 1, 1) if options.quick else (ROWS, TRIALS, EPOCHS, RUNS)
    found: dict[str, list[dict[str, Any]]] = {mode: [] for mode in MODES}
    for run in range(1, runs + 1):
        for mode in MODES:
            key = {"mode": mode, "rows": rows, "trials": trials, "epochs": epochs}
            found[mode].append(cells.get(key, 1, lambda mode=mode: measure(mode, rows, trials, epochs), run))
    small = 14 if options.quick else SMALL_TRIALS
    key = {"mode": "memory", "rows": SMALL_ROWS, "trials": small, "epochs": 1}
    memory = cells.get(key, 1, lambda: measure("memory", SMALL_ROWS, small, 1))
    finish("parallel", figures_of(found, memory), options.quick, rows=rows, trials=trials, epochs=epochs, runs=runs)


if __name__ == "__main__":
    main()
