"""What an ensemble of a run's trials leans on, which another seed would make steadier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from autorec.run import origin
from autorec.searchers.forward_selection import forward_selection
from autorec.searchers.mixture import one_thread
from autorec.steps.ensemble import EnsembleMaker
from autorec.steps.members import Row, good_trials, panel_of

_REFITTED = 4  # trials at most that time is kept for, and for one more; an ensemble has as many as can be refitted
_LEAST = 0.1  # seconds that a training counts for at least


@dataclass
class Leaning:
    """Chooses whose values are trained again, with another seed, for an ensemble to be made of all trainings.

    Of the ensemble that forward selection makes of the trainings so far, each trial has the sum of the weights of the
    trainings of its values. The next one is that with the most weight for a training: the mean over several seeds is
    worth most where the ensemble leans on few. Where the clock ends the search it is the most for a training and a
    second of it.

    Args:
        maker: Knows the run and what its trials answer.
        timed: Whether seconds count. Without them the choice is the same on every machine.
        refit: Returns how long a refit of some trials will take, where the ensemble is to be refitted; else None.
    """

    maker: EnsembleMaker
    timed: bool = False
    refit: Callable[[list[Row]], float] | None = None
    _members: list[Row] = field(default_factory=list)  # of the ensemble of the trainings so far, by weight
    _refitted: int | None = None  # trials that time is kept for

    def __call__(self) -> int | None:
        """Returns the number of the trial, or None where no trial has any weight or none can be told."""
        try:
            return self._next()
        except Exception as error:  # such as a model of a user's own that cannot be loaded; the trials stay
            self.maker.say(f"nothing is trained again for the ensemble: {type(error).__name__}: {error}")
            return None

    def kept(self, left: float | None) -> float:
        """Returns the seconds to leave for a refit of the ensemble.

        It is that of as many members as there is time for when this is first asked, and stays so: if less were kept as
        time goes by, trainings would take it all.

        Args:
            left: Seconds that are left, or None.
        """
        if not self._members or self.refit is None:
            return 0.0
        if self._refitted is None:
            self._refitted = self._as_many_as(left)
        return self.refit(_with_a_newcomer(self._members[: self._refitted])) if self._refitted else 0.0

    def _as_many_as(self, left: float | None) -> int:
        """Returns how many trials can be refitted, and one more, `_REFITTED` where all that there are can be."""
        most = min(len(self._members), _REFITTED)
        for count in range(most, 0, -1):
            if left is None or self.refit is None or self.refit(_with_a_newcomer(self._members[:count])) <= left:
                return count if count < most else _REFITTED
        return 0

    def _next(self) -> int | None:
        known = self.maker.answers(good_trials(self.maker.run))
        if not known:
            return None
        panel = panel_of([outputs for _, outputs in known], self.maker.part, self.maker.layout, seed=self.maker.seed)
        with one_thread():
            weights = forward_selection(panel).weights
        order = [known[place][0] for place in np.argsort(-np.asarray(weights)) if weights[place] > 0.0]
        self._members = [row for row in order if row["number"] is not None]
        begun = Counter(origin(row) for row in self.maker.run.events("started") if not row.get("fidelity"))
        shares: dict[int, float] = {}
        for (row, _), weight in zip(known, np.asarray(weights)):
            if row["number"] is not None:
                number = origin(row)
                seconds = max(row.get("seconds") or 0.0, _LEAST) if self.timed else 1.0
                worth = float(weight) / max(begun[number], 1) / seconds
                shares[number] = shares.get(number, 0.0) + worth
        best = max(shares, key=lambda number: shares[number], default=None)
        return best if best is not None and shares[best] > 0.0 else None


def _with_a_newcomer(trials: list[Row]) -> list[Row]:
    """Returns some trials, the slowest of them twice: what is trained next may be a member too."""
    return [*trials, max(trials, key=lambda row: row["seconds"] or 0.0)]
