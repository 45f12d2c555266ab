"""What a search spends outside of training steps, where a trial takes 15 seconds, and 5.

The demo log is searched (evolution on the DAG space, no baselines) by trials of which each ends when its time is up:
a `TimeLimit` callback, and a patience that never runs out. Inside are the calls that run compiled training steps,
timed around each. The first call of a trial traces and compiles its function before its steps, so only its steps count,
at the pace of the trial's later calls. All else that `search` does is outside: reading and encoding the log, the
searcher and its ranker, the journal, building models, tracing, validation behind each epoch, saving.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from benchmarks.record import Cells, arguments, finish

METHOD = 1
ROWS = 400_000
SECONDS = (15, 5)
TRIALS = 24
RUNS = 2
EPOCHS = 1000


class Steps:
    """The time inside training steps, of all trainings while `counted` is on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.done = 0
        self.tracing = 0.0
        self._cold: list[tuple[Any, float, int]] = []

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Times each call of compiled steps."""
        from autorec.training.stepper import Stepper

        original = Stepper._timed

        def timed(stepper: Any, iterator: Any, count: int) -> Any:
            warm, begin = stepper._warm, time.perf_counter()
            logs = original(stepper, iterator, count)
            took = time.perf_counter() - begin
            self.done += count
            if warm:
                self.seconds += took
            else:
                self._cold.append((stepper, took, count))
            return logs

        with mock.patch.object(Stepper, "_timed", timed):
            yield
        for stepper, took, count in self._cold:
            steps = count * (stepper.seconds_a_step or 0.0)
            self.seconds += min(steps, took)
            self.tracing += took - min(steps, took)


def measure(seconds: int, trials: int, rows: int, seed: int) -> dict[str, Any]:
    """Returns where the time of a search went."""
    from autorec.data.demo import click_log
    from autorec.recommender import CTRRecommender
    from autorec.training.callbacks import TimeLimit
    from autorec.training.options import TrainOptions

    log = click_log(rows=rows)
    events: dict[str, float] = {}

    def listen(event: dict[str, Any]) -> None:
        events.setdefault(event["event"], time.perf_counter())

    recommender, steps, begin = CTRRecommender(), Steps(), time.perf_counter()
    with steps.counted():
        recommender.search(
            log,
            target="click",
            space="dag",
            searcher="evolution",
            max_trials=trials,
            epochs=EPOCHS,
            options=TrainOptions(patience=EPOCHS),
            callbacks=[TimeLimit(seconds)],
            baselines=False,
            seed=seed,
            progress=listen,
        )
    whole = time.perf_counter() - begin
    board = recommender.leaderboard()
    done = board.filter(board["status"].str.starts_with("completed"))
    return {
        "search": round(whole, 2),
        "inside": round(steps.seconds, 2),
        "tracing": round(steps.tracing, 2),
        "before_trials": round(events["trial_started"] - begin, 2),
        "trials": round(float(board["seconds"].sum()), 2),
        "a_trial": round(float(board["seconds"].mean()), 2),
        "completed": len(done),
        "steps": steps.done,
        "share": round(1 - steps.seconds / whole, 4),
    }


def figures_of(found: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """Returns the figures: medians over the runs."""
    figures: dict[str, Any] = {}
    for seconds, rows in found.items():
        key = f"at_{seconds}s"
        figures[f"share_outside_training_{key}"] = statistics.median(row["share"] for row in rows)
        parts = {
            "before_trials": [row["before_trials"] / row["search"] for row in rows],
            "between_trials": [1 - (row["before_trials"] + row["trials"]) / row["search"] for row in rows],
            "tracing": [row["tracing"] / row["search"] for row in rows],
            "validation_building_saving": [
                (row["trials"] - row["inside"] - row["tracing"]) / row["search"] for row in rows
            ],
        }
        for part, shares in parts.items():
            figures[f"share_{part}_{key}"] = round(statistics.median(shares), 4)
        figures[f"seconds_a_trial_{key}"] = statistics.median(row["a_trial"] for row in rows)
        figures[f"completed_trials_{key}"] = statistics.median(row["completed"] for row in rows)
    return figures


def main() -> None:
    options = arguments(__doc__ or "")
    cells = Cells("search_overhead", METHOD, options.quick)
    rows, trials = (50_000, 2) if options.quick else (ROWS, TRIALS)
    found: dict[int, list[dict[str, Any]]] = {seconds: [] for seconds in SECONDS}
    for run in range(1, 2 if options.quick else RUNS + 1):
        for seconds in SECONDS:
            key = {"seconds": seconds, "trials": trials, "rows": rows}
            cell = cells.get(key, run, lambda s=seconds, seed=run: measure(s, trials, rows, seed), run)
            found[seconds].append(cell)
    finish("search_overhead", figures_of(found), options.quick, trials=trials, rows=rows)


if __name__ == "__main__":
    main()
