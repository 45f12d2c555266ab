"""Ensembles of a run's trials: the choice of members, and the model that comes of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autorec.data.cache import Cache, Part
from autorec.data.layout import Layout
from autorec.ensembles import join
from autorec.errors import ConfigError
from autorec.export.folder import load_model
from autorec.files import new_folder, remove_beside
from autorec.loading import ENSEMBLE, MODEL
from autorec.run import Run
from autorec.searchers.budgets import Budgets, OverBudget, model_size
from autorec.searchers.diversity import diversity
from autorec.searchers.ensemble import depth_of
from autorec.searchers.ensemble_selection import (
    Choose,
    best_single,
    check_selection,
    cross_fitted,
    few,
    select,
    telling,
)
from autorec.searchers.outputs import outputs_of, read_outputs, write_outputs
from autorec.searchers.panel import Panel
from autorec.searchers.pruning import ALPHA, LEAST, SURE, Pruned
from autorec.steps.members import Row, check_size, metrics_of, name_of, named_trials, panel_of

#: Trainings at most that the ensemble of a search is chosen from: the time of a choice grows with their cube.
MOST_CANDIDATES = 30
_COST = 3.0  # to load, join and save a member takes so many times what it takes to load it


@dataclass
class EnsembleMaker:
    """Makes the ensemble of some trials of a run, and its model.

    Args:
        run: Open for writing; the model goes into a folder in `ensemble/`, which the event `ensemble` names.
        part: Validation rows.
        layout: Columns of the rows.
        say: Receives in words what is done.
        seed: Seed of the choice.
        budgets: What the model may cost, or None.
        deadline: `time.monotonic()` at which to end, or None.
        refit: Returns how many seconds a refit of some trials takes, where the ensemble is to be refitted; else None.
    """

    run: Run
    part: Part
    layout: Layout
    say: Callable[[str], None]
    seed: int = 0
    budgets: Budgets | None = None
    deadline: float | None = None
    refit: Callable[[list[Row]], float] | None = None

    def answers(self, rows: Sequence[Row]) -> list[tuple[Row, np.ndarray]]:
        """Returns what trials answer for the validation rows, (targets, rows), of those that there is time for.

        What a trial did not leave beside its model is computed, and left there.
        """
        found = []
        for row in rows:
            folder = self.run.model_directory(row)
            outputs = read_outputs(folder)
            if outputs is None or outputs.shape != self.part.labels.T.shape:
                if self.deadline is not None and time.monotonic() >= self.deadline:
                    continue
                outputs = outputs_of(load_model(folder / MODEL), self.part, self.layout)
                write_outputs(folder, outputs)
                gc.collect()  # one model at a time: their tables may be large
            if np.isfinite(outputs).all():
                found.append((row, outputs))
        return found

    def make(
        self,
        rows: Sequence[Row],
        pruning: str | None = "auto",
        size: int | None = None,
        *,
        alpha: float = ALPHA,
        start: str = "best",
        enough: int = LEAST,
        most: int | None = None,
        unless_worse: bool = False,
        rule: str | None = None,
    ) -> bool:
        """Chooses members among some trials, joins them and writes down what came of it.

        Args:
            rows: Rows of the trials, the best first.
            pruning, size, alpha, start, enough: See `autorec.searchers.ensemble_selection.select`.
            most: Candidates at most, or None: of more those stay that forward selection takes, then the best.
            unless_worse: Whether nothing is made if it validates worse than the best trial by more than two standard
                errors, on rows by which neither was chosen.
            rule: Name of the rule by which the trials were pruned already, to be written down.

        Returns:
            Whether there is an ensemble.

        Raises:
            ConfigError: If an argument is not allowed.
        """
        begin = time.monotonic()
        check_selection(pruning, size, alpha, start, enough)
        known = self.answers(rows)
        cost = self._seconds_a_member(known)
        joined = self._in_time(cost, len(known))
        if not known or joined < (2 if unless_worse else 1):
            cause = "there is one trial alone" if len(known) == 1 else "there is no time to join two trials"
            self.say(f"no ensemble: {cause if known else 'no trial answers'}")
            return False
        panel = panel_of([outputs for _, outputs in known], self.part, self.layout, seed=self.seed)
        if unless_worse and few(panel):
            self.say("no ensemble: the validation rows are too few to tell whether it is worse")
            return False
        if most is not None and len(known) > most:
            places = telling(panel, most)
            known, panel = [known[place] for place in places], panel.of(places)
        size = min(size or panel.size, joined) if joined < panel.size or size is not None else None

        def choose(some: Panel, size: int | None, by: str | None) -> tuple[Pruned, str | None]:
            return select(some, by, size=size, seed=self.seed, alpha=alpha, start=start, enough=enough)

        chosen, by = choose(panel, size, pruning)
        first = len(chosen.members)
        while len(chosen.members) > 1 and not self._affordable([known[member][0] for member in chosen.members]):
            size = len(chosen.members) - 1
            chosen, by = choose(panel, size, by)
        if len(chosen.members) < first:
            self.say(f"an ensemble of {first} would be over a limit of the run: it has {len(chosen.members)} instead")
        alone = _best_trial([row for row, _ in known])
        if unless_worse and self._is_worse(panel, chosen, lambda some: choose(some, size, by)[0], alone):
            return False
        chosen = self._shrunk_to_refit(chosen, [row for row, _ in known], lambda size: choose(panel, size, by)[0], cost)
        if self._in_time(cost, panel.size) < len(chosen.members):
            self.say("no ensemble: the choice of its members took all the time")
            return False
        self._write(known, panel, chosen, by if rule is None else rule, alone(panel).loss, begin)
        return True

    def _seconds_a_member(self, known: Sequence[tuple[Row, Any]]) -> float:
        """Returns how long it takes to load, join and save a member, by how long it takes to load the largest."""
        if self.deadline is None or not known or time.monotonic() >= self.deadline:
            return 0.0
        largest = max((row for row, _ in known), key=lambda row: row["parameters"] or 0)
        begin = time.monotonic()
        load_model(self.run.model_directory(largest) / MODEL)
        return _COST * (time.monotonic() - begin)

    def _in_time(self, cost: float, most: int) -> int:
        """Returns how many members there is time for, up to `most`, at so many seconds each."""
        left = np.inf if self.deadline is None else self.deadline - time.monotonic()
        if left <= 0.0:
            return 0
        return most if most * cost <= left else int(left / cost)

    def _shrunk_to_refit(
        self, chosen: Pruned, rows: Sequence[Row], choose: Callable[[int], Pruned], cost: float
    ) -> Pruned:
        """Returns an ensemble of as many members as can be refitted in time, or it as it is if not even two can."""
        found = chosen
        while self.refit is not None and self.deadline is not None:
            members = [rows[member] for member in found.members]
            left = self.deadline - time.monotonic() - cost * len(members)
            if self.refit([row for row in members if row["number"] is not None]) <= left:
                return found
            if len(members) <= LEAST or time.monotonic() >= self.deadline:
                break
            found = choose(len(members) - 1)
        return chosen

    def _affordable(self, rows: Sequence[Row]) -> bool:
        if self.budgets is None:
            return True
        costs: dict[str, Any] = {"model_size": 4 * sum(row["parameters"] for row in rows)}
        latencies = [row.get("latency") for row in rows if row["number"] is not None]
        if None not in latencies:  # trees are a part of the encoding, which no latency counts
            costs["latency"] = sum(latencies)
        try:
            self.budgets.check(costs)
        except OverBudget:
            return False
        return True

    def _is_worse(self, panel: Panel, chosen: Pruned, choose: Choose, best: Choose) -> bool:
        """Returns whether an ensemble validates worse than the best trial, both chosen without the rows that judge.

        An ensemble of one trial is taken for worse.

        A mean of good models is hardly ever worse than the one that looks best of many, and few rows cannot tell: it is
        worse where it loses by more than two standard errors of the difference.
        """
        seed = self.seed + 1  # other folds than those by which a rule was chosen
        alone = cross_fitted(panel, best, seed=seed)
        together = cross_fitted(panel, choose, seed=seed)
        chance = panel.standard_error(chosen.weights, best(panel).weights)
        if len(chosen.members) > 1 and together - alone < SURE * chance:
            return False
        self.say(f"no ensemble: its validation loss would be {together:.5f}, the best trial's is {alone:.5f}")
        return True

    def _write(
        self,
        known: Sequence[tuple[Row, np.ndarray]],
        panel: Panel,
        chosen: Pruned,
        rule: str | None,
        alone: float,
        begin: float,
    ) -> None:
        members = [known[member][0] for member in chosen.members]
        shares = [float(chosen.weights[member]) for member in chosen.members]
        outputs = np.tensordot(np.array(shares), np.stack([known[member][1] for member in chosen.members]), 1)
        outputs = outputs.astype(np.float32)
        metrics = metrics_of(self.run, outputs, self.part, self.layout)
        models = [load_model(self.run.model_directory(row) / MODEL) for row in members]
        model = join(models, shares)
        name = f"{len(self.run.events('ensemble')):04d}"
        with new_folder(self.run.directory / ENSEMBLE / name) as folder:
            model.save(folder / MODEL)
            write_outputs(folder, outputs)  # for a calibration
        objective = self.run.events("search")[-1]["objective"]
        depths = [depth for row in members if (depth := depth_of(row["values"])) is not None]
        event = {
            "event": "ensemble",
            "name": f"ensemble of {len(members)}",
            "folder": name,
            "status": "completed",
            "score": metrics[objective],
            "metrics": metrics,
            "values": {_title(row): round(share, 4) for row, share in zip(members, shares)},
            "pruning": rule,
            "candidates": [name_of(row) for row, _ in known],
            "members": [_told(row, share) for row, share in zip(members, shares)],
            "diversity": diversity(panel, chosen.members),
            "mean_depth": float(np.mean(depths)) if depths else None,
            "loss": chosen.loss,
            "best_single_loss": alone,
            "parameters": model.count_params(),
            "model_size": model_size(model),
            "seconds": round(time.monotonic() - begin, 3),
        }
        self.run.append(event)
        remove_beside(self.run.directory / ENSEMBLE / name)
        self.say(in_words(event))


def make_ensemble(
    directory: str | Path,
    size: int | None = None,
    pruning: str | None = "auto",
    *,
    trials: Sequence[Any] | None = None,
    alpha: float = ALPHA,
    start: str = "best",
    seed: int = 0,
    say: Callable[[str], None],
) -> None:
    """Makes an ensemble the model of a run; see `Recommender.ensemble`.

    Args:
        directory: The run directory.
        size, pruning, trials, alpha, start, seed: As there.
        say: Receives in words what comes of it.

    Raises:
        ConfigError: If an argument is not allowed, or there are too few good trials.
    """
    check_selection(pruning, size, alpha, start)
    Run(directory, read_only=True)  # none is made where there is no run
    with Run(directory) as run:
        rows = named_trials(run, trials)
        if not rows:
            raise ConfigError("directory", "a run with a trained trial whose files are kept", str(directory))
        check_size(size, len(rows))
        cache = Cache.open(run.directory / "cache")
        limits = (run.config or {}).get("max_model_size"), (run.config or {}).get("max_latency")
        budgets = Budgets(*limits) if limits != (None, None) else None
        maker = EnsembleMaker(run, cache.validation, cache.layout, say, seed=seed, budgets=budgets)
        refitted = run.refit is not None
        maker.make(rows, pruning, size, alpha=alpha, start=start)
        if refitted:
            say("the ensemble is not refitted; the search called again with `refit=True` does that")


def in_words(event: Mapping[str, Any]) -> str:
    """Returns the event of an ensemble as a sentence."""
    members = ", ".join(f"{member['trial']} ({member['weight']:.2f})" for member in event["members"])
    text = f"{event['name']} of {len(event['candidates'])} trials ({event['pruning'] or 'unpruned'}): {members}"
    text += f"; validation loss {event['loss']:.5f}, best trial alone {event['best_single_loss']:.5f}"
    return f"{text}; members disagree on {event['diversity']['disagreement']:.1%} of the rows"


def _best_trial(rows: Sequence[Row]) -> Choose:
    """Returns what chooses the best trial, which is the model without an ensemble; the forest never is."""
    trials = [place for place, row in enumerate(rows) if row["number"] is not None] or list(range(len(rows)))
    return lambda panel: best_single(panel.of(trials)).among(panel.size, trials)


def _told(row: Row, share: float) -> dict[str, Any]:
    return {"trial": name_of(row), "weight": share, "score": row["score"], "depth": depth_of(row["values"])}


def _title(row: Row) -> str:
    name = name_of(row)
    return f"trial {name}" if isinstance(name, int) else name
