"""Every architecture of a closed space, trained once and for all: how far do fidelities, seeds and sets agree?

The space is that of `architecture_table`: 283 graphs on MovieLens-100K (clicks), whose raw dense stream are its
numbers, and the 47 that remain on Frappe, which has none. Each is trained at full fidelity with two seeds and at low
fidelity with one, by one recipe: Adam at one rate, batches of 2048, the weights of the epoch with the least validation
log loss, an end behind two epochs without a new least one. Low fidelity is half of the rows and of the batch, fields
half as wide, and at most six epochs. Each training runs on one thread, so that `--part 0/2` and `--part 1/2` side by
side use two cores and give the same cells.

Agreement is Kendall's tau of the validation log losses: of low against full fidelity, of one seed against the other,
and between the sets over the 47 graphs that both have.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.architecture_table import DIM, Table, graphs, space, values_of
from benchmarks.record import arguments, finish, need_data

SETS = {"movielens100k": True, "frappe": False}  # name -> whether there is a raw dense stream
SEEDS = {"full": (0, 1), "low": (0,)}
OBJECTIVE = "val_log_loss"
BATCH = {"full": 2048, "low": 1024}
RECIPE = {"learning_rate": 2e-3, "plateau": False, "patience": 2}
EPOCHS = {"full": 20, "low": 6}
LOW_ROWS = 0.5
LOW_DIM = DIM // 2
QUICK_GRAPHS = 5
QUICK_ROWS = 4000
#: What every process of this benchmark computes with, before TensorFlow is imported.
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Encoded:
    """A set without statistics, encoded at the first training.

    Args:
        name: Name of the set.
        folder: Where the cache goes.
        quick: Take a few rows and epochs only.
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
        train = train[:QUICK_ROWS] if self.quick else train
        schema = schema_of(self.name, train, target, roles)
        self.cache = encode(as_source(train), schema, self.folder / self.name, statistics=None)

    def measure(self, graph: str, fidelity: str, seed: int) -> dict[str, float]:
        """Returns what a training of a graph comes to."""
        import keras

        from autorec.searchers.fidelity import Fidelity
        from autorec.searchers.limits import limited
        from autorec.spaces.operations import dense_parameters, operations
        from autorec.training.options import TrainOptions
        from autorec.training.trainer import train

        self.open()
        low, layout = fidelity == "low", self.cache.layout
        limit = Fidelity(rows=int(LOW_ROWS * self.cache.train.rows) if low else None)
        keras.utils.set_random_seed(seed)
        model = space(LOW_DIM if low else DIM).build_for(layout, values_of(graph))
        begin = time.process_time()
        result = train(
            model,
            [limited(self.cache.train, layout, limit)],
            self.cache.validation,
            layout=layout,
            options=TrainOptions(**RECIPE),
            batch_size=BATCH[fidelity],
            epochs=1 if self.quick else EPOCHS[fidelity],
            seed=seed,
            objective=OBJECTIVE,
        )
        found = {
            "val_log_loss": round(result.metrics["val_log_loss"], 6),
            "val_auc": round(result.metrics["val_auc"], 6),
            "epochs": len(result.history),
            "train": round(time.process_time() - begin, 2),
            "operations": operations(model),
            "dense_parameters": dense_parameters(model),
        }
        keras.utils.clear_session()
        return found


def jobs(quick: bool) -> list[tuple[str, str, str, int]]:
    """Returns set, graph, fidelity and seed of every training, those first that say most."""
    found = []
    for name, dense in SETS.items():
        for fidelity, seeds in SEEDS.items():
            for seed in seeds:
                each = graphs(dense)
                each = graphs(False)[:QUICK_GRAPHS] if quick else each
                found += [(name, graph, fidelity, seed) for graph in each]
    return sorted(found, key=lambda job: (job[3], job[2] == "low"))


def run(table: Table, chosen: Sequence[tuple[str, str, str, int]], quick: bool) -> None:
    """Trains what is not in the table yet."""
    with tempfile.TemporaryDirectory() as folder:
        encoded = {name: Encoded(name, Path(folder), quick) for name in SETS}
        for name, graph, fidelity, seed in chosen:
            table.get(
                {"set": name, "graph": graph, "fidelity": fidelity},
                seed,
                lambda of=encoded[name], graph=graph, low=fidelity, seed=seed: of.measure(graph, low, seed),
            )


def tau(one: dict[str, float], other: dict[str, float]) -> float:
    """Returns Kendall's tau of two losses over the graphs that have both."""
    from scipy.stats import kendalltau

    both = [graph for graph in one if graph in other]
    return round(float(kendalltau([one[g] for g in both], [other[g] for g in both]).statistic), 4)


def figures_of(table: Table) -> dict[str, Any]:
    """Returns the figures of a table that is whole."""
    figures: dict[str, Any] = {}
    full = {name: table.losses(name, "full", SEEDS["full"]) for name in SETS}
    low = {name: table.losses(name, "low", SEEDS["low"]) for name in SETS}
    for name in SETS:
        figures[f"tau_between_fidelities_{name}"] = tau(low[name], full[name])
        seeds = [table.losses(name, "full", (seed,)) for seed in SEEDS["full"]]
        figures[f"tau_between_seeds_{name}"] = tau(*seeds)
    figures["tau_between_sets"] = tau(*full.values())
    figures["tau_between_sets_at_low_fidelity"] = tau(*low.values())
    for name, losses in full.items():
        ranked = sorted(losses, key=lambda graph: losses[graph])
        figures[f"{name}/graphs"] = len(ranked)
        figures[f"{name}/best"] = ranked[0]
        figures[f"{name}/best_at_low_fidelity"] = min(low[name], key=lambda graph: low[name][graph])
        picked = full[name][figures[f"{name}/best_at_low_fidelity"]]
        figures[f"{name}/rank_of_the_best_at_low_fidelity"] = 1 + sum(loss < picked for loss in losses.values())
        for words, place in (("least", 0), ("median", len(ranked) // 2), ("largest", -1)):
            figures[f"{name}/{words}_log_loss"] = round(losses[ranked[place]], 6)
        for fidelity in SEEDS:
            figures[f"{name}/seconds_{fidelity}"] = round(statistics.mean(table.seconds(name, fidelity)), 2)
    return figures


def share_of(text: str | None) -> tuple[int, int]:
    """Returns number and count of a part such as `0/2`."""
    number, _, count = (text or "0/1").partition("/")
    return int(number), int(count)


def main() -> None:
    options = arguments(__doc__ or "", part={"default": None, "help": "such as 0/2: every second training, no record"})
    need_data()
    os.environ.update(ONE_THREAD)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    table = Table(options.quick)
    number, count = share_of(options.part)
    run(table, jobs(options.quick)[number::count], options.quick)
    if options.part is None:
        table.pack()
        finish("architectures", figures_of(table), options.quick, recipe=RECIPE, epochs=EPOCHS, batch_size=BATCH)


if __name__ == "__main__":
    main()
