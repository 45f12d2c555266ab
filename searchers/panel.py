"""The members of an ensemble, by what they answer for the same held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from autorec.errors import ConfigError, unknown_name
from autorec.searchers.entropies import tdac

BINS = 10
KINDS = ("binary", "real", "classes")


@dataclass(frozen=True)
class Votes:
    """What members answer for one target.

    The ensemble's answer is the weighted mean of its members' outputs: `F(x) = sum_j w_j z_j(x)` with weights that are
    not negative and sum to 1.

    Args:
        outputs: (members, rows) logits of a `binary` target or values of a `real` one; (members, rows, classes) logits
            of `classes`.
        labels: (rows,) 0 and 1, values, or classes from 0.
        kind: `binary`, `real` or `classes`.
        weights: (rows,) weights of the rows; None counts them alike.
        scale: Unit of a real target's errors, such as its standard deviation.
        low, high: Bounds that a real target's answers are kept within.
        numbers: (rows,) numbers of the rows among all held-out ones, where some have no label; None is all of them.
        binned: (members, rows) the bins of the scores, where these are some of the rows that were binned together.

    Raises:
        ConfigError: If the shapes do not fit each other, or the kind is not known.

    Example:
        >>> Votes(np.stack([one, other]), labels, "binary").loss(np.array([0.5, 0.5]))
    """

    outputs: np.ndarray
    labels: np.ndarray
    kind: str
    weights: np.ndarray | None = None
    scale: float = 1.0
    low: float = -np.inf
    high: float = np.inf
    numbers: np.ndarray | None = None
    binned: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind", self.kind, KINDS)
        shape, dimensions = np.shape(self.outputs), 2 + (self.kind == "classes")
        if len(shape) != dimensions or shape[1] != len(self.labels) or not shape[0] or not shape[1]:
            wanted = "(members, rows, classes)" if self.kind == "classes" else "(members, rows)"
            raise ConfigError("outputs", f"{wanted} for {len(self.labels)} labels, at least one of each", shape)

    @cached_property
    def shares(self) -> np.ndarray:
        """Weights of the rows that sum to 1, (rows,)."""
        weights = np.ones(len(self.labels)) if self.weights is None else np.asarray(self.weights, np.float64)
        return np.asarray(weights / weights.sum())

    @cached_property
    def scores(self) -> np.ndarray:
        """The outputs in float64."""
        return np.asarray(self.outputs, np.float64)

    @cached_property
    def bins(self) -> np.ndarray:
        """Hard predictions, (members, rows): classes, or ten bins by the quantiles of all members' scores together."""
        if self.binned is not None:
            return self.binned
        if self.kind == "classes":
            return np.asarray(self.scores.argmax(2))
        return quantile_bins(self.scores, self.scores)

    @cached_property
    def label_bins(self) -> np.ndarray:
        """The labels as whole numbers from 0, (rows,); values by their own quantiles."""
        labels = np.asarray(self.labels, np.float64)
        return quantile_bins(labels, labels) if self.kind == "real" else (labels + 0.5).astype(np.int64)

    @cached_property
    def decisions(self) -> np.ndarray:
        """What members decide for, (members, rows): the class; for clicks, as many ones in all as labels have; a bin.

        A threshold of one half would hardly ever be reached where clicks are rare.
        """
        if self.kind != "binary":
            return self.bins
        share = min(max(float(self.shares @ np.asarray(self.labels, np.float64)), 0.0), 1.0)
        if self.weights is None:
            border = np.quantile(self.scores, 1.0 - share)
        else:
            each = np.broadcast_to(self.shares, self.scores.shape).ravel()
            border = np.quantile(self.scores.ravel(), 1.0 - share, weights=each, method="inverted_cdf")
        return (self.scores > border).astype(np.int64)

    @cached_property
    def right(self) -> np.ndarray:
        """Whether a member's decision is the label's, (members, rows)."""
        if self.kind == "real":
            return np.asarray(self.bins == quantile_bins(np.asarray(self.labels, np.float64), self.scores))
        return np.asarray(self.decisions == self.label_bins)

    def loss(self, weights: np.ndarray) -> float:
        """Returns the ensemble's mean log loss, or squared error over the scale's square."""
        return float(self.shares @ self.losses(np.tensordot(weights, self.scores, 1)))

    def losses(self, answers: np.ndarray) -> np.ndarray:
        """Returns the loss of each row of some outputs, (rows,)."""
        if self.kind == "binary":
            return np.asarray(np.logaddexp(0.0, answers) - self.labels * answers)
        if self.kind == "real":
            return np.asarray(((np.clip(answers, self.low, self.high) - self.labels) / self.scale) ** 2)
        known = answers[np.arange(len(answers)), self.label_bins]
        return np.asarray(np.logaddexp.reduce(answers, axis=1) - known)

    def error(self, weights: np.ndarray) -> float:
        """Returns what PAP compares: the error rate of `sum_j w_j softmax(z_j)` for classes, else the loss."""
        if self.kind != "classes":
            return self.loss(weights)
        voted = np.tensordot(weights, self._chances, 1).argmax(1)
        return float(self.shares @ (voted != self.label_bins))

    @cached_property
    def _chances(self) -> np.ndarray:
        high = np.exp(self.scores - self.scores.max(2, keepdims=True))
        return np.asarray(high / high.sum(2, keepdims=True))

    def take(self, chosen: np.ndarray) -> Votes:
        """Returns the votes for the rows that are chosen, (all held-out rows,) bool, in the bins of all."""
        numbers = np.arange(len(self.labels)) if self.numbers is None else self.numbers
        rows = chosen[numbers]
        return replace(
            self,
            outputs=self.outputs[:, rows],
            labels=self.labels[rows],
            weights=None if self.weights is None else self.weights[rows],
            numbers=numbers[rows],
            binned=None if self.kind == "classes" else self.bins[:, rows],
        )


class Panel:
    """Members and what they answer for all targets: their losses add up, other figures are means over the targets.

    Args:
        votes: One for each target, of the same members in the same order.

    Raises:
        ConfigError: If there are none, or of different members.
    """

    def __init__(self, votes: Sequence[Votes]) -> None:
        self.votes = tuple(votes)
        counts = {len(each.outputs) for each in self.votes}
        if len(counts) != 1:
            raise ConfigError("votes", "those of the same members for each target, at least one", sorted(counts))
        self.size = counts.pop()
        self._tables: dict[float, np.ndarray] = {}

    @property
    def rows(self) -> int:
        """Number of held-out rows, those without a label included."""
        ends = (len(each.labels) if each.numbers is None else int(each.numbers.max()) + 1 for each in self.votes)
        return max(ends)

    @property
    def labelled(self) -> int:
        """Number of rows with a label of the target that has the fewest."""
        return min(len(each.labels) for each in self.votes)

    @property
    def telling(self) -> bool:
        """Whether the labels of any target have two values or more."""
        return any(len(np.unique(each.label_bins)) > 1 for each in self.votes)

    def loss(self, weights: np.ndarray) -> float:
        """Returns the ensemble's loss with a weight for each member, 0 for those that are not in it."""
        return sum(each.loss(weights) for each in self.votes)

    def standard_error(self, one: np.ndarray, other: np.ndarray) -> float:
        """Returns the standard error, by chance of the rows, of the difference between two ensembles' losses."""
        moved = np.zeros(self.rows)  # by each row, in all targets that it has a label of
        for each in self.votes:
            mine, others = (each.losses(np.tensordot(weights, each.scores, 1)) for weights in (one, other))
            difference = mine - others
            numbers = np.arange(len(difference)) if each.numbers is None else each.numbers
            moved[numbers] += each.shares * (difference - each.shares @ difference)
        return float(np.sqrt(moved @ moved))

    def error(self, weights: np.ndarray) -> float:
        """Returns the ensemble's error, see `Votes.error`."""
        return sum(each.error(weights) for each in self.votes)

    def tdac(self, alpha: float) -> np.ndarray:
        """Returns PIE's score of each pair of members, (members, members)."""
        if alpha not in self._tables:
            scores = [tdac(each.bins, each.label_bins, alpha) for each in self.votes]
            self._tables[alpha] = np.asarray(sum(scores) / len(scores))
        return self._tables[alpha]

    @cached_property
    def single_losses(self) -> np.ndarray:
        """The loss of each member alone, (members,)."""
        return np.array([self.loss(row) for row in np.eye(self.size)])

    def weights(self, members: Sequence[int], values: Any = None) -> np.ndarray:
        """Returns a weight for each of all members: those of the ones in `members`, by default equal, else 0."""
        found = np.zeros(self.size)
        found[list(members)] = 1.0 / len(members) if values is None else values
        return found

    def of(self, members: Sequence[int]) -> Panel:
        """Returns the panel of some members."""
        chosen = list(members)
        parts = (
            replace(each, outputs=each.outputs[chosen], binned=None if each.kind == "classes" else each.bins[chosen])
            for each in self.votes
        )
        return Panel(list(parts))

    def take(self, chosen: np.ndarray) -> Panel:
        """Returns the panel of the rows that are chosen, (rows,) bool."""
        return Panel([each.take(chosen) for each in self.votes])


def quantile_bins(values: np.ndarray, union: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Returns the bin of each value, from 0, by the quantiles of all values of `union`; equal values share a bin."""
    inner = np.unique(np.quantile(union, np.arange(1, bins) / bins))
    return np.asarray(np.searchsorted(inner, values, side="right"))
