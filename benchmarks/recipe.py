"""Row-sparse against dense Adam, and each part of the training recipe on and off, on four sets.

One model (DeepFM with its default values), one encoding and split a set, five seeds of weights and order. Each variant
is trained until its validation log loss no longer improves, and is tested once, with the weights of its best epoch.
Plain Adam is what a Keras user does with care: Adam over all variables, tables too, and `EarlyStopping` on the
validation loss with the same patience and with `restore_best_weights=True`; no cut of the rate, no table L2, no
clipping. Differences are taken seed by seed; what is chosen here is chosen on the validation rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Cells, arguments, finish, need_data

METHOD = 1
SEEDS = (0, 1, 2, 3, 4)
RULES = ("adam", "adagrad", "rowwise_adagrad")
OBJECTIVE = "val_log_loss"
DEMO_ROWS = 80_000
PLAIN = {"table_l2": 0.0, "table_decay": 0.0, "plateau": False, "clip": 0.0}
#: What differs from the default recipe. A variant that comes to the default itself shares its cells.
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "plain_adam": {"table_optimizer": "dense", **PLAIN},
    "plain_row_sparse": {"table_optimizer": "adam", **PLAIN},
    "dense_tables": {"table_optimizer": "dense", "table_l2": 0.0, "table_decay": 0.0},
    **{f"rule_{rule}": {"table_optimizer": rule} for rule in RULES},
    "without_cut": {"plateau": False},
    "with_cut": {"plateau": 0.1},
    "without_table_l2": {"table_l2": 0.0},
    "with_table_decay": {"table_decay": 1e-2},
    "without_clip": {"clip": 0.0},
    "with_clip": {"clip": 1.0},
}
QUICK = ("default", "plain_adam")
#: The options that name a cell. Others are at values that change nothing: one that comes later makes no other cells.
NAMED = (
    "optimizer",
    "learning_rate",
    "table_optimizer",
    "table_l2",
    "table_decay",
    "clip",
    "plateau",
    "patience",
    "strategy",
    "precision",
)


def demo() -> tuple[Any, Any, str, str]:
    from autorec.data.demo import click_log

    train, test = click_log(rows=DEMO_ROWS).split(0.25)
    return train.frame().to_pandas(), test.frame().to_pandas(), "click", "ctr"


def sets() -> dict[str, tuple[Callable[[], tuple[Any, Any, str, str]], dict[str, str]]]:
    """Returns for each set its loader and the roles of its columns."""
    from benchmarks import presets

    known = presets.sets()
    found = {name: known[name] for name in ("frappe", "movielens100k", "adult")}
    return {**found, "demo": (demo, {"user": "user", "item": "item", "time": "time"})}


class Encoded:
    """A set, encoded at the first cell that is not there yet.

    Args:
        name: Name of the set.
        folder: Where the cache goes.
        quick: Take a few rows and epochs only.
    """

    def __init__(self, name: str, folder: Path, quick: bool) -> None:
        self.name, self.folder, self.quick = name, folder, quick
        self.cache: Any = None
        self.test: Any = None

    def open(self) -> None:
        from autorec.data.encode import encode
        from autorec.data.table import as_source
        from benchmarks.presets import schema_of

        if self.cache is not None:
            return
        load, roles = sets()[self.name]
        train, self.test, target, _ = load()
        if self.quick:
            train, self.test = train[:3000], self.test[:1000]
        schema = schema_of(self.name, train, target, roles)
        self.cache = encode(as_source(train), schema, self.folder / self.name)

    def measure(self, options: Any, seed: int) -> dict[str, float]:
        """Returns validation and test figures of a training, those of its last epoch's weights too."""
        import keras

        from autorec.data.encoder import Encoder
        from autorec.export.predictor import Predictor
        from autorec.spaces import DeepFM
        from autorec.training.trainer import train

        self.open()
        keras.utils.set_random_seed(seed)
        model = DeepFM().build_for(self.cache.layout)
        last = keep_last_weights()
        result = train(
            model,
            [self.cache.train],
            self.cache.validation,
            layout=self.cache.layout,
            options=options,
            epochs=2 if self.quick else None,
            seed=seed,
            objective=OBJECTIVE,
            callbacks=[last],
        )
        predictor = Predictor(model, Encoder.load(self.folder / self.name / "encoder"))
        found = {**result.metrics, **{f"test_{k}": v for k, v in predictor.evaluate(self.test).items()}}
        model.set_weights(last.weights)
        found["test_last_log_loss"] = predictor.evaluate(self.test)["log_loss"]
        keras.utils.clear_session()
        return {**found, "best_epoch": result.best_epoch, "epochs": len(result.history), "train": result.seconds}


def keep_last_weights() -> Any:
    """Returns a callback that has each epoch's weights, of the last epoch in the end: what `train` takes back."""
    import keras

    class LastWeights(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.weights = self.model.get_weights()

    return LastWeights()


def configuration(name: str, options: Any) -> dict[str, Any]:
    """Returns what names the cells of a set and training options."""
    values = options.resolved().to_dict()
    return {"set": name, "options": {field: values[field] for field in NAMED}}


def run(name: str, cells: Cells, seeds: Sequence[int], folder: Path, quick: bool) -> dict[str, list[dict[str, Any]]]:
    """Returns the cells of a set by variant."""
    from autorec.training.options import TrainOptions

    encoded = Encoded(name, folder, quick)
    found: dict[str, list[dict[str, Any]]] = {}
    for variant in QUICK if quick else VARIANTS:
        options = TrainOptions(**VARIANTS[variant])
        cell = configuration(name, options)
        found[variant] = [
            cells.get(cell, seed, lambda seed=seed, options=options: encoded.measure(options, seed)) for seed in seeds
        ]
    return found


def standard_errors(differences: Sequence[float]) -> float:
    """Returns the mean of paired differences over its standard error; 0 where they are all 0."""
    mean = float(np.mean(differences))
    error = float(np.std(differences, ddof=1) / np.sqrt(len(differences)))
    return mean / error if error else 0.0


def figures_of(found: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """Returns the figures; of a difference, above 0 is better for the default recipe."""
    figures: dict[str, Any] = {}
    plain: dict[str, list[float]] = {}
    for name, variants in found.items():
        default = variants["default"]
        for variant, rows in variants.items():
            gains = [row["test_log_loss"] - ours["test_log_loss"] for row, ours in zip(rows, default)]
            figures[f"{name}/{variant}"] = float(np.mean([row["test_log_loss"] for row in rows]))
            figures[f"{name}/{variant}_validation"] = float(np.mean([row[OBJECTIVE] for row in rows]))
            figures[f"{name}/{variant}_minus_default"] = float(np.mean(gains))
            figures[f"{name}/{variant}_se"] = standard_errors(gains)
            if variant == "plain_adam":
                plain[name] = gains
        last = [row["test_last_log_loss"] - row["test_log_loss"] for row in default]
        figures[f"{name}/last_weights_minus_default"] = float(np.mean(last))
        figures[f"{name}/last_weights_se"] = standard_errors(last)
    return {
        "worst_set_se": min(standard_errors(gains) for gains in plain.values()),
        "sets_ahead": sum(float(np.mean(gains)) > 0 for gains in plain.values()),
        "rule_by_validation": rule_by_validation(figures, list(found)),
        **figures,
    }


def rule_by_validation(figures: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Returns the table rule with the least validation log loss, as a share of lazy Adam's and over all sets."""
    if any(f"{name}/rule_{rule}" not in figures for name in names for rule in RULES):
        return None

    def loss(rule: str) -> float:
        key = "{}/rule_{}_validation"
        return sum(figures[key.format(name, rule)] / figures[key.format(name, "adam")] for name in names)

    return min(RULES, key=loss)


def main() -> None:
    options = arguments(__doc__ or "")
    need_data()
    cells = Cells("recipe", METHOD, options.quick)
    seeds = SEEDS[:2] if options.quick else SEEDS
    with tempfile.TemporaryDirectory() as folder:
        found = {name: run(name, cells, seeds, Path(folder), options.quick) for name in sets()}
    finish("recipe", figures_of(found), options.quick, seeds=list(seeds), variants=VARIANTS)


if __name__ == "__main__":
    main()
