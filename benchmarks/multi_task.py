"""One model of three targets against three models of one: the demo log with clicks, likes and long dwells.

Likes and long dwells happen only with a click, and a like is the rarest. All models are of the preset `multi_task`
with the same widths: the shared ones learn the three targets at once, in each of its kinds; the single ones are the
same model of one target. One encoding and split a seed, the default recipe, the weights of the best epoch by validation
log loss (of several targets their mean). Differences are of test log loss, seed by seed; above 0 the shared model is
better. What is quoted is of the kind that the mean validation log loss picks.

Steps are timed by themselves: three epochs over the first rows, the fastest of the last two; the three single models
add up.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.recipe import standard_errors
from benchmarks.record import Cells, arguments, finish

METHOD = 1
SEEDS = (0, 1, 2, 3, 4)
TARGETS = ("click", "like", "dwell")
COMMON, RARE = "click", "like"
KINDS = ("shared_bottom", "mmoe", "ple", "towers")
ROWS, QUICK_ROWS = 80_000, 6_000
QUICK_KINDS = KINDS[:1]
TIMED_ROWS = 40_000
BATCH = 1024
WIDTHS = {"units": 128, "layers": 1, "tower_units": 64, "tower_layers": 1, "dropout": 0.0, "tower_dropout": 0.0}
PLAIN = {"tower_batch_norm": False, "dim": 16}
#: Likes and dwells are of those who clicked: LiRank's grouping puts the dwell to the click.
GROUPS = [["click", "dwell"], ["like"]]


def space_of(kind: str) -> Any:
    """Returns a kind of the preset; `towers` is a shared bottom below two towers of grouped targets."""
    from autorec.spaces import MultiTask

    if kind == "towers":
        return MultiTask(kind="shared_bottom", towers=GROUPS, **WIDTHS, **PLAIN)
    more = {"experts": 4} if kind != "shared_bottom" else {}
    more |= {"own_experts": 2, "levels": 1} if kind == "ple" else {}
    return MultiTask(kind=kind, **more, **WIDTHS, **PLAIN)


def measure(kind: str, targets: Sequence[str], seed: int, quick: bool) -> dict[str, Any]:
    """Returns validation and test figures of a model of some targets, its size and the time of a step."""
    import keras

    from autorec.data.demo import click_log
    from autorec.data.encode import encode
    from autorec.data.encoder import Encoder
    from autorec.data.schema import Schema
    from autorec.data.table import as_source
    from autorec.export.predictor import Predictor
    from autorec.training.trainer import train

    log = click_log(rows=(QUICK_ROWS if quick else ROWS) * 4 // 3, seed=seed, targets=TARGETS)
    rows, test = (part.frame() for part in log.split(0.25))
    rows = rows.drop([target for target in TARGETS if target not in targets])
    schema = Schema.infer(rows, target=list(targets), user="user", item="item", time="time")
    with tempfile.TemporaryDirectory() as folder:
        cache = encode(as_source(rows), schema, Path(folder) / "cache", seed=seed)
        keras.utils.set_random_seed(seed)
        model = space_of(kind).build_for(cache.layout)
        result = train(
            model,
            [cache.train],
            cache.validation,
            layout=cache.layout,
            epochs=2 if quick else None,
            seed=seed,
            objective="val_log_loss",
        )
        found = Predictor(model, Encoder.load(Path(folder) / "cache" / "encoder")).evaluate(test)
        step = step_seconds(kind, cache, quick)
    single = len(targets) == 1
    figures = {f"{targets[0]}_{name}" if single else name: round(value, 7) for name, value in found.items()}
    size = {"parameters": model.count_params(), "step": step, "epochs": len(result.history)}
    return {**figures, **size, "val_log_loss": round(result.metrics["val_log_loss"], 7)}


def step_seconds(kind: str, cache: Any, quick: bool) -> float:
    """Returns the seconds of a training step."""
    import keras

    from autorec.data.cache import Part
    from autorec.training.trainer import train

    count = min(cache.train.rows, QUICK_ROWS // 2 if quick else TIMED_ROWS)
    groups = [group for group in cache.train.arrays if not group.startswith("list")]
    part = Part(cache.train.take(slice(0, count), groups), cache.train.labels[:count])
    begins: list[float] = []
    ends: list[float] = []
    timer = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: begins.append(time.perf_counter()),
        on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()),
    )
    model = space_of(kind).build_for(cache.layout)
    train(model, [part], None, layout=cache.layout, batch_size=BATCH, epochs=3, callbacks=[timer])
    steps = -(-count // BATCH)
    return round(min(end - begin for begin, end in list(zip(begins, ends))[1:]) / steps, 6)


def figures_of(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Returns the figures from the cells by model: the kinds, and the targets' names for the single ones."""
    figures: dict[str, Any] = {}
    kinds = [kind for kind in KINDS if kind in found]
    for kind in kinds:
        figures[f"{kind}/val_log_loss"] = round(statistics.mean(row["val_log_loss"] for row in found[kind]), 6)
        for name in ("parameters", "step"):
            own = statistics.mean(row[name] for row in found[kind])
            singles = statistics.mean(sum(row[name] for row in rows) for rows in zip(*(found[t] for t in TARGETS)))
            figures[f"{kind}/{name}"], figures[f"{kind}/{name}_over_singles"] = own, round(own / singles, 4)
        for target in TARGETS:
            key = f"{target}_log_loss"
            gains = [alone[key] - shared[key] for alone, shared in zip(found[target], found[kind])]
            figures[f"{kind}/{key}"] = round(statistics.mean(row[key] for row in found[kind]), 6)
            figures[f"{kind}/{target}_gain"] = round(statistics.mean(gains), 6)
            figures[f"{kind}/{target}_se"] = round(standard_errors(gains), 4) if len(gains) > 1 else 0.0
            figures[f"single/{key}"] = round(statistics.mean(row[key] for row in found[target]), 6)
    picked = min(kinds, key=lambda kind: figures[f"{kind}/val_log_loss"])
    return {
        "common_target_se": figures[f"{picked}/{COMMON}_se"],
        "rare_target_se": figures[f"{picked}/{RARE}_se"],
        "parameters_over_singles": figures[f"{picked}/parameters_over_singles"],
        "step_over_singles": figures[f"{picked}/step_over_singles"],
        "picked": picked,
        **figures,
    }


def main() -> None:
    options = arguments(__doc__ or "")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    cells = Cells("multi_task", METHOD, options.quick)
    seeds = SEEDS[:1] if options.quick else SEEDS
    models = {
        **dict.fromkeys(QUICK_KINDS if options.quick else KINDS, TARGETS),
        **{target: (target,) for target in TARGETS},
    }
    found: dict[str, list[dict[str, Any]]] = {model: [] for model in models}
    for seed in seeds:
        for model, targets in models.items():

            def cell(model: str = model, targets: Sequence[str] = targets, seed: int = seed) -> dict[str, Any]:
                kind = model if model in KINDS else "shared_bottom"
                return measure(kind, targets, seed, options.quick)

            found[model].append(cells.get({"model": model, "targets": list(targets)}, seed, cell))
    finish("multi_task", figures_of(found), options.quick, seeds=list(seeds), widths=WIDTHS, groups=GROUPS)


if __name__ == "__main__":
    main()
