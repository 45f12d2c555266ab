"""The time limit of a search: what of it a trial may take, and when a trial is ended by force."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

from autorec.run import Run
from autorec.searchers.fidelity import Fidelity
from autorec.searchers.raising import Raising

_FIRST_SHARE, _SHARE = 2 / 3, 1 / 3  # of the time left, for a trial before and behind the first completed one
_PATIENCE = 1.5  # a trial gets so many times the usual time in any case
_GRACE = 5.0  # seconds behind the end of its share, after which a trial is ended by force
_LATE = 0.01  # of the time limit, by which the search may be late for the sake of a trial's grace
_LEAST_LATE = 0.1  # seconds, the same at least


@dataclass
class Shares:
    """Divides the time that a search has.

    A trial has to end within a third of what is left, or one and a half times the usual time if that is more; within
    two thirds before there is a completed trial. Trials that run at the same time have each its share.

    Args:
        run: The run, whose rows tell how long trials take.
        deadline: `time.monotonic()` at which the search has to end, or None.
        trusted: Whether a trial always comes back about its deadline.
        interruptible: Whether a trial may be ended by force.
        raising: What follows the search part and needs time, or None.
    """

    run: Run
    deadline: float | None
    trusted: bool = False
    interruptible: bool = True
    raising: Raising | None = None
    begin: float = field(default_factory=lambda: time.monotonic())

    def remaining(self) -> float | None:
        """Returns the seconds that are left, None without a limit."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def over(self) -> bool:
        """Returns whether the time is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def too_late(self) -> bool:
        """Returns whether no trial of the searcher's may begin any more: there is less than half of the usual time."""
        end = self._search_end()
        return end is not None and end - time.monotonic() <= (self.usual() or 0.0) / 2

    def usual(self) -> float | None:
        """Returns the usual seconds of the searcher's trials, of those that were not cut if there are any."""
        rows = [row for row in self.run.trials() if row["status"] == "completed" and row["parent"] is None]
        past = [row["seconds"] for row in rows if not row["cut"]] or [row["seconds"] for row in rows]
        return statistics.median(past) if past else None

    def next(self, last: bool) -> float | None:
        """Returns the time at which the searcher's next trial has to end.

        Args:
            last: Whether no other one follows it.
        """
        end, usual = self._search_end(), self.usual()
        if end is None or last or (usual is None and self.trusted):
            return end
        now = time.monotonic()
        share = (end - now) * (_FIRST_SHARE if usual is None else _SHARE)
        return min(end, now + max(share, _PATIENCE * (usual or 0.0)))

    def again(self, end: float | None, fidelity: Fidelity) -> float | None:
        """Returns the time at which another training of a trial has to end.

        One that could hang leaves time for another.

        Args:
            end: Until when there is time for it, or None.
            fidelity: Its fidelity.
        """
        if end is None or self.trusted or self.raising is None:
            return end
        now = time.monotonic()
        share = max(_FIRST_SHARE * (end - now), _PATIENCE * (self.raising.seconds(fidelity) or 0.0))
        return min(end, now + share)

    def by_force(self, deadline: float | None) -> float | None:
        """Returns the time at which a trial is ended that has not come back by its deadline.

        One that is trusted to come back is let go on to the end of the time limit, and beyond it without a result.
        """
        if deadline is None or self.deadline is None or not self.interruptible:
            return None
        late = max(_LATE * (self.deadline - self.begin), _LEAST_LATE)
        if self.usual() is None:
            return None if self.trusted else deadline + _GRACE
        if self.trusted:
            return self.deadline + late
        return deadline + min(_GRACE, max(self.deadline + late - deadline, _LEAST_LATE))

    def _search_end(self) -> float | None:
        """Returns the time at which the search part has to end; until there is a result it has half of what is left."""
        if self.deadline is None:
            return None
        reserve = 0.0 if self.raising is None else self.raising.reserve()
        if self.usual() is None:
            reserve = min(reserve, max(self.deadline - time.monotonic(), 0.0) / 2)
        return self.deadline - reserve
