"""The course of a search from cheap trials to full ones."""

from __future__ import annotations

from typing import Any

from autorec.searchers.fidelity import Fidelity, Schedule


def get_schedule(fidelity: str | dict[str, Any] | None, full: Fidelity, time_limit: float | None) -> Schedule | None:
    """Returns the schedule that a configuration speaks of, or None where all trials are full.

    Args:
        fidelity: None, `auto`, or the arguments of a schedule.
        full: Rows and epochs at full fidelity.
        time_limit: Seconds of the call, or None.
    """
    if fidelity is None:
        return None
    if isinstance(fidelity, str):
        return Schedule.auto(full.rows or 1, time_limit)
    return Schedule.from_dict(fidelity)


def in_words(schedule: Schedule, leaning: bool = False) -> str:
    """Returns a schedule as a sentence.

    Args:
        schedule: The schedule.
        leaning: Whether what an ensemble leans on is repeated, not the finalists.

    Example:
        >>> in_words(Schedule(Fidelity(rows=1000), finalists=2))
        'trials with at most 1,000 rows, then the best 2 in full, 3 times each'
    """
    reduced = (schedule.low, *schedule.steps) if schedule.reduced else ()
    who = ("trials", *(f"the best {count}" for count in schedule.survivors))
    limits = (", ".join(f"{value:,} {name}" for name, value in one.to_dict().items()) for one in reduced)
    steps = [f"{some} with at most {most}" for some, most in zip(who, limits)]
    often = "" if schedule.seeds == 1 else f", {schedule.seeds} times each"
    final = f"the best {schedule.finalists} in full{often}"
    if leaning:
        final = f"{f'the best {schedule.finalists}' if steps else 'all'} in full, then again what the ensemble leans on"
    return ", then ".join([*steps, final])
