"""The first trials of a search: taken from another one, or views of the rows that differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any

import keras_tuner as kt

from autorec.errors import ConfigError
from autorec.spaces.values import carry_over, in_words

Canonical = Callable[[dict[str, Any]], dict[str, Any]]


#: What a model may leave unread: the trees, and all statistics too. Members of an ensemble that read other columns
#: differ more than those that are built in another way, and those that read trees are much alike.
VIEWS: tuple[dict[str, Any], ...] = (
    {"features/margins": False, "features/leaves": False},
    {"features/margins": False, "features/leaves": False, "features/statistics": False, "features/pairs": 0},
)


def propose_first(
    oracle: kt.Oracle,
    trials: Sequence[Mapping[str, Any]],
    say: Callable[[str], object] | None = None,
    views: Sequence[Mapping[str, Any]] = (),
) -> kt.Oracle:
    """Lets an oracle propose the trials of another run, the default values, views, and then go on by itself.

    It is told their scores as of its own. They become points of the space when the first one is asked for, see
    `autorec.spaces.values.carry_over`; those that are then the same, or have nothing in common with it, are left out.

    Args:
        oracle: An oracle of `get_oracle`; it is changed.
        trials: Values of the trials, the best first.
        say: Receives in words what was not allowed.
        views: Values beside which all others have their defaults.

    Returns:
        The oracle.

    Raises:
        ConfigError: If the oracle goes through its space in an order of its own.
    """
    if isinstance(oracle, kt.oracles.GridSearchOracle):
        raise ConfigError("warm_start", "left out with an oracle that goes through a grid", type(oracle).__name__)
    first = _First(oracle, trials, say or (lambda text: None), views)
    own, replay = oracle.populate_space, getattr(oracle, "replay", None)

    def populate_space(self: kt.Oracle, trial_id: str) -> dict[str, Any]:
        values = first.values(len(self.trials))  # also of a replayed one: they are chosen by the space at the first ask
        values = None if first.replayed else values
        first.replayed = False
        return dict(own(trial_id)) if values is None else {"status": "RUNNING", "values": values}

    def replay_first(self: kt.Oracle, values: dict[str, Any], seed_state: int) -> None:
        first.replayed = True
        if replay is not None:
            replay(values, seed_state)

    oracle.populate_space = MethodType(populate_space, oracle)
    if replay is not None:
        oracle.replay = MethodType(replay_first, oracle)
    return oracle


class _First:
    """The trials as points of the oracle's space, made once it is known."""

    def __init__(
        self,
        oracle: kt.Oracle,
        trials: Sequence[Mapping[str, Any]],
        say: Callable[[str], object],
        views: Sequence[Mapping[str, Any]],
    ) -> None:
        self.replayed = False
        self._oracle, self._trials, self._say, self._views = oracle, trials, say, views
        self._chosen: list[Mapping[str, Any]] | None = None

    def values(self, number: int) -> dict[str, Any] | None:
        """Returns the values of trial `number`, or None where the oracle goes on alone."""
        space = self._oracle.hyperparameters.space
        if self._chosen is None:
            canonical = getattr(self._oracle, "canonical", None)
            self._chosen = distinct(space, self._trials, self._say, canonical, self._views)
        if number >= len(self._chosen):
            return None
        # By the space as it is now: KerasTuner would draw what has joined it without a seed.
        values = carry_over(space, self._chosen[number])[0]
        if isinstance(self._oracle, kt.oracles.HyperbandOracle):
            values["tuner/epochs"] = self._oracle.max_epochs  # as of those at its full fidelity
        return values


def distinct(
    space: Sequence[Any],
    trials: Sequence[Mapping[str, Any]],
    say: Callable[[str], object],
    canonical: Canonical | None = None,
    views: Sequence[Mapping[str, Any]] = (),
) -> list[Mapping[str, Any]]:
    """Returns what of the trials of another run, the default values (`{}`) and views are distinct points of a space.

    Args:
        space: Hyperparameters of KerasTuner.
        trials: Values of the trials.
        say: Receives in words what was not allowed, and how many trials fit.
        canonical: Function values -> values under which two points may be the same.
        views: As in `propose_first`.
    """
    names = {hp.name for hp in space}
    found: list[Mapping[str, Any]] = []
    seen: list[dict[str, Any]] = []
    refused: dict[str, Any] = {}
    defaults: Mapping[str, Any] = {}
    given = [trial for trial in trials if names & set(trial)]
    for place, trial in enumerate((*given, defaults, *views)):
        values, not_allowed = carry_over(space, trial)
        refused |= not_allowed if place < len(given) else {}
        same = values if canonical is None else canonical(dict(values))
        if same not in seen:
            seen.append(same)
            found.append(trial)
    if refused:
        say(f"warm start: not allowed here and left at the default: {in_words(refused)}")
    count = sum(any(trial is other for other in given) for trial in found)
    if count < len(trials):
        say(f"warm start: {count} of {len(trials)} trials of the other run are distinct points of this space")
    return found
