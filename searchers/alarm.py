"""Ends what does not come back: an exception in the main thread when a time is over."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_AGAIN = 5.0  # seconds until the exception is raised once more, where somebody caught it
_SOON = 0.01  # seconds until it is, where Python dropped it


class Overrun(BaseException):
    """The time is over. No `Exception`, so that `except Exception` of a user's code lets it pass."""


@contextmanager
def alarm(at: float | None) -> Iterator[None]:
    """Raises `Overrun` inside the `with` block when it is still running at a time.

    By a signal, which Python handles between two steps of its own: a single long call of compiled code ends first.
    Without a time, outside of the main thread and on systems without such signals nothing happens.

    Args:
        at: `time.monotonic()` at which to raise, or None.

    Example:
        >>> with alarm(time.monotonic() + 1):
        ...     time.sleep(60)
    """
    if at is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    old, hook = signal.getsignal(signal.SIGALRM), sys.unraisablehook
    begin = time.monotonic()
    rang = False

    def ring(number: int, frame: object) -> None:
        nonlocal rang
        rang = True
        raise Overrun

    def lost(unraisable: Any) -> None:
        """Rings once more where Python drops exceptions: in a `__del__`, or as a weak reference dies.

        A file that was open as the alarm rang, between `open` and its `with` block, is closed by Python as the frames
        go: no fault of the code that opened it, so under `-W error` nothing is told of it.
        """
        if unraisable.exc_type is Overrun:
            signal.setitimer(signal.ITIMER_REAL, _SOON, _AGAIN)
        elif not (rang and issubclass(unraisable.exc_type, ResourceWarning)):
            hook(unraisable)

    def disarm() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        signal.signal(signal.SIGALRM, old if old is not None else signal.SIG_DFL)

    sys.unraisablehook = lost
    signal.signal(signal.SIGALRM, ring)
    before, again = signal.setitimer(signal.ITIMER_REAL, max(at - begin, 1e-3), _AGAIN)
    try:
        try:
            yield
        finally:
            disarm()
    finally:
        disarm()  # the signal may have come as the first call began
        if before:  # somebody else's timer goes on
            signal.setitimer(signal.ITIMER_REAL, max(before - (time.monotonic() - begin), 1e-3), again)
