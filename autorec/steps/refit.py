"""The refit: the run's model trained once more, on all rows."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autorec.data.cache import Cache
from autorec.ensembles import join
from autorec.errors import AutoRecError, TrialFailed
from autorec.files import new_folder, remove_beside
from autorec.loading import ENCODER, MODEL, REFIT
from autorec.run import FOREST, Run
from autorec.searchers.budgets import Budgets, model_size
from autorec.searchers.condensing import MOST_MEMBERS
from autorec.searchers.trial import TrialTrainer
from autorec.steps.clock import Clock
from autorec.steps.forest_model import forest_model

_MARGIN = 1.1  # estimates are off by so much
_UNKNOWN = 1.0  # seconds that are taken for an encoding that nobody measured
_SAVING = 0.5  # seconds for each network that are left to join and save them


@dataclass
class _Member:
    """A trial that the run's model is made of, with the networks that have its weight together."""

    row: Mapping[str, Any]
    weight: float
    networks: list[Any] = field(default_factory=list)
    seconds: float = 0.0  # that the training of the last one took

    @property
    def gain(self) -> float:
        """How much the variance of the ensemble falls by one more network, in a second: all networks count as equal."""
        count = len(self.networks)
        return self.weight**2 / (count * (count + 1) * max(self.seconds, 1e-3))

    @property
    def next_seed(self) -> int:
        """The seed of the next network: the first one has the trial's."""
        seed: int = self.row["seed"]
        count = len(self.networks)
        return int(np.random.SeedSequence([seed, count]).generate_state(1)[0]) if count else seed


@dataclass
class Refit:
    """Trains the run's model once more on all rows, encoded anew, if there is time; the model as it is stays else.

    Each network is trained for the epochs that made its best weights, at their rates, with its seed, and its weights
    are the mean over the last epoch. Of an ensemble it is every member; the ensemble's weights stay. Where an ensemble
    is asked for, time that is left goes to the same trainings with other seeds. A trial's networks share its weight:
    that needs no validation. What the model validates at stays that of the model before: no row is left to tell.

    Args:
        run: Open for writing; the model goes into its folder `refit`, with the encoder of its rows.
        trainer: Trained the trials.
        all_rows: Returns all rows as training rows; the trainer has the same.
        clock: Of the call.
        say: Receives in words what is done.
        budgets: What the model may cost, or None; of all rows there are more values, and larger tables.
        fill: Whether there may be further networks, as long as there is time, up to `MOST_MEMBERS`; with budgets there
            are none.
    """

    run: Run
    trainer: TrialTrainer
    all_rows: Callable[[], Cache]
    clock: Clock
    say: Callable[[str], None]
    budgets: Budgets | None = None
    fill: bool = False

    def make(self, *later: str) -> None:
        """Refits the run's model, once.

        Args:
            later: Steps behind this one, which keep their shares of the time.
        """
        members, forest = self._members()
        rows = [member.row for member in members]
        if (not rows and not forest) or self.run.refit is not None:
            return
        needed, deadline = self.seconds(rows), self.clock.keeping(*later)
        if deadline is not None and deadline - time.monotonic() < needed:
            left = max(deadline - time.monotonic(), 0.0)
            self.say(f"no refit: it would take some {needed:.0f} s, {left:.0f} s are left")
            return
        self.say(f"refit on all rows: {_in_words(rows)}")
        try:
            self._make(members, forest, deadline)
        except Exception as error:
            if self.trainer.workers.count > 1 and not isinstance(error, TrialFailed):
                raise  # the other workers would wait for ever
            cause = "" if isinstance(error, AutoRecError) else f"{type(error).__name__}: "
            self.say(f"no refit, the model as it is stays: {cause}{error}")

    def seconds(self, rows: Iterable[Mapping[str, Any]]) -> float:
        """Returns how long a refit of some trials will take, by their own time and that of the encoding."""
        encoding = self.run.events("encoded")
        total = sum(self._training(row) for row in rows)
        return _MARGIN * (total + (encoding[-1]["seconds"] if encoding else _UNKNOWN))

    def _training(self, row: Mapping[str, Any]) -> float:
        trainer = self.trainer
        read = min(row["fidelity"].get("rows") or trainer.train.rows, trainer.train.rows)
        share = read / (trainer.train.rows + trainer.validation.rows)
        return float(row["seconds"] * len(row["course"]) / (row["epochs"] * share))

    def _members(self) -> tuple[list[_Member], float]:
        """Returns the trials that the run's model is made of, and the weight of the forest."""
        ensemble, best = self.run.ensemble, self.run.best
        if ensemble is None:
            return [] if best is None else [_Member(best, 1.0)], 0.0
        rows = {row["number"]: row for row in self.run.trials()}
        weights = {member["trial"]: member["weight"] for member in ensemble["members"]}
        forest = weights.pop(FOREST, 0.0)
        return [_Member(rows[number], weight) for number, weight in weights.items()], forest

    def _make(self, members: Sequence[_Member], forest: float, deadline: float | None) -> None:
        if self.trainer.workers.count == 1:
            self.all_rows()  # several encode the rows together, when they are told to train on them
        for member in members:
            self._train(member, deadline)
        if self.fill and self.budgets is None and deadline is not None:
            self._fill(members, len(members) + (forest > 0.0), deadline)
        self._write(members, forest)

    def _train(self, member: _Member, deadline: float | None) -> None:
        begin = time.monotonic()
        member.networks.append(self.trainer.refit({**member.row, "seed": member.next_seed}, deadline))
        member.seconds = time.monotonic() - begin

    def _fill(self, members: Sequence[_Member], count: int, deadline: float) -> None:
        """Trains the members again that gain most by it, with other seeds, as long as there is time."""
        added: list[str] = []
        for networks in range(count + 1, MOST_MEMBERS + 1):
            end = deadline - _SAVING * networks
            fitting = [each for each in members if time.monotonic() + _MARGIN * each.seconds <= end]
            if not fitting:
                break
            member = max(fitting, key=lambda each: each.gain)
            try:
                self._train(member, end)
            except Exception as error:  # such as too little memory for one more; the others stay
                if self.trainer.workers.count > 1 and not isinstance(error, TrialFailed):
                    raise
                break
            added.append(str(member.row["number"]))
        if added:
            self.say(f"in the time left, with other seeds: {'trials' if added[1:] else 'trial'} {', '.join(added)}")

    def _write(self, members: Sequence[_Member], forest: float) -> None:
        """Joins the networks and keeps the model with the encoder of its rows."""
        cache = self.all_rows()
        models = [(member.row["number"], network) for member in members for network in member.networks]
        shares = [member.weight / len(member.networks) for member in members for _ in member.networks]
        if forest > 0.0:
            models.append((FOREST, forest_model(cache.layout)))
            shares.append(forest)
        model = models[0][1] if len(models) == 1 else join([network for _, network in models], shares)
        if self.budgets is not None:
            self.budgets.check({"model_size": model_size(model)})
        name = f"{len(self.run.events('refit')):04d}"
        with new_folder(self.run.directory / REFIT / name) as folder:
            model.save(folder / MODEL)
            shutil.copytree(cache.directory / ENCODER, folder / ENCODER)
        told = {"folder": name, "rows": cache.train.rows, "parameters": model.count_params()}
        self.run.append({"event": "refit", "of": self.run.model_id, **told, "networks": [trial for trial, _ in models]})
        remove_beside(self.run.directory / REFIT / name)


def _in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    epochs = ", ".join(f"{row['number']} ({len(row['course'])})" for row in rows)
    return f"trials and epochs {epochs}" if len(rows) > 1 else f"trial and epochs {epochs}"
