"""What does not come back is ended."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from autorec.searchers.alarm import Overrun, alarm


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
