"""Which trials of a run may be members of an ensemble, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autorec.data.cache import Part
from autorec.data.layout import Layout
from autorec.errors import ConfigError
from autorec.loading import MODEL
from autorec.run import FOREST, Run
from autorec.searchers.panel import Panel, Votes
from autorec.training.validation import measure

#: Validation rows by which members are chosen, at most; among 30 trials a rule takes a second with so many, `auto` ten.
ROWS = 10_000
_RARE = 500  # rows of a class, of fewer of which a draw of all rows alike has too few

Row = dict[str, Any]


def good_trials(run: Run) -> list[Row]:
    """Returns the forest, and trials of the best fidelity whose files are kept, the best first."""
    trained = [row for row in run.leaderboard() if row["kind"] == "trial" or row.get("name") == FOREST]
    trained = [row for row in trained if row["status"] == "completed"]
    best: dict[str, int] = next((row["fidelity"] for row in trained if row["rank"] == 1), {})
    return [row for row in trained if row["fidelity"] == best and (run.model_directory(row) / MODEL).exists()]


def name_of(row: Row) -> int | str:
    """Returns by what a member is named: the number of a trial, `forest`."""
    return FOREST if row["number"] is None else int(row["number"])


def named_trials(run: Run, trials: Sequence[Any] | None) -> list[Row]:
    """Returns the good trials of a run, or those of them that are named.

    Args:
        run: The run.
        trials: Numbers of trials or paths of their folders, and `"forest"`; None takes all good ones.

    Raises:
        ConfigError: If one is no good trial of this run, or is named twice.
    """
    good = good_trials(run)
    if trials is None:
        return good
    if isinstance(trials, (str, Path)) or not isinstance(trials, Sequence) or not trials:
        raise ConfigError("trials", "a list of numbers of trials or paths of their folders", trials)
    numbers = [_number(run, trial) for trial in trials]
    by_number = {name_of(row): row for row in good}
    for number, trial in zip(numbers, trials):
        if number not in by_number:
            hint = "Those are trained, at the best fidelity, and their files are kept."
            raise ConfigError("trials", f"some of the trials {sorted(by_number, key=str)}", trial, hint)
    if len(set(numbers)) < len(numbers):
        raise ConfigError("trials", "different trials", list(trials))
    return [row for row in good if name_of(row) in numbers]


def _number(run: Run, trial: Any) -> int | str:
    if isinstance(trial, str) and trial == FOREST:
        return FOREST
    if isinstance(trial, (int, np.integer)) and not isinstance(trial, bool):
        return int(trial)
    if not isinstance(trial, (str, Path)):
        raise ConfigError("trials", "numbers of trials or paths of their folders", trial)
    path = Path(trial).resolve()
    if path.parent != (run.directory / "trials").resolve() or not path.name.isdigit():
        hint = "The members of an ensemble are of one run, which encoded its columns once."
        raise ConfigError("trials", f"folders of trials of the run {run.directory}", str(trial), hint)
    return int(path.name)


def panel_of(outputs: Sequence[np.ndarray], part: Part, layout: Layout, *, seed: int = 0, most: int = ROWS) -> Panel:
    """Returns what trials answer for the labelled validation rows, or for some of them where they are many.

    Rows are drawn alike, but where few of them are of a class of clicks, which tells nearly all there is to tell. Then
    as many of it are taken as there are, up to half, and the others weigh more.

    Args:
        outputs: (targets, rows) of each trial.
        part: The validation rows.
        layout: Their columns.
        seed: Seed of the rows that are taken.
        most: Most rows of a target.
    """
    order = np.random.default_rng([seed, 8]).permutation(part.rows)
    votes = []
    for place, target in enumerate(layout.targets):
        labels = np.asarray(part.labels[:, place])
        rows, weights = _drawn(labels, order, most, target.kind == "binary")
        if part.weights is not None:
            given = np.asarray(part.weights)[rows]
            weights = given if weights is None else weights * given
        if len(rows):
            bounds: dict[str, Any] = {}
            if target.kind == "real":
                bounds = {"scale": target.std, "low": target.low, "high": target.high}
            own = np.stack([each[place][rows] for each in outputs])  # (members, rows)
            votes.append(Votes(own, labels[rows], target.kind, weights, numbers=rows, **bounds))
    return Panel(votes)


def _drawn(labels: np.ndarray, order: np.ndarray, most: int, binary: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the numbers of labelled rows, rising, at most so many, and what each stands for, or None for one."""
    taken = np.zeros(len(labels), bool)
    taken[order[:most]] = True
    rows = np.flatnonzero(taken & ~np.isnan(labels))
    if not binary or len(labels) <= most:
        return rows, None
    ones = int((labels[rows] > 0.5).sum())
    rare = ones < len(rows) - ones  # whether ones are the rarer class
    if min(ones, len(rows) - ones) >= _RARE:
        return rows, None
    shuffled = order[~np.isnan(labels[order])]
    of_rare = (labels[shuffled] > 0.5) == rare
    few, many = shuffled[of_rare], shuffled[~of_rare]
    kept = [few[: most // 2], many[: most - min(len(few), most // 2)]]
    stands_for = [len(all_rows) / max(len(some), 1) for all_rows, some in zip((few, many), kept)]
    rows = np.concatenate(kept)
    weights = np.repeat(stands_for, [len(some) for some in kept])
    rising = np.argsort(rows)
    return rows[rising], weights[rising]


def labelled(part: Part) -> int:
    """Returns the number of rows with a label of the target that has the fewest, of those that have any."""
    counts = (~np.isnan(np.asarray(part.labels))).sum(0)
    return int(counts[counts > 0].min(initial=part.rows)) if counts.any() else 0


def metrics_of(run: Run, outputs: np.ndarray, part: Part, layout: Layout) -> dict[str, float]:
    """Returns the metrics of a member's or an ensemble's answers, as those of the run's trials are made.

    Args:
        run: The run, whose options weigh the targets.
        outputs: (targets, rows) logits or values.
        part: The validation rows.
        layout: Their columns.
    """
    loss_weights = (run.config or {}).get("options", {}).get("loss_weights")
    by_target = {target.name: values for target, values in zip(layout.targets, outputs)}
    return measure(by_target, part, layout, loss_weights)


def check_size(size: Any, count: int) -> None:
    """Checks the size of an ensemble against the number of trials that it may have.

    Raises:
        ConfigError: If there are fewer of them.
    """
    if isinstance(size, int) and size > count:
        hint = "They are trained, at the best fidelity, and their files are kept: a search keeps more with `keep=`."
        raise ConfigError("size", f"at most {count}, the number of good trials", size, hint)
