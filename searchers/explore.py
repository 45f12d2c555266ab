"""Finds the hyperparameters of a space by building it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras_tuner as kt

from autorec.errors import AutoRecError
from autorec.searchers.oracles import complete


def explore(oracle: kt.Oracle, build: Callable[[Any], object], builds: int = 20) -> None:
    """Registers the hyperparameters that `build(hp)` declares with the oracle.

    The first build has the default values; each further one switches on as many conditional scopes as fit together
    of those that declared nothing yet. Unlike KerasTuner's own exploration it draws nothing at random. What is found
    later joins during the search.

    Args:
        oracle: Its space is extended.
        build: Function of a `keras_tuner.HyperParameters`; what it returns is not looked at.
        builds: Number of builds at most.

    Raises:
        AutoRecError: What the build with default values raises of these; other errors are left for the trials, which
            record them with their cause.
    """
    seen: list[Any] = []
    wanted: list[Any] = []
    for count in range(builds):
        hps = oracle.get_space()
        hps.values = complete(hps.space, _switch_on(wanted))
        try:
            build(hps)
        except AutoRecError:
            if not count:
                raise
        except Exception:
            pass
        oracle.update_space(hps)
        seen += hps.active_scopes + wanted[:1]
        declared = [hp.conditions for hp in oracle.hyperparameters.space]
        scopes = [*wanted[1:], *hps.inactive_scopes]
        wanted = [scope for scope in _distinct(scopes) if scope not in seen and scope not in declared]
        if not wanted:
            return


def _distinct(scopes: list[Any]) -> list[Any]:
    found: list[Any] = []
    for scope in scopes:
        if scope not in found:
            found.append(scope)
    return found


def _switch_on(scopes: list[Any]) -> dict[str, Any]:
    """Returns values under which the first scope is active, and each later one that agrees with those before."""
    values: dict[str, Any] = {}
    for scope in scopes:
        needed = {condition.name: condition.values[0] for condition in scope}
        if all(values.get(name, value) == value for name, value in needed.items()):
            values.update(needed)
    return values
