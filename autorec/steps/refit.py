"""The refit: the run's model trained once more, on all rows."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from autorec.data.cache import Cache
from autorec.ensembles import join
from autorec.errors import AutoRecError, TrialFailed
from autorec.files import new_folder, remove_beside
from autorec.loading import ENCODER, MODEL, REFIT
from autorec.run import FOREST, Run
from autorec.searchers.budgets import Budgets, model_size
from autorec.searchers.oracles import spread
from autorec.searchers.trial import TrialTrainer
from autorec.steps.clock import Clock
from autorec.steps.forest_model import forest_model

_MARGIN = 1.1  # estimates are off by so much
_UNKNOWN = 1.0  # seconds that are taken for an encoding that nobody measured
_ENOUGH = 0.8  # of an ensemble's weight, which members that were refitted have to have if others came too late
_SAVING = 0.5  # seconds that it takes at least to join and save a network
#: Networks at most where time is filled with them: a second one of each trial is worth most.
MOST_NETWORKS = 12


@dataclass
class _Member:
    """A trial that the run's model is made of, with the seeds of the networks that have its weight together."""

    row: Mapping[str, Any]
    weight: float
    networks: dict[int, Any] = field(default_factory=dict)
    seconds: float = 0.0  # that the training of the last one took

    @property
    def gain(self) -> float:
        """How much the variance of the ensemble falls by one more network, in a second: all networks count as equal."""
        count = len(self.networks)
        return self.weight**2 / (count * (count + 1) * max(self.seconds, 1e-3))

    @property
    def next_seed(self) -> int:
        """The seed of the next network: the first one has the trial's."""
        return spread(self.row["seed"], len(self.networks)) if self.networks else self.row["seed"]


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
        fill: Whether further networks are trained as long as there is time, up to `MOST_NETWORKS` in all.
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
            self._make(members, forest, deadline, bool(later))
        except Exception as error:
            if self.trainer.workers.count > 1 and not isinstance(error, TrialFailed):
                raise  # the other workers would wait for ever
            self.say(f"no refit, the model as it is stays: {_cause(error)}")

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

    def _make(self, members: Sequence[_Member], forest: float, deadline: float | None, whole: bool) -> None:
        if self.trainer.workers.count == 1:
            self.all_rows()  # several encode the rows together, when they are told to train on them
            self._check_size(members)
        trained = self._trained(members, forest, deadline, whole)
        if self.fill and deadline is not None:
            self._fill(trained, len(trained) + (forest > 0.0), deadline)
        self._write(trained, forest)

    def _check_size(self, members: Sequence[_Member]) -> None:
        """Refuses, before any training, what is over the limit of the size: of all rows there are larger tables."""
        if self.budgets is not None and self.budgets.max_model_size is not None:
            self.budgets.check({"model_size": self.trainer.refitted_size([member.row for member in members])})

    def _trained(self, members: Sequence[_Member], forest: float, deadline: float | None, whole: bool) -> list[_Member]:
        """Trains the members, the heaviest first, and leaves out those that fail if the others weigh enough.

        Args:
            members: All of them.
            forest: Weight of the forest.
            deadline: `time.monotonic()` at which to end, or None.
            whole: Whether none may be left out: what follows is fitted to what all of them answer.
        """
        for member in sorted(members, key=lambda each: -each.weight):
            try:
                self._train(member, deadline)
            except TrialFailed as error:
                held = forest + sum(each.weight for each in members if each.networks)
                if held < _ENOUGH or whole:
                    raise
                self.say(f"a refit without trial {member.row['number']}, {member.weight:.0%} of the ensemble: {error}")
                if deadline is not None and time.monotonic() >= deadline:
                    break
        return [member for member in members if member.networks]

    def _train(self, member: _Member, deadline: float | None) -> None:
        begin, seed = time.monotonic(), member.next_seed
        member.networks[seed] = self.trainer.refit({**member.row, "seed": seed}, deadline)
        member.seconds = time.monotonic() - begin

    def _fill(self, members: Sequence[_Member], count: int, deadline: float) -> None:
        """Trains the members again that gain most by it, with other seeds, as long as there is time."""
        for networks in range(count + 1, MOST_NETWORKS + 1):
            end = deadline - max(self.trainer.tail, _SAVING) * networks
            fitting = [each for each in members if time.monotonic() + _MARGIN * each.seconds <= end]
            if not fitting or not self._room(members):
                return
            member = max(fitting, key=lambda each: each.gain)
            self.say(f"there is time left: trial {member.row['number']} once more on all rows, with another seed")
            try:
                self._train(member, end)
            except Exception as error:  # such as too little memory for one more; the others stay
                self.say(f"without it: {_cause(error)}")
                return

    def _room(self, members: Sequence[_Member]) -> bool:
        """Returns whether there is memory for one more network: its optimizer's moments, the training, and the copies
        of all that are joined and saved.
        """
        sizes = [model_size(network) for member in members for network in member.networks.values()]
        return 4 * max(sizes) + 2 * sum(sizes) < psutil.virtual_memory().available

    def _write(self, members: Sequence[_Member], forest: float) -> None:
        """Joins the networks and keeps the model with the encoder of its rows."""
        cache = self.all_rows()
        total = forest + sum(member.weight for member in members)
        models = [network for member in members for network in member.networks.values()]
        networks: list[dict[str, Any]] = [
            {"trial": member.row["number"], "seed": seed, "weight": member.weight / len(member.networks) / total}
            for member in members
            for seed in member.networks
        ]
        if forest > 0.0:
            models.append(forest_model(cache.layout))
            networks.append({"trial": FOREST, "seed": None, "weight": forest / total})
        model = models[0] if len(models) == 1 else join(models, [network["weight"] for network in networks])
        if self.budgets is not None:
            self.budgets.check({"model_size": model_size(model)})
        name = f"{len(self.run.events('refit')):04d}"
        with new_folder(self.run.directory / REFIT / name) as folder:
            model.save(folder / MODEL)
            shutil.copytree(cache.directory / ENCODER, folder / ENCODER)
        told = {"folder": name, "rows": cache.train.rows, "parameters": model.count_params(), "networks": networks}
        self.run.append({"event": "refit", "of": self.run.model_id, **told})
        remove_beside(self.run.directory / REFIT / name)


def _cause(error: Exception) -> str:
    return f"{'' if isinstance(error, AutoRecError) else f'{type(error).__name__}: '}{error}"


def _in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    epochs = ", ".join(f"{row['number']} ({len(row['course'])})" for row in rows)
    return f"trials and epochs {epochs}" if len(rows) > 1 else f"trial and epochs {epochs}"
