"""Chooses a calibrator: what helps on rows that it was not fitted to, and nothing where nothing does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autorec.calibration.calibrator import Calibrator
from autorec.calibration.curve import Curve
from autorec.calibration.fitting import LEAST, LEAST_CLASS, Scored, fit
from autorec.data.vocabulary import UNKNOWN
from autorec.errors import ConfigError, unknown_name

#: What `calibrate` takes: a method, or whichever is best.
METHODS = (*LEAST, "auto")
FOLDS = 5
#: Rows that a choice looks at, at most.
MOST = 200_000


@dataclass(frozen=True)
class Chosen:
    """What came of a choice.

    Args:
        calibrator: The calibrator, fitted to all rows.
        method: Name of the method of all rows; `none` where nothing helps.
        methods: Local id of a segment -> the method of its own curve.
        held_out: (rows,) calibrated logits of the rows, each by curves that were fitted without it.
    """

    calibrator: Calibrator
    method: str
    methods: dict[int, str]
    held_out: np.ndarray


def choose(
    method: str, rows: Scored, segments: np.ndarray | None = None, *, column: int | None = None, seed: int = 0
) -> Chosen:
    """Returns a calibrator for some rows.

    `auto` takes the method whose log loss is least in five folds, each judged by curves that were fitted without it, if
    it is below that of the logits as they are by more than a standard error of the rows' differences; else nothing.
    A segment of enough rows gets a curve of its own: with `auto` if that is better, in the same sense, than the curve
    of all rows, else always.

    Args:
        method: `temperature`, `platt`, `isotonic` or `auto`.
        rows: Labelled rows, both classes among them.
        segments: (rows,) local ids of the segments, or None.
        column: Place of their column in the group `ids`.
        seed: Seed of the folds.

    Raises:
        ConfigError: If the method is not known.

    Example:
        >>> choose("auto", Scored(logits, labels)).method
        'isotonic'
    """
    check_method(method)
    tried = _Tried(method, rows, seed)
    best, held_out = tried.best(np.asarray(rows.logits, np.float64))
    curve = fit(best, rows)
    own: dict[int, Curve] = {}
    methods: dict[int, str] = {}
    for number, members in _large(method, rows, segments):
        some = _Tried(method, rows.take(members), seed)
        winner, values = some.best(held_out[members])
        if winner != "none":
            own[number], methods[number] = fit(winner, some.rows), winner
            held_out[members] = values
    return Chosen(Calibrator(curve, own, column if own else None), best, methods, held_out)


def check_method(method: object) -> None:
    """Checks the name of a method.

    Raises:
        ConfigError: If it is not known, with the nearest names.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)


def check_rows(method: str, rows: Scored, target: str, what: str) -> None:
    """Checks that there are enough labelled rows to calibrate a target.

    Args:
        method: Name of the method.
        rows: The labelled rows.
        target: Name of the target, for the message.
        what: What the rows are, for the message, such as `validation rows`.

    Raises:
        ConfigError: If they are too few, or of one class; says how many are needed.
    """
    least = min(LEAST.values()) if method == "auto" else LEAST[method]
    count = len(rows.labels)
    hint = "Name more with `data=`, or search with a larger `validation_fraction`."
    if count < least:
        allowed = f"{what} with {least} labels of {target!r} or more for the method {method!r}"
        raise ConfigError("data", allowed, count, hint)
    rarer = _rarer(rows)
    if rarer == 0:
        only = f"{count} labels that are all {rows.labels[0]:g}"
        raise ConfigError("data", f"{what} in which {target!r} is 0 and 1", only, hint)
    if rarer < LEAST_CLASS:
        raise ConfigError("data", f"{what} with {LEAST_CLASS} of either class of {target!r}", rarer, hint)


def _rarer(rows: Scored) -> int:
    ones = int((rows.labels > 0.5).sum())
    return min(ones, len(rows.labels) - ones)


def _enough(method: str, rows: Scored) -> bool:
    return len(rows.labels) >= LEAST[method] and _rarer(rows) >= LEAST_CLASS


def _large(method: str, rows: Scored, segments: np.ndarray | None) -> Iterator[tuple[int, np.ndarray]]:
    """Gives the local id and the rows of each segment that is large enough for a curve of its own.

    Values out of vocabulary are many and not the same tomorrow: they are no segment.
    """
    if segments is None:
        return
    order = np.argsort(segments, kind="stable")
    found, starts = np.unique(segments[order], return_index=True)
    least = "platt" if method == "auto" else method
    for number, members in zip(found, np.split(order, starts[1:])):
        if number != UNKNOWN and _enough(least, rows.take(members)):
            yield int(number), members


class _Tried:
    """The methods that may be taken for some rows, and what each answers for rows that it did not see."""

    def __init__(self, method: str, rows: Scored, seed: int) -> None:
        self.method, self.rows = method, rows
        names = [name for name in LEAST if method in (name, "auto") and _enough(name, rows)]
        self.names: Sequence[str] = names or [method]
        self._folds = _folds(rows, seed)

    def best(self, before: np.ndarray) -> tuple[str, np.ndarray]:
        """Returns the method to take, `none` for what was before, and its answers for rows that it did not see."""
        answers = {name: self._held_out(name) for name in self.names}
        if self.method != "auto":
            return self.method, answers[self.method]
        mass, base = self.rows.mass, self._losses(before)
        gains = {name: base - self._losses(found) for name, found in answers.items()}
        best = max(gains, key=lambda name: float(mass @ gains[name]))
        gain = mass * gains[best]
        if gain.mean() <= gain.std() / np.sqrt(len(gain)):
            return "none", before.copy()
        return best, answers[best]

    def _held_out(self, name: str) -> np.ndarray:
        found = np.empty(len(self.rows.labels))
        for number in range(FOLDS):
            inside = self._folds == number
            found[inside] = fit(name, self.rows.take(~inside))(self.rows.logits[inside])
        return found

    def _losses(self, logits: np.ndarray) -> np.ndarray:
        return np.asarray(np.logaddexp(0.0, logits) - self.rows.labels * logits)


def _folds(rows: Scored, seed: int) -> np.ndarray:
    """Returns the fold of each row; either class is shared out evenly, so that each fold leaves both."""
    fold = np.empty(len(rows.labels), np.int64)
    rng = np.random.default_rng([seed, 11])
    for label in (False, True):
        members = np.flatnonzero((rows.labels > 0.5) == label)
        fold[rng.permutation(members)] = np.arange(len(members)) % FOLDS
    return fold
