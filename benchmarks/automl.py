"""The whole product in five minutes on two cores, beside random search, tuned presets and LightGBM, on six real logs.

Each cell is one search of `--seconds` in a fresh process, through the public interface alone, and its model's figures
on the test rows, which nothing else looks at:

- `best`: `search(effort="best")`, tested as exported and loaded from the one folder; beside it its best trial alone;
- `evolution`, `random`: the same space with one searcher, every trial in full;
- `presets`: the hand-made models, each searched at random for an equal share of the time; validation picks. The rows
  are encoded once as far as the time goes: what a share spends on it again it gets on top;
- `lightgbm_<leaves>`: three sizes of trees, early stopping, no limit of time; validation picks for each seed.

A seed is that of split, search and trials. What a search finds in five minutes depends on the machine, so the cells of
a task and seed are measured on one, one after the other; each keeps how fast it was (`gflops`). Differences are paired
by seed, AUC for clicks and RMSE for ratings; above 0 is better for the product, but for
`movielens100k_rating_rmse_minus_lightgbm`, which is plain.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.presets import PAIRED, PRESETS, schema_of
from benchmarks.recipe import standard_errors
from benchmarks.record import Cells, alone, arguments, finish, need_data

METHOD = 3
SEEDS = (0, 1, 2)
SECONDS = 300.0
SPACE = "dag"
OURS: dict[str, dict[str, Any]] = {
    "best": {"effort": "best"},
    "evolution": {"space": SPACE, "searcher": "evolution"},
    "random": {"space": SPACE, "searcher": "random"},
}
LEAVES = (7, 31, 127)
LIGHTGBM = tuple(f"lightgbm_{leaves}" for leaves in LEAVES)
METHODS = (*OURS, "presets", *LIGHTGBM)
QUICK_ROWS, QUICK_SECONDS = 1000, 60.0
QUICK: dict[str, Any] = {"max_trials": 1, "epochs": 1}

Data = tuple[Any, Any, str, str]


def tasks() -> dict[str, tuple[Callable[[], Data], dict[str, str]]]:
    """Returns for each task its loader and the roles of its columns."""
    from benchmarks import presets, recipe

    known = presets.sets()
    names = ("frappe", "movielens100k", "movielens100k_rating", "adult", "criteo10k")
    return {**{name: known[name] for name in names}, "demo": recipe.sets()["demo"]}


def metric_of(task: str) -> tuple[str, float]:
    """Returns the metric of a task, and 1 if more of it is better, else -1."""
    return ("rmse", -1.0) if task.endswith("rating") else ("auc", 1.0)


class Task:
    """The rows of a task and their schema.

    Args:
        name: Name of the task.
        quick: Take a few rows only.
    """

    def __init__(self, name: str, quick: bool) -> None:
        load, self.roles = tasks()[name]
        self.name, self.quick = name, quick
        self.train, self.test, self.target, self.kind = load()
        if quick:
            self.train, self.test = self.train[:QUICK_ROWS], self.test[:QUICK_ROWS]

    def schema(self) -> Any:
        return schema_of(self.name, self.train, self.target, self.roles)

    def recommender(self) -> Any:
        import autorec as ar

        return ar.CTRRecommender() if self.kind == "ctr" else ar.RatingRecommender()

    def measure(self, method: str, seed: int, seconds: float) -> dict[str, Any]:
        """Returns validation and test figures of a method."""
        if method in OURS:
            return self._product(method, seed, seconds)
        if method == "presets":
            return self._presets(seed, seconds)
        return self._lightgbm(int(method.rpartition("_")[2]), seed)

    def _product(self, method: str, seed: int, seconds: float) -> dict[str, Any]:
        recommender, begin = self.recommender(), time.perf_counter()
        more = {**OURS[method], **(QUICK if self.quick else {})}
        recommender.search(self.train, schema=self.schema(), time_limit=seconds, seed=seed, progress=False, **more)
        took = time.perf_counter() - begin
        tested = self._shipped(recommender) if method == "best" else _figures("test", recommender.evaluate(self.test))
        return {**_of_board(recommender), **tested, "took": round(took, 2)}

    def _shipped(self, recommender: Any) -> dict[str, Any]:
        """Exports, loads and tests the model; returns its figures, its best trial's, and what it is made of."""
        import autorec as ar
        from autorec.loading import load_run
        from autorec.run import Run

        with tempfile.TemporaryDirectory() as folder:
            model = ar.load(recommender.export(Path(folder) / "model"))
            shipped = model.evaluate(self.test)
            size = sum(path.stat().st_size for path in Path(folder).rglob("model.keras"))
        run, told = Run(recommender.directory_, read_only=True), recommender.ensemble_
        first = next(row["number"] for row in run.leaderboard() if row["rank"] == 1)
        single = load_run(recommender.directory_, first).evaluate(self.test)
        return {
            **_figures("test", shipped),
            **_figures("single", single),
            "members": 1 if told is None else len(told["members"]),
            "networks": len(model.card["networks"] or ()),
            "pruning": None if told is None else told["pruning"],
            "disagreement": None if told is None else round(told["diversity"]["disagreement"], 4),
            "ensemble_seconds": None if told is None else told["seconds"],
            "megabytes": round(size / 1e6, 3),
        }

    def _presets(self, seed: int, seconds: float) -> dict[str, Any]:
        # Those of user and item alone are for logs that have nothing else.
        names = [*PRESETS, *(PAIRED if len(self.schema()) == 2 else ())][: 2 if self.quick else None]
        name, sign = metric_of(self.name)
        encoding: list[float] = []

        def listen(event: Mapping[str, Any]) -> None:
            if event["event"] == "encoded":
                encoding.append(event["seconds"])

        found: dict[str, Any] = {}
        begin = time.perf_counter()
        for preset in names:
            recommender = self.recommender()
            recommender.search(
                self.train,
                schema=self.schema(),
                space=preset,
                searcher="random",
                time_limit=seconds / len(names) + (encoding[0] if encoding else 0.0),
                seed=seed,
                baselines=False,
                progress=listen,
                **(QUICK if self.quick else {}),
            )
            board = _of_board(recommender)
            if not found or sign * board[f"val_{name}"] > sign * found[f"val_{name}"]:
                found, best = {**board, "preset": preset}, recommender
        return {**found, **_figures("test", best.evaluate(self.test)), "took": round(time.perf_counter() - begin, 2)}

    def _lightgbm(self, leaves: int, seed: int) -> dict[str, Any]:
        """Trains LightGBM on the same columns: categories where the schema says so, early stopping on a tenth."""
        import lightgbm

        from autorec.training.metrics import evaluate

        x, z = self._matrices()
        y = self.train[self.target].to_numpy(float)
        order = np.random.default_rng(seed).permutation(len(y))
        held, kept = order[: len(order) // 10], order[len(order) // 10 :]
        objective, metric = ("binary", "auc") if self.kind == "ctr" else ("regression", "rmse")
        settings = {"objective": objective, "metric": metric, "learning_rate": 0.05, "num_leaves": leaves}
        rows = lightgbm.Dataset(x.iloc[kept], y[kept])
        stops = [lightgbm.early_stopping(50, verbose=False)]
        more = {"seed": seed, "verbosity": -1, "num_threads": os.cpu_count()}
        valid = rows.create_valid(x.iloc[held], y[held])
        rounds = 20 if self.quick else 3000
        begin = time.perf_counter()
        model = lightgbm.train({**settings, **more}, rows, rounds, valid_sets=[valid], callbacks=stops)
        took = time.perf_counter() - begin
        task = "binary" if self.kind == "ctr" else "real"
        validation = evaluate(y[held], model.predict(x.iloc[held]), task)
        test = evaluate(self.test[self.target].to_numpy(float), model.predict(z), task)
        return {
            **_figures("val", validation),
            **_figures("test", test),
            "rounds": model.best_iteration,
            "took": round(took, 2),
        }

    def _matrices(self) -> tuple[Any, Any]:
        import pandas as pd

        schema = self.schema()
        joined = pd.concat([self.train, self.test], ignore_index=True).drop(columns=[self.target])
        for name in joined.columns:
            if name in schema and schema[name].kind in ("categorical", "bag"):
                joined[name] = joined[name].astype("category")
            elif pd.api.types.is_datetime64_any_dtype(joined[name]):
                joined[name] = joined[name].astype("int64") / 1e9
        return joined[: len(self.train)], joined[len(self.train) :]


def _of_board(recommender: Any) -> dict[str, Any]:
    """Returns what the leaderboard says of the winner, and how many trials there were."""
    board = recommender.leaderboard()
    trials = board.filter(board["kind"] == "trial")
    first = board.filter(board["rank"] == 1).row(0, named=True)
    found = {name: round(value, 6) for name, value in first.items() if name.startswith("val_") and value is not None}
    failed = int((trials["status"] == "failed").sum())
    return {**found, "trials": len(trials), "failed": failed, "parameters": first["parameters"]}


def _figures(part: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": round(float(value), 6) for name, value in metrics.items()}


def run(
    names: Sequence[str], methods: Sequence[str], seeds: Sequence[int], seconds: float, cells: Cells, quick: bool
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Returns the cells by task and method; those of a seed are measured one behind the other."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {name: {method: [] for method in methods} for name in names}
    for seed in seeds:
        for name in names:
            loaded = Task(name, quick) if quick else None
            for method in methods:

                def measure(name: str = name, method: str = method, seed: int = seed, own: Any = loaded) -> Any:
                    if own is not None:
                        return own.measure(method, seed, seconds)
                    return alone("automl", task=name, method=method, seed=seed, seconds=seconds)

                key = {"task": name, "method": method, "seconds": None if method in LIGHTGBM else seconds}
                found[name][method].append(cells.get(key, seed, measure))
    return found


def picked(task: str, methods: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """Returns for each seed LightGBM of the size that validation picks."""
    name, sign = metric_of(task)
    return [max(rows, key=lambda row: sign * row[f"val_{name}"]) for rows in zip(*(methods[size] for size in LIGHTGBM))]


def gains(task: str, ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> list[float]:
    """Returns by how much one method is ahead of another on the test rows, seed by seed."""
    name, sign = metric_of(task)
    return [sign * (one[f"test_{name}"] - other[f"test_{name}"]) for one, other in zip(ours, theirs)]


def figures_of(found: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], seconds: float) -> dict[str, Any]:
    """Returns the figures."""
    figures: dict[str, Any] = {}
    ahead: dict[str, dict[str, list[float]]] = {}
    for task, methods in found.items():
        rivals = {name: methods[name] for name in ("evolution", "random", "presets")}
        rivals["lightgbm"] = picked(task, methods)
        ahead[task] = {rival: gains(task, methods["best"], rows) for rival, rows in rivals.items()}
        name, sign = metric_of(task)
        figures[f"{task}_{name}_minus_lightgbm" if sign < 0 else f"{task}_minus_lightgbm_{name}"] = round(
            sign * statistics.mean(ahead[task]["lightgbm"]), 6
        )
        for method, rows in {"best": methods["best"], **rivals}.items():
            figures |= _means(f"{task}/{method}", rows)
            if method != "best":
                figures[f"{task}/best_over_{method}"] = round(statistics.mean(ahead[task][method]), 6)
                figures[f"{task}/best_over_{method}_se"] = _standard_errors(ahead[task][method])
        figures[f"{task}/presets_picked"] = [row["preset"] for row in methods["presets"]]
    figures["random_search_worst_set_se"] = min(_standard_errors(each["random"]) for each in ahead.values())
    for key, rival in (("random_search", "random"), ("evolution_alone", "evolution"), ("best_preset", "presets")):
        figures[f"sets_ahead_of_{key}"] = sum(statistics.mean(each[rival]) > 0 for each in ahead.values())
    took = [row["took"] for methods in found.values() for method in OURS for row in methods[method]]
    figures["over_time_limit"] = round(max(took) / seconds, 4)
    return figures


def _means(key: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Returns the means of the test metrics, the number of trials and the seconds."""
    wanted = ("test_auc", "test_log_loss", "test_rmse", "trials", "failed", "took")
    return {f"{key}_{name}": round(statistics.mean(row[name] for row in rows), 6) for name in wanted if name in rows[0]}


def _gflops() -> float:
    """Returns the rate at which the machine multiplies matrices of 1,024 rows, in 1e9 operations a second."""
    matrix = np.random.default_rng(0).random((1024, 1024), np.float32)
    best = float("inf")
    for _ in range(10):
        begin = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - begin)
    return round(2e-9 * 1024**3 / best, 1)


def _standard_errors(differences: Sequence[float]) -> float:
    return round(standard_errors(differences), 4) if len(differences) > 1 else 0.0


def main() -> None:
    options = arguments(
        __doc__ or "",
        tasks={"default": None, "help": "some tasks, separated by commas: only their cells, no record"},
        methods={"default": None, "help": "some methods, separated by commas: only their cells, no record"},
        seconds={"default": None, "type": float, "help": "another time for each search: nothing is kept"},
        cell={"default": None, "help": "one cell (for the benchmark itself)"},
    )
    need_data()
    if options.cell:
        cell = json.loads(options.cell)
        figures = Task(cell["task"], False).measure(cell["method"], cell["seed"], cell["seconds"])
        print(json.dumps({"gflops": _gflops(), **figures}))
        return
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    cells = Cells("automl", METHOD, options.quick or options.seconds is not None)
    names = options.tasks.split(",") if options.tasks else list(tasks())
    methods = options.methods.split(",") if options.methods else list(METHODS)
    seeds = SEEDS[:1] if options.quick else SEEDS
    found = run(names, methods, seeds, seconds, cells, options.quick)
    if not (options.tasks or options.methods or options.seconds):
        finish("automl", figures_of(found, seconds), options.quick, seeds=list(seeds), limit=seconds)


if __name__ == "__main__":
    main()
