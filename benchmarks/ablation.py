"""LiRank's parts one by one, beside other models and LightGBM, on four click logs over five seeds.

The chain: a deep network; DCNv2, whose crosses have as many parameters as the residual ones (three times the rank);
residual crosses; gates in the deep network; an isotonic layer; a transformer over the user's earlier items, which
stands for the unified model. A set without sequences has no last step: there the unified model is the one before.
Every model reads the mean of a sequence's items and how alike they are to the item; LightGBM reads that in numbers.

Each gets four tries, judged by their mean validation AUC over two tuning folds: the networks choose width, dropout and
the L2 of the tables, LightGBM its leaves. All else is the default recipe. Each training keeps the weights of its best
validation epoch and is tested once. A seed is that of fold, weights and order; differences are taken seed by seed, in
test AUC.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ablation_data import AblationSet, sets
from benchmarks.recipe import standard_errors
from benchmarks.record import Cells, arguments, finish, need_data

METHOD = 2
SEEDS = (0, 1, 2, 3, 4)
TUNING = (5, 6)
RANK = 32
CHAIN = ("mlp", "dcnv2", "residual_dcn", "gating", "isotonic", "history")
#: The models that the unified one is compared with.
SINGLE = ("mlp", "dcnv2", "residual_dcn", "finalmlp", "xdeepfm", "autoint", "lightgbm")
VARIANTS = (*CHAIN, "finalmlp", "xdeepfm", "autoint", "lightgbm")
# Units, dropout, L2 of the tables.
TRIES = ((128, 0.0, 1e-5), (128, 0.25, 1e-5), (128, 0.25, 1e-2), (512, 0.25, 1e-5))
LEAVES = (7, 15, 31, 127)
QUICK_SETS, QUICK_VARIANTS = ("frappe", "demo"), ("mlp", "dcnv2", "residual_dcn", "history", "lightgbm")
WITH_HISTORY = ("movielens100k", "demo")
STEPS_OF = 0  # the seed whose cells time a step


def space_of(variant: str, units: int, dropout: float) -> Any:
    """Returns the model of a variant as a space."""
    from autorec.spaces import DNN, AutoInt, DCNv2, FinalMLP, LiRank, ResidualDCN, XDeepFM

    deep: dict[str, Any] = {"units": units, "dropout": dropout}
    plain = {**deep, "layers": 2, "batch_norm": False}
    crosses = {"rank": RANK, "cross_layers": 2}
    spaces: dict[str, Any] = {
        "mlp": lambda: DNN(depth=2, batch_norm=False, **deep),
        "dcnv2": lambda: DCNv2(kind="low_rank", structure="parallel", rank=3 * RANK, cross_layers=2, **plain),
        "residual_dcn": lambda: ResidualDCN(structure="parallel", **crosses, **plain),
        "gating": lambda: LiRank(history=False, isotonic=False, layers=2, **crosses, **deep),
        "isotonic": lambda: LiRank(history=False, layers=2, **crosses, **deep),
        "history": lambda: LiRank(layers=2, **crosses, **deep),
        "finalmlp": lambda: FinalMLP(second_units=units, layers=2, **deep),
        "xdeepfm": lambda: XDeepFM(**plain),
        "autoint": lambda: AutoInt(deep=True, **plain),
    }
    return spaces[variant]()


def network(data: AblationSet, space: Any, table_l2: float, seed: int, quick: bool) -> dict[str, float]:
    """Returns validation and test figures of a training."""
    import keras

    from autorec.data.encoder import Encoder
    from autorec.export.predictor import Predictor
    from autorec.spaces.operations import dense_parameters
    from autorec.training.options import TrainOptions
    from autorec.training.trainer import train

    rows = data.encoded(seed)
    keras.utils.set_random_seed(seed)
    model = space.build_for(rows.layout)
    options, epochs = TrainOptions(table_l2=table_l2), 1 if quick else None
    result = train(model, [rows.train], rows.validation, layout=rows.layout, options=options, epochs=epochs, seed=seed)
    test = Predictor(model, Encoder.load(rows.directory / "encoder")).evaluate(data.parts(seed)[2])
    found = {
        **result.metrics,
        **{f"test_{name}": value for name, value in test.items()},
        "parameters": model.count_params(),
        "dense_parameters": dense_parameters(model),
        "epochs": len(result.history),
        "train": result.seconds,
    }
    keras.utils.clear_session()
    return found | (step(rows, space) if seed == STEPS_OF and not quick else {})


def step(rows: Any, space: Any) -> dict[str, float]:
    """Returns the milliseconds of a step of the default batch size, with small tables."""
    from autorec.training.options import TrainOptions
    from autorec.training.precision import time_steps
    from autorec.training.sizes import default_batch_size

    size = default_batch_size(rows.train.rows)
    found = time_steps(space.build_for, rows.train, rows.layout, size, TrainOptions())
    return {"milliseconds": 1000 * found["float32"], "batch_size": size}


def trees(data: AblationSet, leaves: int, seed: int, quick: bool) -> dict[str, float]:
    """Returns validation and test figures of LightGBM, ended early on the validation rows."""
    import lightgbm

    from autorec.training.metrics import evaluate

    (fit, validation, test), (y_fit, y_validation, y_test) = data.matrices(seed)
    rows = lightgbm.Dataset(fit, y_fit)
    settings = {"objective": "binary", "metric": "auc", "learning_rate": 0.05, "num_leaves": leaves, "verbosity": -1}
    model = lightgbm.train(
        {**settings, "seed": seed, "num_threads": os.cpu_count()},
        rows,
        20 if quick else 3000,
        valid_sets=[rows.create_valid(validation, y_validation)],
        callbacks=[lightgbm.early_stopping(50, verbose=False)],
    )
    found = {}
    for name, x, y in (("val", validation, y_validation), ("test", test, y_test)):
        found |= {f"{name}_{metric}": value for metric, value in evaluate(y, model.predict(x), "binary").items()}
    return {**found, "rounds": model.best_iteration}


class Ablation:
    """The cells of a set: each variant tuned and then run.

    Args:
        name: Name of the set.
        folder: Where the encoded rows go.
        cells: Where figures go.
        quick: Take the first try as the best one, of a few rows.
    """

    def __init__(self, name: str, folder: Path, cells: Cells, quick: bool) -> None:
        self.name, self.folder, self.cells, self.quick = name, folder, cells, quick
        self._data: AblationSet | None = None

    @property
    def data(self) -> AblationSet:
        """The rows, loaded for the first cell that is not there yet."""
        if self._data is None:
            self._data = AblationSet(self.name, self.folder, self.quick)
        return self._data

    def cell(self, variant: str, place: int, seed: int) -> dict[str, Any]:
        """Returns the figures of a try of a variant."""
        if variant == "lightgbm":
            key: dict[str, Any] = {"leaves": LEAVES[place]}
        else:
            key = dict(zip(("units", "dropout", "table_l2"), TRIES[place]))

        def measure() -> Mapping[str, float]:
            if variant == "lightgbm":
                return trees(self.data, LEAVES[place], seed, self.quick)
            units, dropout, table_l2 = TRIES[place]
            return network(self.data, space_of(variant, units, dropout), table_l2, seed, self.quick)

        return self.cells.get({"set": self.name, "variant": variant, **key}, seed, measure)

    def best(self, variant: str) -> int:
        """Returns the number of the try with the best mean validation AUC over the tuning folds."""
        if self.quick:
            return 0

        def auc(place: int) -> float:
            return statistics.mean(self.cell(variant, place, seed)["val_auc"] for seed in TUNING)

        return max(range(len(TRIES)), key=auc)

    def run(self, variants: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
        """Returns for each variant the number of its try and its cells."""
        found: dict[str, Any] = {}
        for variant in variants:
            if variant == "history" and self.name not in WITH_HISTORY:
                variant = "isotonic"  # the same model
            if variant not in found:
                place = self.best(variant)
                found[variant] = {"try": place, "cells": [self.cell(variant, place, seed) for seed in seeds]}
        unified = "history" if self.name in WITH_HISTORY else "isotonic"
        return {**found, "unified": found[unified]} if unified in found else found


def gains(found: Mapping[str, Any], variant: str, over: str) -> list[float]:
    """Returns by how much a variant's test AUC is above another's, seed by seed."""
    return [a["test_auc"] - b["test_auc"] for a, b in zip(found[variant]["cells"], found[over]["cells"])]


def figures_of(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the figures; of differences, above 0 is better for the variant named first."""
    figures: dict[str, Any] = {}
    ahead: dict[str, float] = {}
    for name, variants in found.items():
        single = [variant for variant in SINGLE if variant in variants]
        best = max(single, key=lambda variant: _mean(variants[variant], "val_auc"))
        ahead[name] = standard_errors(gains(variants, "unified", best))
        figures[f"{name}/best_single"] = best
        figures[f"{name}/unified_over_best_single_se"] = ahead[name]
        for variant, chosen in variants.items():
            figures |= _of_variant(f"{name}/{variant}", chosen)
            if variant != "unified":
                figures[f"{name}/unified_over_{variant}"] = statistics.mean(gains(variants, "unified", variant))
                figures[f"{name}/unified_over_{variant}_se"] = standard_errors(gains(variants, "unified", variant))
        chain = [variant for variant in CHAIN if variant in variants]
        for before, variant in zip(chain, chain[1:]):
            figures[f"{name}/{variant}_over_{before}"] = statistics.mean(gains(variants, variant, before))
            figures[f"{name}/{variant}_over_{before}_se"] = standard_errors(gains(variants, variant, before))
    residual = [statistics.mean(gains(variants, "residual_dcn", "dcnv2")) > 0 for variants in found.values()]
    return {
        "unified_worst_set_se": min(ahead.values()),
        "sets_where_unified_ahead": sum(each > 1 for each in ahead.values()),
        "sets_where_residual_ahead_of_dcnv2": sum(residual),
        **figures,
    }


def _of_variant(key: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    wanted = ("test_auc", "test_log_loss", "test_ece", "val_auc", "parameters", "dense_parameters")
    found = {f"{key}_{name}": _mean(chosen, name) for name in wanted if name in chosen["cells"][0]}
    timed = [cell["milliseconds"] for cell in chosen["cells"] if "milliseconds" in cell]
    return {**found, **({f"{key}_milliseconds": timed[0]} if timed else {}), f"{key}_try": chosen["try"]}


def _mean(chosen: Mapping[str, Any], name: str) -> float:
    return statistics.mean(cell[name] for cell in chosen["cells"])


def main() -> None:
    options = arguments(
        __doc__ or "",
        sets={"default": None, "help": "some sets, separated by commas: only their cells, no record"},
        variants={"default": None, "help": "some variants, separated by commas: only their cells, no record"},
    )
    need_data()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    cells = Cells("ablation", METHOD, options.quick)
    seeds = SEEDS[:2] if options.quick else SEEDS
    names = options.sets.split(",") if options.sets else list(QUICK_SETS if options.quick else sets())
    variants = options.variants.split(",") if options.variants else list(QUICK_VARIANTS if options.quick else VARIANTS)
    with tempfile.TemporaryDirectory() as folder:
        found = {name: Ablation(name, Path(folder), cells, options.quick).run(variants, seeds) for name in names}
    if not (options.sets or options.variants):
        finish("ablation", figures_of(found), options.quick, seeds=list(seeds), tries=list(TRIES), leaves=list(LEAVES))


if __name__ == "__main__":
    main()
