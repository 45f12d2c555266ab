"""Fidelities and schedules: what they may be, what is left of them for a log."""

from __future__ import annotations

from typing import Any

import pytest

from autorec.errors import ConfigError
from autorec.searchers.fidelity import Fidelity, Schedule


def test_a_fidelity_is_what_limits() -> None:
    fidelity = Fidelity(rows=100, epochs=2)
    assert fidelity.to_dict() == {"rows": 100, "epochs": 2}
    assert Fidelity.from_dict(fidelity.to_dict()) == fidelity
    assert not fidelity.full
    assert Fidelity().full


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10"])
def test_a_limit_is_a_positive_whole_number(value: Any) -> None:
    with pytest.raises(ConfigError, match="`dim` must be a whole number of 1 or more, or None"):
        Fidelity(dim=value)


def test_an_unknown_limit_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'vocabulary'"):
        Fidelity.from_dict({"vocabular": 3})


def test_limits_at_or_above_what_there_is_are_none() -> None:
    full = Fidelity(rows=100, epochs=5)
    assert Fidelity(rows=100, epochs=4, dim=8).within(full) == Fidelity(epochs=4, dim=8)
    assert Fidelity(rows=101, epochs=9).within(full).full


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(None, 100 * 10 / 2), (2, 100 * 10 / 2), (1, 100)],  # not known; all of them; stopped before
)
def test_work_is_rows_times_epochs_that_will_be_taken(epochs: int | None, expected: float) -> None:
    low, full = Fidelity(rows=10, epochs=2), Fidelity(rows=1000, epochs=10)
    assert Fidelity().work(low, full, epochs) == expected


def test_work_without_knowing_the_log_is_one() -> None:
    assert Fidelity().work(Fidelity(rows=10), Fidelity()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 5}, "`low` must be a Fidelity"),
        ({"finalists": 0}, "`finalists` must be a whole number"),
        ({"seeds": True}, "`seeds` must be a whole number"),
        ({"steps": (Fidelity(rows=5),)}, "`survivors` must be a number for each of the 1 steps"),
        ({"steps": (Fidelity(rows=5),), "survivors": (2,)}, "`survivors` must be numbers that fall to the 3 finalists"),
        ({"steps": (Fidelity(rows=5),), "survivors": (9.0,)}, "`survivors` must be a whole number"),
        ({"steps": (Fidelity(),), "survivors": (9,)}, "`steps` must be fidelities that rise"),
        ({"low": Fidelity(rows=9), "steps": (Fidelity(rows=5),), "survivors": (9,)}, "`steps` must be fidelities that"),
        ({"steps": (Fidelity(rows=5),), "survivors": (9,)}, "`steps` must be fidelities that rise"),
        ({"steps": 7}, "`steps` must be a tuple"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Schedule(**{"low": Fidelity(rows=1), **arguments} if message.startswith("`survivors`") else arguments)


def test_a_schedule_survives_its_configuration() -> None:
    schedule = Schedule(Fidelity(rows=10, dim=4), [Fidelity(rows=20)], [4], finalists=2, seeds=1)  # type: ignore[arg-type]
    assert Schedule.from_dict(schedule.to_dict()) == schedule
    assert Schedule.from_dict({}) == Schedule()
    with pytest.raises(ConfigError, match="Did you mean 'seeds'"):
        Schedule.from_dict({"seed": 3})


def test_steps_that_are_none_for_a_log_are_left_out() -> None:
    steps = (Fidelity(rows=1000), Fidelity(rows=10_000), Fidelity(rows=20_000))
    schedule = Schedule(Fidelity(rows=100), steps, (9, 6, 5))
    settled = schedule.settled(Fidelity(rows=5000))
    assert (settled.steps, settled.survivors) == ((Fidelity(rows=1000),), (9,))
    assert schedule.settled(Fidelity(rows=50)) == Schedule()


def test_a_small_log_is_read_whole_and_a_large_one_in_part() -> None:
    assert Schedule.auto(80_000) == Schedule()
    assert Schedule.auto(1_000_000).low == Fidelity(rows=100_000, vocabulary=10_000)
    large = Schedule.auto(40_000_000)
    assert large.steps == (Fidelity(rows=4_000_000, vocabulary=100_000),)
    assert large.survivors == (10,)


@pytest.mark.parametrize(("limit", "expected"), [(None, (3, 3)), (3600, (3, 3)), (300, (3, 2)), (60, (2, 1))])
def test_little_time_means_fewer_trainings_at_the_end(limit: float | None, expected: tuple[int, int]) -> None:
    schedule = Schedule.auto(80_000, limit)
    assert (schedule.finalists, schedule.seeds) == expected
