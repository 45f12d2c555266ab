"""`effort`: what a search does for people who do not want to choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autorec.errors import unknown_name
from autorec.searchers.ensemble import Ensemble
from autorec.spaces.space import from_config

#: What is done without any effort being named.
DEFAULTS: dict[str, Any] = {
    "space": "auto",
    "searcher": "evolution",
    "trees": False,
    "refit": False,
    "ensemble": False,
    "keep": 5,
}
#: The searcher that grows an ensemble, and the space of its members where none is given: depth is all that they need.
GROWING, GROWN = "ensemble", "dnn"
#: What each effort fills in where nothing is given: arguments of `search`, the space also as its configuration.
#: `time_limit` and `max_trials` only where neither is given.
EFFORTS: dict[str, dict[str, Any]] = {
    # A good model soon: the default of `auto`, which is a strong model, and a few others.
    "fast": {"max_trials": 5, "time_limit": 120.0},
    # As good as the time allows: all of the space at low fidelity, what an ensemble leans on over several seeds, and
    # the ensemble unless it is clearly worse than the best trial, trained once more on all rows. More files are kept
    # than elsewhere, for it to choose from.
    "best": {
        "space": "dag",
        "fidelity": "auto",
        "trees": True,
        "time_limit": 600.0,
        "ensemble": True,
        "refit": True,
        "keep": 15,
    },
}


def fill(effort: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns arguments of `search` with what the effort, then the default, says wherever one is None.

    Args:
        effort: A name of `EFFORTS`, or None.
        given: Arguments; those that are not None win.

    Raises:
        ConfigError: If the effort is not known, with the nearest names.

    Example:
        >>> fill("best", {"space": None, "searcher": "greedy", "max_trials": None, "time_limit": 60.0})
        {'space': 'dag', 'searcher': 'greedy', 'max_trials': None, 'time_limit': 60.0, ...}
    """
    if effort is not None and (not isinstance(effort, str) or effort not in EFFORTS):
        raise unknown_name("effort", effort, EFFORTS)
    chosen = dict(DEFAULTS | EFFORTS.get(effort or "", {}))
    if given.get("max_trials") is not None or given.get("time_limit") is not None:
        chosen |= {"max_trials": None, "time_limit": None}
    if given.get("searcher") == GROWING or isinstance(given.get("searcher"), Ensemble):
        # Members are what they were when they joined: trained in full.
        chosen |= {"space": GROWN, "fidelity": None, "refit": False}
    if isinstance(chosen["space"], Mapping):
        chosen["space"] = from_config(chosen["space"])
    return {**chosen, **{name: value if value is not None else chosen.get(name) for name, value in given.items()}}
