"""Every preset once with its defaults, and `auto` searched for two minutes, beside LightGBM, on real sets.

Test figures are of the split's test rows, evaluated once; the model of a set is the one that validation picks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Cells, arguments, finish, need_data

METHOD = 1
Data = tuple[Any, Any, str, str]
SEEDS = (0, 1, 2)
PRESETS = ("lr", "fm", "deepfm", "wide_deep", "dcn", "dcnv2", "autoint", "dlrm")
PAIRED = ("mf", "gmf", "neumf")  # need a user and an item
AUTO_SECONDS = 120


def avazu_10k() -> Data:
    import pandas as pd

    folder = Path(os.environ["AUTOREC_DATA"]) / "avazu-10k"
    path = next(path for path in sorted(folder.iterdir()) if ".csv" in path.name or ".txt" in path.name)
    frame = pd.read_csv(path).drop(columns=["id"], errors="ignore")
    return frame[:8000], frame[8000:].reset_index(drop=True), "click", "ctr"


def sets() -> dict[str, tuple[Callable[[], Data], dict[str, str]]]:
    """Returns for each set its loader and the roles of its columns."""
    from benchmarks import tasks

    both = {"user": "user", "item": "item"}
    return {
        "frappe": (tasks.frappe, {"user": "user", "item": "app"}),
        "movielens100k": (tasks.movielens_100k_ctr, both),
        "movielens100k_rating": (tasks.movielens_100k_rating, both),
        "adult": (tasks.adult, {}),
        "criteo10k": (tasks.criteo_10k, {}),
        "avazu10k": (avazu_10k, {}),
    }


def schema_of(name: str, train: Any, target: str, roles: dict[str, str]) -> Any:
    """Returns the inferred schema, corrected by what is known of each set, as its user would."""
    from autorec.data.schema import Schema

    schema = Schema.infer(train, target=target, **roles)
    numeric = {f"I{i}" for i in range(1, 14)} if name == "criteo10k" else set()
    for feature in schema:
        if name in ("frappe", "avazu10k") and feature.kind == "numeric":
            feature.kind = "categorical"
        if feature.name in numeric:
            feature.kind = "numeric"
    return schema


def measure(data: Data, name: str, roles: dict[str, str], model: str, seed: int, quick: bool) -> Any:
    import autorec as ar

    train, test, target, kind = data
    recommender = (ar.CTRRecommender if kind == "ctr" else ar.RatingRecommender)(space=model)
    settings: dict[str, Any] = {"schema": schema_of(name, train, target, roles), "seed": seed, "progress": False}
    if model == "auto":
        recommender.search(train, time_limit=10 if quick else AUTO_SECONDS, baselines=False, **settings)
    else:
        recommender.fit(train, epochs=1 if quick else None, **settings)
    board = recommender.leaderboard().row(0, named=True)
    validation = {key: board[key] for key in board if key.startswith("val_")}
    return {
        **validation,
        **{f"test_{key}": value for key, value in recommender.evaluate(test).items()},
        "trials": len(recommender.leaderboard()),
        "trial_seconds": board["seconds"],
        "parameters": board["parameters"],
    }


def lightgbm(data: Data, name: str, roles: dict[str, str], seed: int) -> dict[str, float]:
    """Trains LightGBM on the same columns: categories where the schema says so, early stopping on a tenth."""
    import lightgbm as lgb
    import pandas as pd

    from autorec.training.metrics import evaluate

    train, test, target, kind = data
    schema = schema_of(name, train, target, roles)
    joined = pd.concat([train, test], ignore_index=True).drop(columns=[target])
    for feature in joined.columns:
        if feature in schema and schema[feature].kind in ("categorical", "bag"):
            joined[feature] = joined[feature].astype("category")
    x, z = joined[: len(train)], joined[len(train) :]
    y = train[target].to_numpy(float)
    order = np.random.default_rng(seed).permutation(len(train))
    held, kept = order[: len(order) // 10], order[len(order) // 10 :]
    objective, metric = ("binary", "auc") if kind == "ctr" else ("regression", "rmse")
    settings = {"objective": objective, "metric": metric, "learning_rate": 0.05, "seed": seed, "verbosity": -1}
    data_train = lgb.Dataset(x.iloc[kept], y[kept])
    model = lgb.train(
        settings,
        data_train,
        2000,
        valid_sets=[data_train.create_valid(x.iloc[held], y[held])],
        callbacks=[lgb.early_stopping(50, verbose=False)],
    )
    task = "binary" if kind == "ctr" else "real"
    validation = evaluate(y[held], model.predict(x.iloc[held]), task)
    found = evaluate(test[target].to_numpy(float), model.predict(z), task)
    return {f"val_{k}": v for k, v in validation.items()} | {f"test_{k}": v for k, v in found.items()}


def figures_of(found: dict[str, dict[str, list[dict[str, float]]]]) -> dict[str, Any]:
    """Returns for each set the pick of validation: mean of its test figure over the seeds, and LightGBM's."""
    figures: dict[str, Any] = {}
    for name, models in found.items():
        metric, sign = ("rmse", -1) if name.endswith("rating") else ("auc", 1)
        ours = {model: rows for model, rows in models.items() if model != "lightgbm"}
        seeds = range(len(models["lightgbm"]))
        picks = [max(ours, key=lambda model: sign * ours[model][seed][f"val_{metric}"]) for seed in seeds]
        picked = float(np.mean([ours[pick][seed][f"test_{metric}"] for seed, pick in zip(seeds, picks)]))
        theirs = float(np.mean([row[f"test_{metric}"] for row in models["lightgbm"]]))
        figures[f"{name}_{metric}"] = picked
        figures[f"{name}_lightgbm_{metric}"] = theirs
        figures[f"{name}_minus_lightgbm_{metric}"] = picked - theirs
        figures[f"{name}_picks"] = picks
        for model, rows in models.items():
            figures[f"{name}/{model}"] = float(np.mean([row[f"test_{metric}"] for row in rows]))
    return figures


def run(
    name: str, cells: Cells, seeds: Sequence[int], quick: bool, only: Sequence[str] | None = None
) -> dict[str, list[dict[str, float]]]:
    """Returns the cells of a set by model."""
    load, roles = sets()[name]
    data = load()
    models = [*PRESETS, *(PAIRED if roles else ()), "auto"]
    if quick:
        data, models = (data[0][:5000], data[1][:2000], *data[2:]), [*models[:2], models[-1]]
    models = [model for model in ("lightgbm", *models) if only is None or model in only]
    found: dict[str, list[dict[str, float]]] = {model: [] for model in models}
    for seed in seeds:
        for model, rows in found.items():

            def cell(model: str = model, seed: int = seed) -> dict[str, Any]:
                if model == "lightgbm":
                    return lightgbm(data, name, roles, seed)
                return measure(data, name, roles, model, seed, quick)

            rows.append(cells.get({"set": name, "model": model}, seed, cell))
    return found


def main() -> None:
    options = arguments(
        __doc__ or "",
        sets={"default": None, "help": "some sets, separated by commas; the record names them"},
        models={"default": None, "help": "some models, separated by commas: only their cells, no record"},
    )
    need_data()
    cells = Cells("presets", METHOD, options.quick)
    seeds = SEEDS[:1] if options.quick else SEEDS
    models = options.models.split(",") if options.models else None
    names = options.sets.split(",") if options.sets else list(sets())
    found = {name: run(name, cells, seeds, options.quick, models) for name in names}
    if models is None:
        finish("presets", figures_of(found), options.quick, seeds=list(seeds), sets=names)


if __name__ == "__main__":
    main()
