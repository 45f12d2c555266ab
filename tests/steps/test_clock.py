"""The time of a call and its shares."""

from __future__ import annotations

import time

import pytest

from autorec.steps.clock import MOST, SHARES, Clock


def test_without_a_limit_no_step_has_to_end() -> None:
    clock = Clock()
    assert (clock.deadline, clock.left) == (None, None)
    assert (clock.until("baselines"), clock.keeping("refit")) == (None, None)


def test_a_step_may_take_its_share_of_what_is_left() -> None:
    clock = Clock(limit=100.0, begin=time.monotonic() - 40)
    assert clock.until("encoding") == pytest.approx(time.monotonic() + SHARES["encoding"] * 60, abs=0.1)


def test_what_begins_now_keeps_a_later_steps_share() -> None:
    clock = Clock(limit=100.0, begin=time.monotonic() - 40)
    assert clock.deadline == clock.begin + 100
    assert clock.keeping("refit") == pytest.approx(clock.begin + 100 - SHARES["refit"] * 60, abs=0.1)


def test_no_time_is_left_behind_the_limit() -> None:
    clock = Clock(limit=1.0, begin=time.monotonic() - 5)
    assert clock.left == 0.0
    assert clock.past >= 5


def test_of_much_time_an_ensemble_needs_no_whole_share() -> None:
    clock = Clock(limit=10_000.0)
    assert clock.keeping("ensemble") == pytest.approx(clock.begin + 10_000 - MOST["ensemble"], abs=0.1)
