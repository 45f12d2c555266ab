"""The course of a search."""

from __future__ import annotations

import pytest

from autorec.searchers.fidelity import Fidelity, Schedule
from autorec.steps.course import get_schedule, in_words

FULL = Fidelity(rows=3_000_000, epochs=20)


def test_a_configuration_speaks_of_a_schedule() -> None:
    schedule = Schedule(Fidelity(rows=100), finalists=2)
    assert get_schedule(None, FULL, None) is None
    assert get_schedule(schedule.to_dict(), FULL, None) == schedule
    assert get_schedule("auto", FULL, 60.0) == Schedule.auto(3_000_000, 60.0)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule(finalists=1, seeds=1), "the best 1 in full"),
        (
            Schedule(Fidelity(rows=1000, epochs=2), finalists=2),
            "trials with at most 1,000 rows, 2 epochs, then the best 2 in full, 3 times each",
        ),
        (
            Schedule(Fidelity(rows=10), (Fidelity(rows=20),), (5,), 3, 1),
            "trials with at most 10 rows, then the best 5 with at most 20 rows, then the best 3 in full",
        ),
    ],
)
def test_a_schedule_is_told_in_words(schedule: Schedule, words: str) -> None:
    assert in_words(schedule) == words
