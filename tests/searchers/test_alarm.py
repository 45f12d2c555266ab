"""What does not come back is ended."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from autorec.searchers.alarm import Overrun, alarm


@pytest.mark.alone
def test_a_loop_without_end_is_ended_though_it_catches_every_exception() -> None:
    def loop() -> None:
        while True:
            try:
                time.sleep(10)
            except Exception:
                continue

    begin = time.monotonic()
    with pytest.raises(Overrun), alarm(begin + 0.05):
        loop()
    assert time.monotonic() - begin < 2


@pytest.mark.alone
def test_an_exception_that_python_drops_is_raised_once_more() -> None:
    class Slow:
        def __del__(self) -> None:
            time.sleep(0.2)  # the signal comes here, where no exception gets out

    def drop() -> None:
        Slow()
        time.sleep(2)

    begin = time.monotonic()
    with pytest.raises(Overrun), alarm(begin + 0.05):
        drop()
    assert time.monotonic() - begin < 1


@pytest.mark.alone
@pytest.mark.parametrize("late", [False, True])
def test_a_file_that_the_alarm_left_open_is_no_fault_but_any_other_is(
    late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[type] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))

    def leave_open() -> None:
        print((tmp_path / "left").open("w"), time.sleep(10 if late else 0))
        time.sleep(10)

    with pytest.raises(Overrun), alarm(time.monotonic() + 0.05):
        leave_open()
    assert told == ([] if late else [ResourceWarning])


def test_other_exceptions_that_python_drops_are_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))

    class Broken:
        def __del__(self) -> None:
            raise ValueError

    with alarm(time.monotonic() + 60):
        hook = sys.unraisablehook
        Broken()
    assert told == [ValueError]
    assert sys.unraisablehook is not hook


def test_behind_the_block_nothing_rings_and_the_old_handler_is_back() -> None:
    def mine(number: int, frame: object) -> None:
        raise AssertionError("rang")

    old = signal.signal(signal.SIGALRM, mine)
    try:
        with alarm(time.monotonic() + 0.02):
            pass
        assert signal.getsignal(signal.SIGALRM) is mine
        time.sleep(0.04)
    finally:
        signal.signal(signal.SIGALRM, old)


def test_somebody_elses_timer_goes_on() -> None:
    heard: list[int] = []
    old = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with alarm(time.monotonic() + 60):
            time.sleep(0.01)
        time.sleep(0.1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert heard == [signal.SIGALRM]


def test_another_thread_is_left_alone() -> None:
    done: list[bool] = []

    def run() -> None:
        with alarm(time.monotonic()):
            time.sleep(0.01)
        done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [True]
