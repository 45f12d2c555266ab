"""The time of one call of `search`, and what each step may take of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

#: Share of the time that is left when a step begins: what it may take, or what is kept for it.
SHARES = {
    "encoding": 0.3,  # behind which no pair statistics and no trees are begun
    "baselines": 0.15,  # all of them together
    "refit": 0.3,  # kept for it while trials are trained
    "ensemble": 0.2,  # likewise, at most `MOST`
    "calibration": 0.03,  # likewise
}
#: Seconds that a step takes at most, whatever its share.
MOST = {"ensemble": 20.0, "calibration": 3.0}


@dataclass
class Clock:
    """The time of one call.

    Args:
        limit: Seconds that the call may take, or None.
        begin: `time.monotonic()` at which it began.

    Example:
        >>> clock = Clock(limit=600.0)
        >>> clock.until("baselines")  # time.monotonic() at which baselines have to end
    """

    limit: float | None = None
    begin: float = field(default_factory=time.monotonic)

    @property
    def deadline(self) -> float | None:
        """`time.monotonic()` at which the call has to end, or None."""
        return None if self.limit is None else self.begin + self.limit

    @property
    def left(self) -> float | None:
        """Seconds that are left, or None."""
        return None if self.deadline is None else max(self.deadline - time.monotonic(), 0.0)

    @property
    def past(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self.begin

    def until(self, step: str) -> float | None:
        """Returns when a step that begins now has to end, or None."""
        return None if self.left is None else time.monotonic() + SHARES[step] * self.left

    def keeping(self, *steps: str) -> float | None:
        """Returns when what begins now has to end, so that later steps keep their shares, or None."""
        deadline, left = self.deadline, self.left
        if deadline is None or left is None:
            return None
        return deadline - sum(min(SHARES[step] * left, MOST.get(step, left)) for step in steps)
