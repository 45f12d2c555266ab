"""Calibration: negatives sampled 10:1 on four click logs, and a layer trained with the model on a planted fault.

Sampled negatives. A fifth of the training rows is held out as it is; of the others' negatives one in ten is kept, and a
DeepFM with its default values is trained on what is left. It predicts ten times the odds. Each method is fitted to the
held-out fifth and measured once on the test rows; `rate` takes no such rows: it calibrates by the validation rows of
the search, which are sampled too, and corrects for the rate. What is quoted is of `auto`. The calibration error of true
probabilities is not 0 on rows of chance: `floor` is what it would be, of labels drawn anew from the predictions.

A planted fault. In the demo log a click's logit is stretched about its mean by a factor that depends on the device, and
clicks are drawn anew; time and ids are left out, whose trends and chance would be other faults. A linear model of the
other columns, which has no product of device and anything else, is trained with and without an isotonic layer whose
slopes depend on the device. The error is the mean over devices of the error within.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.recipe import sets, standard_errors
from benchmarks.record import Cells, arguments, finish, need_data

METHOD = 1
SEEDS = (0, 1, 2, 3, 4)
KEPT = 0.1
METHODS = ("temperature", "platt", "isotonic", "auto")
SETS = ("frappe", "movielens100k", "adult", "demo")
STRETCH = {"phone": 2.0, "desktop": 0.5, "tablet": 1.0, "tv": 0.25}
ROWS, QUICK_ROWS = 120_000, 12_000


def sampled(name: str, seed: int, quick: bool) -> dict[str, Any]:
    """Returns test figures of a model of sampled negatives, before and behind each method."""
    import autorec as ar
    from benchmarks.presets import schema_of

    load, roles = sets()[name]
    train, test, target, _ = load()
    if quick:
        train, test = train[:QUICK_ROWS], test[:QUICK_ROWS]
    rng = np.random.default_rng([seed, 20])
    held = rng.random(len(train)) < 0.2
    kept = ~held & ((train[target].to_numpy() > 0) | (rng.random(len(train)) < KEPT))
    rec = ar.CTRRecommender(space="deepfm")
    schema = schema_of(name, train, target, roles)
    rec.fit(train[kept].reset_index(drop=True), schema=schema, seed=seed, epochs=2 if quick else None)
    held_out = train[held].reset_index(drop=True)
    found = {"before": figures(rec, test)}
    for method in METHODS:
        rec.calibrate(method, data=held_out, seed=seed, progress=False)
        found[method] = {**figures(rec, test), "floor": floor(rec, test, rng)}
    rec.calibrate("auto", negatives_kept=KEPT, seed=seed, progress=False)
    found["rate"] = figures(rec, test)
    return found


def figures(rec: Any, test: Any) -> dict[str, float]:
    """Returns the test figures of a recommender."""
    return {name: round(value, 7) for name, value in rec.evaluate(test).items() if name in ("auc", "log_loss", "ece")}


def floor(rec: Any, test: Any, rng: np.random.Generator) -> float:
    """Returns the calibration error of labels that are drawn from the predictions themselves."""
    from autorec.training import metrics

    p = rec.predict(test)
    return round(metrics.ece((rng.random(len(p)) < p).astype(float), p), 7)


def planted(rows: int, seed: int) -> tuple[Any, Any]:
    """Returns training and test rows whose click logits are stretched by device."""
    import polars as pl

    from autorec.data.demo import click_log

    log = click_log(rows=rows, seed=seed)
    frame, p = log.frame(), log.probabilities("click")
    logit = np.log(p) - np.log1p(-p)
    factor = frame["device"].replace_strict(STRETCH, return_dtype=pl.Float64).to_numpy()
    stretched = logit.mean() + factor * (logit - logit.mean())
    clicks = np.random.default_rng([seed, 21]).random(rows) < 1 / (1 + np.exp(-stretched))
    frame = frame.with_columns(click=pl.Series(clicks.astype(np.int64))).drop("time", "user", "item")
    return frame[: rows * 3 // 4], frame[rows * 3 // 4 :]


def co_trained(layer: bool, seed: int, quick: bool) -> dict[str, Any]:
    """Returns test figures of a linear model on the planted fault, with an isotonic layer or without."""
    import autorec as ar

    train, test = planted(QUICK_ROWS if quick else ROWS, seed)
    rec = ar.CTRRecommender(space=_space(layer))
    settings: dict[str, Any] = {"statistics": None, "objective": "val_log_loss", "epochs": 3 if quick else None}
    rec.fit(train, target="click", seed=seed, **settings)
    p, labels = rec.predict(test), test["click"].to_numpy()
    found: dict[str, Any] = {**figures(rec, test), "ece_by_device": _by_device(test, labels, p)}
    return {**found, **(_slopes(rec) if layer else {})}


def _space(layer: bool) -> Any:
    """Returns a linear model of the columns as a space."""

    def build(hp: Any) -> Any:
        from autorec.spaces import Features, ctr_model, current_layout
        from autorec.spaces.model import calibrated_model

        features = Features(current_layout(), hp, dim=8, numbers="log")
        linear = features.linear()
        device = features.column("device")
        model = ctr_model(features.inputs, [], offsets=[linear])
        return calibrated_model(model, [device]) if layer else model

    return build


def _by_device(test: Any, labels: np.ndarray, p: np.ndarray) -> float:
    from autorec.training import metrics

    devices = test["device"].to_numpy()
    return round(statistics.mean(metrics.ece(labels[devices == one], p[devices == one]) for one in STRETCH), 7)


def _slopes(rec: Any) -> dict[str, float]:
    """Returns the slope of the layer's curve for each device, over the middle half of the logits that it reads."""
    import keras

    from autorec.blocks import IsotonicCalibration
    from autorec.training.prediction import predict

    model, part = rec.model(), _validation(rec)
    layer = next(each for each in model.layers if isinstance(each, IsotonicCalibration))
    node = layer._inbound_nodes[0]
    inner = keras.Model(model.input, {"logit": node.arguments.args[0]})
    features = keras.Model(model.input, node.arguments.kwargs["features"])
    low, high = np.quantile(predict(inner, part)["logit"], [0.25, 0.75])
    layout = rec.predictor_.encoder.layout
    place = [column.name for column in layout.ids].index("device")
    devices = np.asarray(part.arrays["ids"])[:, place]
    vocabulary = rec.predictor_.encoder.vocabularies["device"].values.to_list()
    found = {}
    for name in STRETCH:
        row = int(np.flatnonzero(devices == vocabulary.index(name) + 2)[0])
        told = features(part.take(slice(row, row + 1), list(model.input)))
        ends = [float(np.asarray(layer(np.array([[end]], "float32"), features=told)).item()) for end in (low, high)]
        found[f"slope_{name}"] = round(float((ends[1] - ends[0]) / (high - low)), 5)
    return found


def _validation(rec: Any) -> Any:
    from autorec.data.cache import Cache

    return Cache.open(rec.directory_ / "cache").validation


def figures_of(found: Mapping[str, Sequence[Mapping[str, Any]]], layers: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Returns the figures from the cells of each set, and of the planted fault."""
    result: dict[str, Any] = {}
    ratios, losses = [], []
    for name, cells in found.items():
        for method in cells[0]:
            for figure in cells[0][method]:
                mean = statistics.mean(cell[method][figure] for cell in cells)
                result[f"{name}/{method}_{figure}"] = round(mean, 6)
        ratios.append(result[f"{name}/auto_ece"] / result[f"{name}/before_ece"])
        losses.append(max(cell["before"]["auc"] - cell["auto"]["auc"] for cell in cells))
    plain, layer = layers["plain"], layers["layer"]
    for figure in ("ece_by_device", "ece", "log_loss", "auc"):
        for name, rows in layers.items():
            result[f"planted/{name}_{figure}"] = round(statistics.mean(row[figure] for row in rows), 6)
    gains = [a["ece_by_device"] - b["ece_by_device"] for a, b in zip(plain, layer)]
    for device in STRETCH:
        result[f"planted/slope_{device}"] = round(statistics.mean(row[f"slope_{device}"] for row in layer), 4)
    return {
        "ece_after_over_before": round(max(ratios), 4),
        "auc_loss": max(losses),
        "planted_error_over_plain": round(
            result["planted/layer_ece_by_device"] / result["planted/plain_ece_by_device"], 4
        ),
        "planted_error_se": round(standard_errors(gains), 3) if len(gains) > 1 else None,
        "planted_least_slope_from_1": min(
            abs(result[f"planted/slope_{device}"] - 1) for device, factor in STRETCH.items() if factor != 1.0
        ),
        **result,
    }


def main() -> None:
    options = arguments(__doc__ or "")
    if not options.quick:
        need_data()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    cells = Cells("calibration", METHOD, options.quick)
    seeds, names = (SEEDS[:1], SETS[-1:]) if options.quick else (SEEDS, SETS)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    layers: dict[str, list[dict[str, Any]]] = {"plain": [], "layer": []}
    for seed in seeds:
        for name, rows in found.items():

            def cell(name: str = name, seed: int = seed) -> dict[str, Any]:
                return sampled(name, seed, options.quick)

            row = cells.get({"set": name, "kept": KEPT}, seed, cell)
            rows.append({method: value for method, value in row.items() if method != "seconds"})
        for kind, rows in layers.items():

            def planted_cell(kind: str = kind, seed: int = seed) -> dict[str, Any]:
                return co_trained(kind == "layer", seed, options.quick)

            rows.append(cells.get({"planted": kind}, seed, planted_cell))
    finish("calibration", figures_of(found, layers), options.quick, seeds=list(seeds), kept=KEPT, stretch=STRETCH)


if __name__ == "__main__":
    main()
