"""A found graph on another log: trained on Frappe what was found on MovieLens-100K, and back.

For each seed the DAG is searched on both sets by evolution, 40 trials at low fidelity and the best few in full, with
features and recipe fixed, so that the graph alone is found. Then each set's training rows train, at full fidelity and
by the same recipe,

- `own`: the graph found on this set,
- `transferred`: the graph found on the other one,
- `random`: a graph drawn at random,
- `preset`: of the hand-made models at their defaults the one that validation picks.

Each is tested once. Differences are paired by seed; above 0 is better for the transferred graph. The key is the worse
of the two sets.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.automl import Task
from benchmarks.presets import PRESETS
from benchmarks.recipe import standard_errors
from benchmarks.record import Cells, arguments, finish, need_data
from benchmarks.search import FEATURES

METHOD = 1
SETS = {"movielens100k": "frappe", "frappe": "movielens100k"}  # set -> where its transferred graph is from
SEEDS = (0, 1, 2, 3, 4)
TRIALS = 40
RECIPE = {"learning_rate": 1e-3, "table_l2": 1e-5}
RIVALS = ("own", "random", "preset")


class Trainer:
    """A set, and what is searched and trained on it.

    Args:
        name: Name of the set.
        quick: Take a few rows, trials and epochs.
    """

    def __init__(self, name: str, quick: bool) -> None:
        self.name, self.quick = name, quick
        self._task: Task | None = None

    @property
    def task(self) -> Task:
        if self._task is None:
            self._task = Task(self.name, self.quick)
        return self._task

    def search(self, seed: int, trials: int) -> dict[str, Any]:
        """Returns the graph that evolution finds."""
        found = self._learn(_dag(), seed, searcher="evolution", fidelity="auto", max_trials=trials)
        board = found.leaderboard()
        first = board.filter(board["rank"] == 1).row(0, named=True)
        graph = {name: v for name, v in _dag().canonical(found.best_space().values).items() if name.startswith("dag/")}
        return {"graph": graph, "val_auc": round(first["val_auc"], 6), "trials": len(board)}

    def train(self, model: str, seed: int, graph: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Returns validation and test figures of one training.

        Args:
            model: `random`, the name of a preset, or whose graph it is.
            seed: Seed of split and training, and of a random graph.
            graph: The graph's hyperparameters.
        """
        from autorec.spaces import FixedSpace

        if model == "random":
            found = self._learn(_dag(), seed, searcher=_one_random(seed), max_trials=1)
        else:
            space = model if graph is None else FixedSpace(_dag(), graph)
            found = self._learn(space, seed, searcher="greedy", max_trials=1)
        first = found.leaderboard().row(0, named=True)
        test = {f"test_{name}": round(value, 6) for name, value in found.evaluate(self.task.test).items()}
        return {"val_auc": round(first["val_auc"], 6), "parameters": first["parameters"], **test}

    def _learn(self, space: Any, seed: int, **more: Any) -> Any:
        from autorec.training.options import TrainOptions

        more |= {"epochs": 1} if self.quick else {}
        return self.task.recommender().search(
            self.task.train,
            schema=self.task.schema(),
            space=space,
            options=TrainOptions(**RECIPE),
            seed=seed,
            baselines=False,
            progress=False,
            **more,
        )


def _dag() -> Any:
    from autorec.spaces import InteractionDAG

    return InteractionDAG(**FEATURES)


def _one_random(seed: int) -> Any:
    """Returns an oracle whose first trial is a random one, and not the defaults."""
    import keras_tuner as kt

    return kt.oracles.RandomSearchOracle(objective=kt.Objective("val_auc", "max"), max_trials=1, seed=1000 + seed)


def run(cells: Cells, seeds: Sequence[int], quick: bool) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Returns the cells by set and model; `preset` is the one that validation picks for each seed."""
    trainers = {name: Trainer(name, quick) for name in SETS}
    trials = 2 if quick else TRIALS
    found: dict[str, dict[str, list[dict[str, Any]]]] = {
        name: {model: [] for model in ("transferred", *RIVALS)} for name in SETS
    }
    for seed in seeds:
        graphs = {}
        for name, trainer in trainers.items():
            key = {"step": "search", "set": name, "trials": trials}
            graphs[name] = cells.get(key, seed, lambda own=trainer, seed=seed: own.search(seed, trials))["graph"]
        for name, trainer in trainers.items():

            def cell(model: str, graph: Any = None, name: str = name, own: Trainer = trainer, seed: int = seed) -> Any:
                key = {"step": "train", "set": name, "model": model}
                return cells.get(key, seed, lambda: own.train(model, seed, graph))

            found[name]["own"].append(cell("own", graphs[name]))
            found[name]["transferred"].append(cell("transferred", graphs[SETS[name]]))
            found[name]["random"].append(cell("random"))
            presets = {preset: cell(preset) for preset in (PRESETS[:2] if quick else PRESETS)}
            best = max(presets, key=lambda preset: presets[preset]["val_auc"])
            found[name]["preset"].append({**presets[best], "preset": best})
    return found


def figures_of(found: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
    """Returns the figures."""
    figures: dict[str, Any] = {}
    for name, models in found.items():
        for model, rows in models.items():
            for metric in ("test_auc", "test_log_loss"):
                figures[f"{name}/{model}_{metric}"] = round(statistics.mean(row[metric] for row in rows), 6)
        for rival in RIVALS:
            both = zip(models["transferred"], models[rival])
            gains = [one["test_auc"] - other["test_auc"] for one, other in both]
            figures[f"{name}/transferred_minus_{rival}_auc"] = round(statistics.mean(gains), 6)
            figures[f"{name}/transferred_over_{rival}_se"] = round(standard_errors(gains), 4)
        figures[f"{name}/presets_picked"] = [row["preset"] for row in models["preset"]]
    for rival, words in (("random", "random_dag"), ("own", "own_winner"), ("preset", "best_preset")):
        each = [figures[f"{name}/transferred_minus_{rival}_auc"] for name in found]
        figures[f"transferred_minus_{words}_auc"] = min(each)
    return figures


def main() -> None:
    options = arguments(__doc__ or "")
    need_data()
    cells = Cells("transfer", METHOD, options.quick)
    seeds = SEEDS[:2] if options.quick else SEEDS
    figures = figures_of(run(cells, seeds, options.quick))
    finish("transfer", figures, options.quick, seeds=list(seeds), trials=TRIALS, recipe=RECIPE)


if __name__ == "__main__":
    main()
