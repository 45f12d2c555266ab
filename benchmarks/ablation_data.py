"""The sets of `ablation`: their folds, and each user's earlier likes as a sequence.

A set's fold `s` of ten is the validation part of seed `s`; the test rows are the same for all. Histories are made of
the other folds' rows alone: what validation and test rows say of a user is in none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FOLDS = 10
LENGTH = 50
DEMO_ROWS = 80_000
DEMO_HISTORY = 20
QUICK_ROWS = 3000
BOTH = {"user": "user", "item": "item"}


def movielens() -> tuple[Any, Any, str, str]:
    from benchmarks import tasks

    return tasks.movielens_100k_ctr()


def demo() -> tuple[Any, Any, str, str]:
    from autorec.data.demo import click_log

    train, test = click_log(rows=DEMO_ROWS, history=DEMO_HISTORY).split(0.25)
    return train.frame().to_pandas(), test.frame().to_pandas(), "click", "ctr"


def sets() -> dict[str, tuple[Callable[[], tuple[Any, Any, str, str]], dict[str, str]]]:
    """Returns for each set its loader and the roles of its columns."""
    from benchmarks import presets

    known = presets.sets()
    found = {"frappe": known["frappe"], "movielens100k": (movielens, BOTH), "adult": known["adult"]}
    return {**found, "demo": (demo, {**BOTH, "time": "time"})}


def earlier_items(rows: Any, events: Any, length: int = LENGTH) -> list[np.ndarray]:
    """Returns for each row the items of its user's events before it, oldest first, the newest `length` of them.

    Args:
        rows: Frame with `user` and `time`.
        events: Frame with `user`, `item` and `time`, such as likes. One at a row's own time is not before it.
        length: Most items.
    """
    events = events.sort_values(["user", "time"], kind="stable")
    items, times, users = (events[name].to_numpy() for name in ("item", "time", "user"))
    asked, moments = rows["user"].to_numpy(), rows["time"].to_numpy()
    found: list[np.ndarray] = [items[:0]] * len(rows)
    for user in np.unique(asked):
        low, high = np.searchsorted(users, user, "left"), np.searchsorted(users, user, "right")
        for row in np.flatnonzero(asked == user):
            end = low + np.searchsorted(times[low:high], moments[row], "left")
            found[row] = items[max(low, end - length) : end]
    return found


class AblationSet:
    """A set with its folds, encoded when they are first wanted.

    Args:
        name: Name of the set.
        folder: Where the encoded rows go.
        quick: Take a few rows only.
    """

    def __init__(self, name: str, folder: Path, quick: bool) -> None:
        load, self.roles = sets()[name]
        self.name, self.folder = name, folder
        self.train, self.test, self.target, _ = load()
        if quick:
            self.train, self.test = self.train[:QUICK_ROWS], self.test[:QUICK_ROWS]

    @functools.cache  # noqa: B019
    def parts(self, seed: int) -> tuple[Any, Any, Any]:
        """Returns the rows to fit, to validate and to test, with histories where the set has them."""
        order = np.random.default_rng(0).permutation(len(self.train))
        held = np.zeros(len(order), bool)
        held[order[seed % FOLDS :: FOLDS]] = True
        parts = [self.train[~held], self.train[held], self.test]
        parts = [part.reset_index(drop=True) for part in parts]
        if self.name == "movielens100k":
            likes = parts[0][parts[0][self.target] == 1]
            parts = [part.assign(history=earlier_items(part, likes)) for part in parts]
        return parts[0], parts[1], parts[2]

    def schema(self, seed: int) -> Any:
        """Returns the inferred schema, corrected by what is known of the set, as its user would."""
        from benchmarks.presets import schema_of

        schema = schema_of(self.name, self.parts(seed)[0], self.target, self.roles)
        if "history" in schema.names:
            schema["history"].kind, schema["history"].vocabulary = "sequence", "item"
            schema["history"].max_length = LENGTH
        return schema

    def encoded(self, seed: int) -> Any:
        """Returns the encoded rows of a seed's fold."""
        from autorec.data.cache import META, Cache
        from autorec.data.encode import encode
        from autorec.data.table import as_source

        place = self.folder / f"{self.name}-{seed}"
        if (place / META).exists():
            return Cache.open(place)
        fit, validation, _ = (as_source(part) for part in self.parts(seed))
        return encode(fit, self.schema(seed), place, validation=validation)

    def matrices(self, seed: int) -> tuple[list[Any], list[np.ndarray]]:
        """Returns inputs and labels of the three parts for trees: categories, and a history in numbers."""
        import pandas as pd

        schema, parts = self.schema(seed), self.parts(seed)
        joined = pd.concat(parts, ignore_index=True).drop(columns=[self.target])
        if "history" in joined:
            joined = joined.drop(columns="history").assign(**history_numbers(joined, parts[0]))
        for name in joined.columns:
            if name in schema and schema[name].kind in ("categorical", "bag"):
                joined[name] = joined[name].astype("category")
            elif pd.api.types.is_datetime64_any_dtype(joined[name]):
                joined[name] = joined[name].astype("int64") / 1e9
        ends = np.cumsum([len(part) for part in parts])
        x = [joined[end - len(part) : end] for part, end in zip(parts, ends)]
        return x, [part[self.target].to_numpy(float) for part in parts]


def history_numbers(rows: Any, known: Any) -> dict[str, np.ndarray]:
    """Returns the number of past items, and for each column that the item decides, how many of them are alike in it.

    Args:
        rows: Frame with `item` and `history`.
        known: The rows to fit, which say what each item is.
    """
    lengths = np.array([len(items) for items in rows["history"]])
    past = np.concatenate([*rows["history"], np.zeros(0, int)]).astype(int)
    place, several = np.repeat(np.arange(len(rows)), lengths), np.maximum(lengths, 1)
    found: dict[str, np.ndarray] = {"history_length": lengths}
    items = known.drop(columns="history").groupby("item")
    decided = items.nunique(dropna=False).max() == 1
    for name in decided.index[decided]:
        of_item = items[name].first()
        alike = of_item.reindex(past).to_numpy() == rows[name].to_numpy()[place]
        found[f"history_{name}"] = np.bincount(place, alike, minlength=len(rows)) / several
    return found
