"""SAEP's three rules that prune an ensemble: by chance (PRS), by accuracy (PAP), by information (PIE)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autorec.errors import ConfigError, unknown_name
from autorec.searchers.mixture import PRIOR, fit_weights
from autorec.searchers.panel import Panel

RULES = ("prs", "pap", "pie")
STARTS = ("best", "random")
ALPHA = 0.5
LEAST = 2  # members that every rule leaves as they are
SURE = 2.0  # standard errors that a difference of losses has to exceed: less may be the chance of the rows
_CHANCE = 0.5  # that PRS drops a member

Step = Callable[[list[int], np.ndarray], list[int]]


@dataclass(frozen=True)
class Pruned:
    """An ensemble of some members of a panel.

    Args:
        members: Their numbers, rising.
        weights: A weight for each of all members of the panel, not negative, with the sum 1.
        loss: Its loss on the panel's rows.
    """

    members: tuple[int, ...]
    weights: np.ndarray
    loss: float

    def among(self, count: int, numbers: Sequence[int]) -> Pruned:
        """Returns the same ensemble among `count` members, of which this one's panel had those with `numbers`."""
        weights = np.zeros(count)
        weights[list(numbers)] = self.weights
        return Pruned(tuple(numbers[member] for member in self.members), weights, self.loss)


def prs(members: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Returns the members that are kept by chance: with probability 1/2 all, else all but one, each as likely.

    Args:
        members: Numbers of the members; two or fewer are all kept.
        rng: Source of chance.
    """
    kept = list(members)
    if len(kept) > LEAST and rng.random() < _CHANCE:
        kept.pop(int(rng.integers(len(kept))))
    return kept


def pap(panel: Panel, members: Sequence[int], weights: np.ndarray) -> list[int]:
    """Returns the members that are kept by accuracy: all whose absence alone does not lower the error.

    Both errors are of the same rows: that of the full vote, and that of the vote without a member, the other weights
    scaled to the sum 1. Would none be kept, the two are whose absence harms most.

    Args:
        panel: What the members answer.
        members: Numbers of the members; two or fewer are all kept.
        weights: A weight for each of all members of the panel.
    """
    chosen = list(members)
    if len(chosen) <= LEAST:
        return chosen
    harms = harms_of(panel, chosen, weights)
    kept = [member for member, harm in zip(chosen, harms) if harm >= 0.0]
    if len(kept) < LEAST:
        order = sorted(range(len(chosen)), key=lambda place: (-harms[place], chosen[place]))
        kept = sorted(chosen[place] for place in order[:LEAST])
    return kept


def harms_of(
    panel: Panel, members: Sequence[int], weights: np.ndarray, figure: Callable[[np.ndarray], float] | None = None
) -> np.ndarray:
    """Returns by how much the error (or another figure) rises without each member; below 0 it is better without it."""
    figure = panel.error if figure is None else figure
    full = figure(weights)
    harms = []
    for member in members:
        rest = [other for other in members if other != member]
        total = weights[rest].sum()
        left = weights[rest] / total if total > 0.0 else None  # None: equal ones
        harms.append(figure(panel.weights(rest, left)) - full)
    return np.array(harms)


def pie(
    panel: Panel, members: Sequence[int], rng: np.random.Generator, *, alpha: float = ALPHA, start: str = "random"
) -> list[int]:
    """Returns the members that are kept by information: all but one, the one that tells least beside the others.

    `S = {first}`, then until |S| = n - 1 it gets `argmax_i sum_{j in S} TDAC(i, j)`; of equal ones the lowest number.
    Where the labels have one value only, all are kept.

    Args:
        panel: What the members answer.
        members: Numbers of the members; two or fewer are all kept.
        rng: Source of chance, for the first one.
        alpha: Share of diversity against accuracy, in [0, 1].
        start: The first one: `random`, or the `best` by its own loss.
    """
    chosen = list(members)
    if len(chosen) <= LEAST or not panel.telling:
        return chosen
    scores = panel.tdac(alpha)[np.ix_(chosen, chosen)]
    first = int(rng.integers(len(chosen)))
    if start == "best":
        first = int(np.argmin(panel.single_losses[chosen]))
    kept, left = [first], [place for place in range(len(chosen)) if place != first]
    while len(kept) < len(chosen) - 1:
        kept.append(left.pop(int(np.argmax(scores[np.ix_(left, kept)].sum(1)))))
    return sorted(chosen[place] for place in kept)


def prune(
    panel: Panel,
    rule: str | None = "pie",
    *,
    size: int | None = None,
    seed: int = 0,
    alpha: float = ALPHA,
    start: str = "best",
    enough: int = LEAST,
    guarded: bool = True,
    tolerance: float = 0.0,
    prior: float = PRIOR,
) -> Pruned:
    """Returns the ensemble that is left when a rule has been applied again and again, its weights refitted.

    A step of the rule is taken if the loss of the ensemble with refitted weights does not rise by it. Where it would,
    or the rule drops none, the member goes whose absence harms least, if that does not raise the loss. When neither is
    left, it ends; only down to `size` the better of the two is taken whatever it harms.

    Args:
        panel: What the members answer for the same held-out rows, which no member was fitted to.
        rule: `prs`, `pap` or `pie`; None prunes nothing.
        size: Most members (1 or more), or None.
        seed: Seed of what is by chance.
        alpha: Share of diversity against accuracy in PIE, in [0, 1].
        start: First member of PIE: `best` or `random`.
        enough: Number of members (2 or more) at which, and below which, a step is taken only if the loss falls by more
            than two standard errors of the difference. Of few rows it falls by chance: an ensemble of some members more
            is better on other rows than what is left where the loss is least.
        guarded: False takes the steps of the rule alone: with a size all of them, until no more are left, without one
            until the loss rises. Of clicks PIE's diversity alone may then keep members that have learned nothing.
        tolerance: By how much a step may raise the loss (0 or more).
        prior: See `fit_weights`.

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> prune(panel, "pie", size=5).members
        (0, 3, 4, 8, 11)

    Source: Bian et al., "Sub-Architecture Ensemble Pruning in Neural Architecture Search" (TNNLS 2022). There scores
    of classes alone are pruned, and a pruned member keeps its place with a logit of 0; here it is gone.
    """
    check_pruning(rule, size, alpha, start, enough)
    step = _step(panel, rule, np.random.default_rng(seed), alpha, start)
    found = _fitted(panel, list(range(panel.size)), prior)

    def allowed(each: Pruned) -> bool:
        few = len(found.members) <= enough
        sure = SURE * panel.standard_error(found.weights, each.weights) if few else 0.0
        return each.loss <= found.loss + tolerance - sure

    while rule is not None and len(found.members) > (LEAST if size is None else min(size, LEAST)):
        over = size is not None and len(found.members) > size
        if not over and not guarded and size is not None:
            break
        tried = _tried(panel, found, rule, step, guarded, over, allowed, prior)
        fine = [each for each in tried if allowed(each)]
        if not fine and not over:
            break
        found = fine[0] if fine else min(tried, key=lambda each: each.loss)
    return found


def _tried(
    panel: Panel,
    found: Pruned,
    rule: str,
    step: Step,
    guarded: bool,
    over: bool,
    allowed: Callable[[Pruned], bool],
    prior: float,
) -> list[Pruned]:
    """Returns what a step of the rule leaves, and behind it what the least harmful one leaves, where that counts."""
    members = list(found.members)
    kept = step(members, found.weights)
    while kept == members and rule == "prs" and len(members) > LEAST:
        kept = step(members, found.weights)  # the coin once more
    tried = [] if kept == members else [_fitted(panel, kept, prior, found.weights)]
    refused = guarded and bool(tried) and not allowed(tried[0])
    if refused or (not tried and (guarded or over)):
        least = members[int(np.argmin(harms_of(panel, members, found.weights, panel.loss)))]
        tried.append(_fitted(panel, [member for member in members if member != least], prior, found.weights))
    return tried


def _step(panel: Panel, rule: str | None, rng: np.random.Generator, alpha: float, start: str) -> Step:
    if rule == "prs":
        return lambda members, weights: prs(members, rng)
    if rule == "pap":
        return lambda members, weights: pap(panel, members, weights)
    return lambda members, weights: pie(panel, members, rng, alpha=alpha, start=start)


def _fitted(panel: Panel, members: Sequence[int], prior: float, start: np.ndarray | None = None) -> Pruned:
    weights = fit_weights(panel, members, prior=prior, start=start)
    return Pruned(tuple(members), weights, panel.loss(weights))


def check_pruning(rule: str | None, size: int | None, alpha: float, start: str, enough: int = LEAST) -> None:
    """Checks what `prune` takes.

    Raises:
        ConfigError: If it is not allowed.
    """
    if rule is not None and rule not in RULES:
        raise unknown_name("pruning", rule, RULES)
    if start not in STARTS:
        raise unknown_name("start", start, STARTS)
    if isinstance(enough, bool) or not isinstance(enough, int) or enough < LEAST:
        raise ConfigError("enough", f"a whole number of {LEAST} or more", enough)
    check_size(size)
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0.0 <= alpha <= 1.0:
        raise ConfigError("alpha", "a number from 0 to 1", alpha)


def check_size(size: object) -> None:
    """Checks the size of an ensemble.

    Raises:
        ConfigError: If it is neither None nor a whole number of 1 or more.
    """
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ConfigError("size", "a whole number of 1 or more, or None", size)
