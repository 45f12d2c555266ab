"""The refit: the run's model trained once more, on all rows."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autorec.data.cache import Cache
from autorec.ensembles import join
from autorec.errors import AutoRecError, TrialFailed
from autorec.files import new_folder, remove_beside
from autorec.loading import ENCODER, MODEL, REFIT
from autorec.run import FOREST, Run
from autorec.searchers.budgets import Budgets, model_size
from autorec.searchers.trial import TrialTrainer
from autorec.steps.clock import Clock
from autorec.steps.forest_model import forest_model

_MARGIN = 1.1  # estimates are off by so much
_UNKNOWN = 1.0  # seconds that are taken for an encoding that nobody measured


@dataclass
class Refit:
    """Trains the run's model once more on all rows, encoded anew, if there is time; the model as it is stays else.

    Each network is trained for the epochs that made its best weights, at their rates, with its seed, and its weights
    are the mean over the last epoch. Of an ensemble it is every member; the ensemble's weights stay. What the model
    validates at stays that of the model before: no row is left to tell.

    Args:
        run: Open for writing; the model goes into its folder `refit`, with the encoder of its rows.
        trainer: Trained the trials.
        all_rows: Returns all rows as training rows; the trainer has the same.
        clock: Of the call.
        say: Receives in words what is done.
        budgets: What the model may cost, or None; of all rows there are more values, and larger tables.
    """

    run: Run
    trainer: TrialTrainer
    all_rows: Callable[[], Cache]
    clock: Clock
    say: Callable[[str], None]
    budgets: Budgets | None = None

    def make(self, *later: str) -> None:
        """Refits the run's model, once.

        Args:
            later: Steps behind this one, which keep their shares of the time.
        """
        members = self._members()
        if not members or self.run.refit is not None:
            return
        rows = [row for row, _ in members if row is not None]
        needed, deadline = self.seconds(rows), self.clock.keeping(*later)
        if deadline is not None and deadline - time.monotonic() < needed:
            left = max(deadline - time.monotonic(), 0.0)
            self.say(f"no refit: it would take some {needed:.0f} s, {left:.0f} s are left")
            return
        self.say(f"refit on all rows: {_in_words(rows)}")
        try:
            self._make(members, deadline)
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

    def _members(self) -> list[tuple[dict[str, Any] | None, float]]:
        """Returns the rows of the trials that the run's model is made of, None for the forest, and their weights."""
        ensemble, best = self.run.ensemble, self.run.best
        if ensemble is None:
            return [] if best is None else [(best, 1.0)]
        rows: dict[Any, dict[str, Any] | None] = {row["number"]: row for row in self.run.trials()}
        rows[FOREST] = None
        return [(rows[member["trial"]], member["weight"]) for member in ensemble["members"]]

    def _make(self, members: Sequence[tuple[dict[str, Any] | None, float]], deadline: float | None) -> None:
        # The trainer first: several workers encode the rows together, when they are told to train on them.
        networks = [None if row is None else self.trainer.refit(row, deadline) for row, _ in members]
        cache = self.all_rows()
        models: list[Any] = [forest_model(cache.layout) if model is None else model for model in networks]
        model = models[0] if len(models) == 1 else join(models, [weight for _, weight in members])
        if self.budgets is not None:
            self.budgets.check({"model_size": model_size(model)})
        name = f"{len(self.run.events('refit')):04d}"
        with new_folder(self.run.directory / REFIT / name) as folder:
            model.save(folder / MODEL)
            shutil.copytree(cache.directory / ENCODER, folder / ENCODER)
        told = {"folder": name, "rows": cache.train.rows, "parameters": model.count_params()}
        self.run.append({"event": "refit", "of": self.run.model_id, **told})
        remove_beside(self.run.directory / REFIT / name)


def _in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    epochs = ", ".join(f"{row['number']} ({len(row['course'])})" for row in rows)
    return f"trials and epochs {epochs}" if len(rows) > 1 else f"trial and epochs {epochs}"
