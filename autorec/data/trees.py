"""Writes the columns that small forests give: their predictions and the leaves of their trees.

The labelled training rows, or a sample of them, fall into three shares at random. For each share a small forest is
grown on the two others with LightGBM. Training rows of a share are served by the forest that has not seen them, all
other rows by all forests:

    margin(x) = mean of the forests' sums of leaf values, over the forests that serve x
    leaf_t(x) = the leaf of x in tree t, or 0, the missing value, if t has seen x

So no training row meets a tree that knows its label, and yet a leaf means the same for every row, also for all later
ones. Shares are drawn at random, also where rows have a time: like k-fold statistics, and unlike ordered ones, a
margin knows later rows. Trees read numbers, ids of small vocabularies, and for large ones the statistics of columns and
pairs; no bags and sequences.

Leaves as inputs of another model: He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook" (ADKDD
2014), where trees and model learn from different days. Predictions out of fold: Wolpert, "Stacked Generalization"
(Neural Networks, 1992).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from autorec.data.cache import Part, open_part
from autorec.data.column_file import new_column_file
from autorec.data.encoder import Encoder
from autorec.data.forest import FIRST_LEAF, MOST_LEAVES, Forest
from autorec.data.forest_tables import TreeInput, forest_of
from autorec.data.layout import Layout, LeafColumn, StatisticColumn, TargetColumn
from autorec.data.statistics import BLOCK

SHARES = 3
MOST_TREES = (128, 512)  # of a forest, of all together
FIELDS = (16, 64)  # first trees of each forest whose leaves are fields; of all forests together
_ROWS = 200_000  # of the sample
_LEAST = 100  # labelled rows of a share
_CATEGORIES = 256  # most ids of a column that trees read; statistics stand for the others
_STOPPING = 0.1  # of a share, by which growing is stopped
_PATIENCE = 20
_ROWS_A_THREAD = 50_000

SETTINGS = {
    "learning_rate": 0.05,
    "num_leaves": MOST_LEAVES,
    "min_data_in_leaf": 20,
    "cat_smooth": 10,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class _TimeIsUp(Exception):
    """The deadline has come."""


@dataclass
class TreeColumns:
    """Grows the forests and writes the groups `margins` and `leaves` of the parts; or neither, if time is up.

    Args:
        encoder: Gets the forest and the columns' descriptions.
        folder: Where the parts are.
        description: Of each part's files; gets the new ones.
        seed: Seed of the shares and of LightGBM.
        deadline: `time.monotonic()` at which the forests have to be grown and the columns written, or None.
        say: Called with a text for the user.
    """

    encoder: Encoder
    folder: Path
    description: dict[str, Any]
    seed: int
    deadline: float | None
    say: Callable[[str], None]

    def make(self) -> None:
        """Grows the forests and writes the columns."""
        part = self._part("train")
        inputs = tree_inputs(self.encoder.layout)
        if not inputs:
            return
        shares = _shares(part.labels, self.seed)
        if shares is None:
            self.say(f"no trees: they need {SHARES * _LEAST} labelled rows of each target")
            return
        try:
            forest = self._grow(part, inputs, shares)
            if not forest.columns:
                self.say("no trees: no column tells enough to split the rows by it")
                return
            moments = self._write("train", forest, shares)
            if "validation" in self.description:
                self._write("validation", forest, None)
        except _TimeIsUp:
            self._withdraw()
            self.say("no trees: there is no time for them")
            return
        self.encoder.forest = forest
        self._describe(moments, forest)

    def _part(self, name: str) -> Part:
        return open_part(self.folder / name, self.description[name])

    def _grow(self, part: Part, inputs: Sequence[TreeInput], shares: np.ndarray) -> Forest:
        trees: list[dict[str, Any]] = []
        targets: list[int] = []
        unseen: list[int] = []
        fields: list[int] = []
        for target, column in enumerate(self.encoder.layout.targets):
            for share in range(SHARES):
                used = (shares >= 0) & (shares != share) & ~np.isnan(part.labels[:, target])
                found = self._forest(part, inputs, column, target, np.flatnonzero(used))
                fields += range(len(trees), len(trees) + min(len(found), self._most(FIELDS)))
                trees += found
                targets += [target] * len(found)
                unseen += [share] * len(found)
        return forest_of(trees, inputs, targets, unseen, fields)

    def _most(self, limits: tuple[int, int]) -> int:
        """Returns how many trees of a forest are within the limits of one and of all."""
        return max(min(limits[0], limits[1] // (SHARES * len(self.encoder.layout.targets))), 1)

    def _forest(
        self, part: Part, inputs: Sequence[TreeInput], column: TargetColumn, target: int, rows: np.ndarray
    ) -> list[dict[str, Any]]:
        """Returns the trees that are grown on some rows, in LightGBM's form."""
        import lightgbm

        self._check_time()
        grown, held = self._datasets(part, inputs, target, rows)
        settings = SETTINGS | {
            "objective": "binary" if column.kind == "binary" else "regression",
            "num_threads": min(os.cpu_count() or 1, 1 + len(rows) // _ROWS_A_THREAD),
            "seed": self.seed,
        }
        stops = [lightgbm.early_stopping(_PATIENCE, verbose=False), lambda env: self._check_time()]
        model = lightgbm.train(settings, grown, self._most(MOST_TREES), valid_sets=[held], callbacks=stops)
        return list(model.dump_model(num_iteration=model.best_iteration)["tree_info"])

    def _datasets(self, part: Part, inputs: Sequence[TreeInput], target: int, rows: np.ndarray) -> tuple[Any, Any]:
        """Returns the rows to grow trees on, and those that tell when to stop, as LightGBM takes them."""
        import lightgbm

        order = np.random.default_rng([self.seed, 13, target]).permutation(len(rows))
        cut = max(int(_STOPPING * len(rows)), 1)
        matrix, labels = matrix_of(part, rows, inputs), part.labels[rows, target]
        weights = None if part.weights is None else part.weights[rows]
        ids = [number for number, given in enumerate(inputs) if given.size is not None]

        def data(chosen: np.ndarray, reference: Any = None) -> Any:
            of = None if weights is None else weights[chosen]
            given = {"weight": of, "reference": reference, "params": {"verbosity": -1}}
            return lightgbm.Dataset(matrix[chosen], labels[chosen], categorical_feature=ids, **given)

        grown = data(np.sort(order[cut:]))
        return grown, data(np.sort(order[:cut]), grown)

    def _check_time(self) -> None:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise _TimeIsUp

    def _write(self, name: str, forest: Forest, shares: np.ndarray | None) -> np.ndarray:
        """Writes the columns of a part; `shares` are those of the training rows.

        Returns:
            (2, targets), the means of the margins and of their squares.
        """
        part = self._part(name)
        targets = len(self.encoder.layout.targets)
        margins = new_column_file(self.folder, self.description, name, "margins", "<f4", targets)
        leaves = new_column_file(self.folder, self.description, name, "leaves", "<i4", len(forest.fields))
        sums = np.zeros((2, targets))
        for start in range(0, part.rows, BLOCK):
            self._check_time()
            rows = slice(start, min(start + BLOCK, part.rows))
            found = forest.leaves(part.take(rows, forest.groups))
            of = None if shares is None else shares[rows]
            margins[rows] = forest.margins(found, of)
            leaves[rows] = forest.local_ids(found, of)
            sums += [margins[rows].sum(0, dtype=np.float64), np.square(margins[rows], dtype=np.float64).sum(0)]
        return sums / part.rows

    def _withdraw(self) -> None:
        """Takes back the files of columns that are not whole."""
        for name, part in self.description.items():
            for group in ("margins", "leaves"):
                if part["files"].pop(group, None) is not None:
                    (self.folder / name / f"{group}.bin").unlink()

    def _describe(self, moments: np.ndarray, forest: Forest) -> None:
        std = np.sqrt(np.maximum(moments[1] - moments[0] ** 2, 0.0))
        self.encoder.layout = replace(
            self.encoder.layout,
            margins=tuple(
                StatisticColumn(f"margin({target.name})", (), "margin", target.name, float(mean), float(spread))
                for target, mean, spread in zip(
                    self.encoder.layout.targets, moments[0], np.where(std > 1e-6, std, 1.0), strict=True
                )
            ),
            leaves=tuple(LeafColumn(f"tree {i}", int(forest.sizes[i]) + FIRST_LEAF) for i in forest.fields),
        )


def tree_inputs(layout: Layout) -> list[TreeInput]:
    """Returns the columns that trees read: ids of small vocabularies, numbers, and what stands for the other ids.

    That are the statistics of columns and pairs in which a vocabulary is large. Those of small ones would tell trees
    nothing that the ids do not, and training rows and later ones differ a little in them.
    """
    small = {column.name for column in layout.ids if column.size <= _CATEGORIES}
    found = [TreeInput("ids", i, c.size) for i, c in enumerate(layout.ids) if c.name in small]
    found += [TreeInput("numbers", i) for i in range(len(layout.numbers))]
    for group in ("statistics", "pairs"):
        columns = enumerate(getattr(layout, group))
        found += [TreeInput(group, i) for i, column in columns if not small.issuperset(column.sources)]
    return found


def matrix_of(part: Part, rows: np.ndarray, inputs: Sequence[TreeInput]) -> np.ndarray:
    """Returns some rows of the columns that trees read, (rows, columns) float64."""
    arrays = part.take(rows, dict.fromkeys(given.group for given in inputs))
    return np.stack([arrays[given.group][:, given.position].astype(np.float64) for given in inputs], 1)


def _shares(labels: np.ndarray, seed: int) -> np.ndarray | None:
    """Returns the share of each training row, -1 for one outside of the sample; None where there are too few rows."""
    known = ~np.isnan(labels)
    rng = np.random.default_rng([seed, 11])
    chosen = rng.permutation(np.flatnonzero(known.any(1)))[:_ROWS]
    # In the order of the labels, so that all shares have the same mean: what a forest starts from would otherwise tell
    # whether the mean of the rows that it has not seen is above or below.
    chosen = chosen[np.argsort(labels[chosen, 0], kind="stable")]
    shares = np.full(len(labels), -1, np.int8)
    shares[chosen] = np.arange(len(chosen)) % SHARES
    least = min(known[shares == share].sum(0).min() for share in range(SHARES))
    return shares if least >= _LEAST else None
