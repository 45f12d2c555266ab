"""Chooses the members of an ensemble by name of a rule, and estimates what the choice is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autorec.errors import unknown_name
from autorec.searchers.condensing import condense
from autorec.searchers.forward_selection import forward_selection
from autorec.searchers.mixture import one_thread
from autorec.searchers.panel import Panel
from autorec.searchers.pruning import ALPHA, LEAST, RULES, Pruned, check_pruning, prune
from autorec.training.metrics import FEW

#: Names of what chooses members; `auto` is whichever of `TRIED` is best behind cross-fitting, of few rows `answers`.
PRUNINGS = (*RULES, "forward", "answers", "auto")
TRIED = ("pie", "pap", "forward")
FOLDS = 5
_FOLD_ROWS = 20  # of fewer held-out rows in a fold nothing can be told

Choose = Callable[[Panel], Pruned]


def select(
    panel: Panel,
    pruning: str | None = "auto",
    *,
    size: int | None = None,
    seed: int = 0,
    alpha: float = ALPHA,
    start: str = "best",
    enough: int = LEAST,
) -> tuple[Pruned, str | None]:
    """Returns an ensemble of members of a panel, and the name of the rule that chose it.

    Args:
        panel: What the members answer, the best member first.
        pruning: `prs`, `pap` or `pie` (see `prune`), `forward` (see `forward_selection`), `answers` (see `condense`),
            `auto`, or None: the first `size` members as they are.
        size: Most members (1 or more), or None: the rule decides, `answers` keeps eight.
        seed: Seed of what is by chance.
        alpha, start, enough: See `prune`; they are nothing to `forward` and `answers`.

    Raises:
        ConfigError: If an argument is not allowed.
    """
    check_selection(pruning, size, alpha, start, enough)

    def choose(rule: str) -> Choose:
        if rule == "forward":
            return lambda some: forward_selection(some, size=size)
        if rule == "answers":
            return lambda some: condense(some, size)
        return lambda some: prune(some, rule, size=size, seed=seed, alpha=alpha, start=start, enough=enough)

    with one_thread():
        if pruning is None:
            first = panel.size if size is None else min(size, panel.size)
            return prune(panel.of(range(first)), None).among(panel.size, range(first)), None
        if pruning == "auto":
            pruning = quick_rule(panel.labelled)
            if panel.labelled >= FEW:
                pruning = min(TRIED, key=lambda rule: cross_fitted(panel, choose(rule), seed=seed))
        return choose(pruning)(panel), pruning


def quick_rule(rows: int) -> str:
    """Returns the rule to take without trying: `answers` on fewer than 1,000 labelled rows, else `pie`."""
    return "answers" if rows < FEW else "pie"


def check_selection(pruning: Any, size: Any, alpha: Any = ALPHA, start: Any = "best", enough: Any = LEAST) -> None:
    """Checks what `select` takes.

    Raises:
        ConfigError: If it is not allowed.
    """
    if pruning is not None and pruning not in PRUNINGS:
        raise unknown_name("pruning", pruning, PRUNINGS)
    check_pruning(None, size, alpha, start, enough)


def telling(panel: Panel, most: int) -> list[int]:
    """Returns the numbers of so many members, rising: those that forward selection weighs most, then the first."""
    with one_thread():
        weights = forward_selection(panel).weights
    return sorted(np.argsort(-weights, kind="stable")[:most].tolist())


def best_single(panel: Panel) -> Pruned:
    """Returns the ensemble of the one member with the least loss."""
    best = int(np.argmin(panel.single_losses))
    return Pruned((best,), panel.weights([best]), float(panel.single_losses[best]))


def cross_fitted(panel: Panel, choose: Choose, *, folds: int = FOLDS, seed: int = 0) -> float:
    """Returns the mean loss of ensembles on rows by which they were not chosen.

    Members and weights are chosen without a fold of the held-out rows, and judged on it, fold by fold. The loss of an
    ensemble on the rows by which it was chosen flatters it; this one does not. Where rows are too few to be divided it
    is that loss all the same.

    Args:
        panel: What the members answer.
        choose: Chooses an ensemble by some of the rows.
        folds: Number of folds (2 or more).
        seed: Seed of the folds.

    Example:
        >>> cross_fitted(panel, best_single) - cross_fitted(panel, forward_selection)  # what the ensemble gains
    """
    if few(panel, folds):
        return choose(panel).loss
    fold = np.random.default_rng([seed, 7]).permutation(panel.rows) % folds
    losses = []
    for number in range(folds):
        chosen = choose(panel.take(fold != number))
        losses.append(panel.take(fold == number).loss(chosen.weights))
    return float(np.mean(losses))


def few(panel: Panel, folds: int = FOLDS) -> bool:
    """Returns whether the labelled rows of a target are too few to be divided into folds that tell anything."""
    return few_rows(panel.labelled, folds)


def few_rows(rows: int, folds: int = FOLDS) -> bool:
    """Returns whether so many labelled rows are too few to be divided into folds that tell anything."""
    return rows < folds * _FOLD_ROWS
