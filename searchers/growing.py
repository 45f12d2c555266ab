"""One step of an ensemble that grows: the better candidate joins it, and a rule prunes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autorec.errors import unknown_name
from autorec.searchers.mixture import fit_weights, one_thread
from autorec.searchers.panel import Panel
from autorec.searchers.pruning import ALPHA, RULES, pap, pie, prs


@dataclass(frozen=True)
class Grown:
    """An ensemble behind a step.

    Args:
        winner: Number of the candidate that joined, None if none did.
        members: Numbers of the members that are left, in the order in which they joined.
        weights: A weight for each of all members of the panel.
        loss: The ensemble's loss.
    """

    winner: int | None
    members: tuple[int, ...]
    weights: np.ndarray
    loss: float


def grow(
    panel: Panel,
    members: Sequence[int],
    candidates: Sequence[int],
    rule: str | None = "pie",
    *,
    seed: int = 0,
    alpha: float = ALPHA,
    start: str = "best",
) -> Grown:
    """Returns the ensemble with the better of some candidates, pruned.

    Members are frozen; the weights of all are fitted anew with each candidate. The candidate with which the loss is
    least joins, if it is no higher than without one. Then the rule is applied once, and what it drops is dropped if the
    loss does not rise by it.

    Args:
        panel: What members and candidates answer for the same held-out rows.
        members: Numbers of the members so far, the oldest first.
        candidates: Numbers of the candidates.
        rule: `prs`, `pap` or `pie`; None never prunes.
        seed: Seed of what is by chance in this step.
        alpha, start: See `prune`.

    Raises:
        ConfigError: If the rule is not known.

    Example:
        >>> grow(panel, members=[0, 2], candidates=[4, 5]).members
        (0, 2, 5)

    Source: Cortes et al., "AdaNet: Adaptive Structural Learning of Artificial Neural Networks" (ICML 2017); Bian et
    al., "Sub-Architecture Ensemble Pruning in Neural Architecture Search" (TNNLS 2022). There weights stay equal or
    are learned on the training rows, with a penalty of depth; here they are fitted on the held-out rows.
    """
    if rule is not None and rule not in RULES:
        raise unknown_name("pruning", rule, RULES)
    with one_thread():
        return _grown(panel, members, candidates, rule, np.random.default_rng(seed), alpha, start)


def _grown(
    panel: Panel,
    members: Sequence[int],
    candidates: Sequence[int],
    rule: str | None,
    rng: np.random.Generator,
    alpha: float,
    start: str,
) -> Grown:
    before = _fitted(panel, None, members) if members else None
    tried = [_fitted(panel, candidate, [*members, candidate]) for candidate in candidates]
    best = min(tried, key=lambda each: each.loss, default=before)
    if best is None:
        return Grown(None, (), np.zeros(panel.size), np.inf)
    if before is not None and best.loss > before.loss:
        best = before
    kept = _kept(panel, best, rule, rng, alpha, start)
    if len(kept) == len(best.members):
        return best
    pruned = _fitted(panel, best.winner, [member for member in best.members if member in kept])
    return pruned if pruned.loss <= best.loss else best


def _kept(
    panel: Panel, grown: Grown, rule: str | None, rng: np.random.Generator, alpha: float, start: str
) -> Sequence[int]:
    if rule == "prs":
        return prs(grown.members, rng)
    if rule == "pap":
        return pap(panel, grown.members, grown.weights)
    return grown.members if rule is None else pie(panel, grown.members, rng, alpha=alpha, start=start)


def _fitted(panel: Panel, winner: int | None, members: Sequence[int]) -> Grown:
    weights = fit_weights(panel, members)
    return Grown(winner, tuple(members), weights, panel.loss(weights))
