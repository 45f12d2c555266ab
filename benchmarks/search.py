"""Searchers compared: on the table of `architectures` in seconds, and live on the whole DAG space.

On the table (MovieLens-100K, 283 graphs, the mean validation log loss of two full trainings) a trial is a look-up.
Regret is the least loss found so far minus the least of the table; the top 1% are its best three graphs. Random, greedy
and evolution run with 50 seeds, KerasTuner's Bayesian search with 10 and 50 trials; `random_distinct` draws graphs
without replacement, which no searcher of hyperparameters does. A search that begins with the defaults begins with the
graph without blocks. A search that has not reached the top 1% within its trials counts as one trial more.

Live, the DAG of seven blocks is searched on Frappe and MovieLens-100K, 60 trials at low fidelity, 5 seeds: 20,000 rows,
fields of width 8, 5 epochs, one recipe, features at their defaults, so that the graph alone is searched. All searches
of a set have the same split, and begin with the default graph.

Each training runs on one thread: `--part 0/2` and `--part 1/2` side by side use two cores and give the same cells.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.architecture_table import NAME as TABLE
from benchmarks.architecture_table import Table, hyperparameters, name_of, space
from benchmarks.architectures import ONE_THREAD, SEEDS, share_of
from benchmarks.recipe import standard_errors
from benchmarks.record import Cells, arguments, finish, need_data

METHOD = 1
SET = "movielens100k"
OBJECTIVE = "val_log_loss"
TOP = 0.01
POINTS = (1, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100)
#: Searcher -> seeds and trials.
SEARCHERS = {
    "random": (50, 300),
    "random_distinct": (50, 283),
    "greedy": (50, 100),
    "bayesian": (10, 50),
    "keras_tuner_bayesian": (10, 50),
    "evolution": (50, 100),
    "evolution_ranker": (50, 100),
}
LIVE_SETS = ("frappe", "movielens100k")
LIVE_SEARCHERS = ("random", "evolution")
LIVE_SEEDS = (0, 1, 2, 3, 4)
LIVE_TRIALS = 60
LIVE_POINTS = (20, 40, 60)
LOW = {"rows": 20_000, "epochs": 5, "dim": 8}
RECIPE = {"learning_rate": 1e-3, "table_l2": 1e-5, "plateau": False, "patience": 1}
FEATURES: dict[str, Any] = {
    "dim": 16,
    "numbers": "log",
    "number_embedding": "piecewise",
    "pooling": "mean",
    "cap": 0,
    "statistics": True,
    "pairs": True,
}


# On the table


def oracle_of(searcher: str, seed: int, known: Any) -> Any:
    """Returns an oracle by our name for it.

    Args:
        searcher: A name of `SEARCHERS`.
        seed: Its seed.
        known: The hyperparameters of the space.
    """
    import keras_tuner as kt

    from autorec.searchers.oracles import get_oracle, spread

    objective = kt.Objective(OBJECTIVE, "min")
    own: dict[str, Any] = {"objective": objective, "seed": spread(seed), "hyperparameters": known}
    if searcher == "keras_tuner_bayesian":
        return get_oracle(kt.oracles.BayesianOptimizationOracle(max_trials=None, **own), objective=objective)
    if searcher.startswith("evolution"):
        from autorec.searchers.evolution import Evolution

        ranker = "auto" if searcher.endswith("ranker") else None
        return get_oracle(Evolution(ranker=ranker, canonical=space().canonical, **own), objective=objective)
    return get_oracle(searcher, objective=objective, seed=seed, hyperparameters=known)


def look_up(oracle: Any, losses: Mapping[str, float], operations: Mapping[str, int], trials: int) -> list[float]:
    """Returns the least loss after each trial of an oracle, up to the table's least one."""
    from autorec.searchers.replay import ReplayedOracle

    asked = ReplayedOracle(oracle)
    found: list[float] = []
    least = min(losses.values())
    for number in range(trials):
        event = asked.ask()
        if event is None:
            break
        graph = name_of(event["values"])
        answer = {"status": "completed", "score": losses[graph], "operations": operations[graph], "space": []}
        asked.tell({**event, "event": "finished", "number": number, **answer})
        found.append(min([losses[graph], *found[-1:]]))
        if found[-1] == least:
            break
    return found


def distinct(losses: Mapping[str, float], seed: int) -> list[float]:
    """Returns the least loss after each of all graphs in a random order."""
    order = np.random.default_rng(seed).permutation(list(losses.values()))
    return [float(loss) for loss in np.minimum.accumulate(order)]


def top_of(losses: Mapping[str, float]) -> float:
    """Returns the loss that the best 1% of graphs do not exceed."""
    ranked = sorted(losses.values())
    return ranked[max(1, round(TOP * len(ranked))) - 1]


def on_table(searcher: str, seed: int, trials: int, table: Table, known: Any) -> dict[str, Any]:
    """Returns regrets and the number of trials to the top of a search of the table."""
    losses = table.losses(SET, "full", SEEDS["full"])
    if searcher == "random_distinct":
        found = distinct(losses, seed)
    else:
        found = look_up(oracle_of(searcher, seed, known), losses, table.operations(SET), trials)
    least, top = min(losses.values()), top_of(losses)
    regrets = [round(found[min(point, len(found)) - 1] - least, 7) for point in POINTS if point <= trials]
    reached = next((number for number, loss in enumerate(found, start=1) if loss <= top), trials + 1)
    return {"regrets": regrets, "to_top": reached, "trials": len(found)}


def table_figures(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Returns the figures of the searches of the table by searcher."""
    figures: dict[str, Any] = {}
    for searcher, rows in found.items():
        figures[f"table/{searcher}/median_trials_to_top_1_percent"] = statistics.median(row["to_top"] for row in rows)
        curves = zip(*(row["regrets"] for row in rows))
        for point, regrets in zip(POINTS, curves):
            figures[f"table/{searcher}/regret_at_{point}"] = round(statistics.mean(regrets), 7)
    ours = figures["table/evolution_ranker/median_trials_to_top_1_percent"]
    for other in ("random", "random_distinct"):
        theirs = figures[f"table/{other}/median_trials_to_top_1_percent"]
        figures[f"trials_to_top_1_percent_over_{other}"] = round(ours / theirs, 4)
    for key, other in (("bayesian", "keras_tuner_bayesian"), ("own_bayesian", "bayesian")):
        theirs = figures[f"table/{other}/regret_at_50"]
        name = f"regret_over_{key}_at_50"
        figures[name] = round(figures["table/evolution_ranker/regret_at_50"] / theirs, 4) if theirs else None
        if not theirs:
            figures[f"{name}_reason"] = "the Bayesian searches all found the best graph"
    return figures


# Live


class Live:
    """A set, encoded at the first search.

    Args:
        name: Name of the set.
        folder: Where caches and runs go.
        quick: Take a few rows only.
    """

    def __init__(self, name: str, folder: Path, quick: bool) -> None:
        self.name, self.folder, self.quick = name, folder, quick
        self.cache: Any = None

    def open(self) -> None:
        from autorec.data.encode import encode
        from autorec.data.table import as_source
        from benchmarks.presets import schema_of, sets

        if self.cache is not None:
            return
        load, roles = sets()[self.name]
        train, _, target, _ = load()
        train = train[:3000] if self.quick else train
        self.cache = encode(as_source(train), schema_of(self.name, train, target, roles), self.folder / self.name)

    def search(self, searcher: str, seed: int, trials: int) -> dict[str, Any]:
        """Returns the scores of a search by trial."""
        from autorec.run import Run
        from autorec.searchers.runner import search
        from autorec.training.fidelity import PREFIX

        self.open()
        with tempfile.TemporaryDirectory(dir=self.folder) as folder, Run(folder) as run:
            trainer, dag = self._trainer(run, seed)

            def evaluate(job: Any) -> Mapping[str, Any]:
                found: Mapping[str, Any] = trainer(dataclasses.replace(job, epochs=LOW["epochs"], fidelity=LOW))
                return found

            search(
                run,
                oracle=_live_oracle(searcher, seed, dag, self.cache.layout),
                space_build=trainer.declare,
                evaluate=evaluate,
                max_trials=trials,
                seed=seed,
                keep=1,
            )
            rows = run.trials()
        names = [name for row in rows for name in row["values"] if name.startswith(PREFIX)]
        if names:
            raise RuntimeError(f"the searcher set a fidelity of its own: {names}")
        scores = [None if row["score"] is None else round(row["score"], 6) for row in rows]
        return {"scores": scores, "failed": sum(score is None for score in scores)}

    def _trainer(self, run: Any, seed: int) -> tuple[Any, Any]:
        from autorec.searchers.trial import TrialTrainer
        from autorec.spaces import InteractionDAG
        from autorec.training.options import TrainOptions
        from autorec.training.trainer import default_batch_size

        dag = InteractionDAG(**FEATURES)
        trainer = TrialTrainer(
            run=run,
            train=self.cache.train,
            validation=self.cache.validation,
            layout=self.cache.layout,
            space=dag,
            options=TrainOptions(**RECIPE),
            objective=OBJECTIVE,
            batch_size=default_batch_size(min(LOW["rows"], self.cache.train.rows)),
            epochs=LOW["epochs"],
        )
        return trainer, dag


def _live_oracle(searcher: str, seed: int, dag: Any, layout: Any) -> Any:
    import keras_tuner as kt

    from autorec.searchers.evolution import Evolution
    from autorec.searchers.oracles import get_oracle, spread

    objective = kt.Objective(OBJECTIVE, "min")
    if searcher == "evolution":
        return get_oracle(
            Evolution(objective=objective, seed=spread(seed), canonical=partial(dag.canonical, layout=layout)),
            objective=objective,
        )
    return get_oracle(searcher, objective=objective, seed=seed)


def least_after(row: Mapping[str, Any], trials: int) -> float:
    """Returns the least loss of the first trials of a search."""
    return float(min(score for score in row["scores"][:trials] if score is not None))


def live_figures(found: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
    """Returns the figures of the live searches; of differences, above 0 is better for evolution."""
    figures: dict[str, Any] = {}
    for name, by_searcher in found.items():
        for point in LIVE_POINTS:
            losses = {searcher: [least_after(row, point) for row in rows] for searcher, rows in by_searcher.items()}
            for searcher, each in losses.items():
                figures[f"live/{name}/{searcher}_loss_at_{point}"] = round(statistics.mean(each), 6)
            gains = [random - ours for random, ours in zip(losses["random"], losses["evolution"])]
            figures[f"live/{name}/loss_minus_random_at_{point}_se"] = standard_errors(gains)
    for point in LIVE_POINTS:
        each = [figures[f"live/{name}/loss_minus_random_at_{point}_se"] for name in found]
        figures[f"live_loss_minus_random_at_{point}_se"] = min(each)
    return figures


def jobs(quick: bool) -> list[tuple[dict[str, Any], int]]:
    """Returns configuration and seed of every cell."""
    found: list[tuple[dict[str, Any], int]] = []
    for searcher, (seeds, trials) in SEARCHERS.items():
        shown = {"part": "table", "searcher": searcher, "trials": min(trials, 50) if quick else trials}
        found += [(shown, seed) for seed in range(2 if quick else seeds)]
    for seed in LIVE_SEEDS[:2] if quick else LIVE_SEEDS:
        for name in LIVE_SETS:
            for searcher in LIVE_SEARCHERS:
                trials = 3 if quick else LIVE_TRIALS
                found.append(({"part": "live", "set": name, "searcher": searcher, "trials": trials}, seed))
    return found


def main() -> None:
    options = arguments(
        __doc__ or "",
        part={"default": None, "help": "such as 0/2: every second cell, no record"},
        only={"default": None, "choices": ("table", "live"), "help": "only these cells, no record"},
    )
    need_data()
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    table = Table()
    if options.only != "live" and not table.losses(SET, "full", SEEDS["full"]):
        sys.exit(f"this benchmark searches the record of another one: run `python -m benchmarks.{TABLE}` first")
    cells = Cells("search", METHOD, options.quick)
    number, count = share_of(options.part)
    chosen = [job for job in jobs(options.quick) if options.only in (None, job[0]["part"])][number::count]
    found: dict[str, Any] = {"table": {}, "live": {name: {} for name in LIVE_SETS}}
    with tempfile.TemporaryDirectory() as folder:
        known = hyperparameters()
        live = {name: Live(name, Path(folder), options.quick) for name in LIVE_SETS}
        for job, seed in chosen:

            def measure(job: Mapping[str, Any] = job, seed: int = seed) -> dict[str, Any]:
                if job["part"] == "table":
                    return on_table(job["searcher"], seed, job["trials"], table, known)
                return live[job["set"]].search(job["searcher"], seed, job["trials"])

            rows = found["table"] if job["part"] == "table" else found["live"][job["set"]]
            rows.setdefault(job["searcher"], []).append(cells.get(job, seed, measure))
    if options.part is None and options.only is None:
        figures = {**table_figures(found["table"]), **live_figures(found["live"])}
        finish("search", figures, options.quick, searchers=SEARCHERS, low=LOW, recipe=RECIPE)


if __name__ == "__main__":
    main()
