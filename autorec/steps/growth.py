"""The ensemble of a growing search: judges each iteration's candidates, and becomes the run's model in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autorec.searchers.ensemble import Ensemble
from autorec.searchers.growing import grow
from autorec.searchers.oracles import spread
from autorec.steps.ensemble import EnsembleMaker
from autorec.steps.members import Row, panel_of


@dataclass
class Growth:
    """Grows an ensemble of a run's trials, for an oracle that asks which of its candidates joined.

    What was decided is an event `grown` of the journal, and is not decided again when a search goes on.

    Args:
        maker: Knows the run and its validation rows.
        oracle: Says by which rule the ensemble is pruned.
        seed: Seed of what is by chance.
    """

    maker: EnsembleMaker
    oracle: Ensemble
    seed: int

    @property
    def members(self) -> list[int]:
        """Numbers of the members so far, the oldest first."""
        events = self.maker.run.events("grown")
        return list(events[-1]["members"]) if events else []

    def __call__(self, places: Sequence[int]) -> int | None:
        """Returns which of an iteration's trials joined the ensemble, or None.

        Args:
            places: Which of the oracle's trials they are, from 0.
        """
        started = [event["number"] for event in self.maker.run.events("started") if "parent" not in event]
        numbers = [started[place] for place in places]
        known = next((event for event in self.maker.run.events("grown") if event["trials"] == numbers), None)
        winner = self._step(numbers) if known is None else known["winner"]
        return None if winner is None else places[numbers.index(winner)]

    def _step(self, numbers: Sequence[int]) -> int | None:
        # A search that ended between two candidates, and goes on, has let the first join already.
        joined = next((number for number in numbers if number in self.members), None)
        new = [number for number in numbers if number not in self.members]
        rows = self._rows([*self.members, *new])
        answers = self.maker.answers(rows)
        there = [row["number"] for row, _ in answers]
        members = [there.index(number) for number in self.members if number in there]
        candidates = [there.index(number) for number in new if number in there]
        event: dict[str, Any] = {"event": "grown", "trials": list(numbers), "winner": joined, "members": self.members}
        if candidates:
            panel = panel_of([outputs for _, outputs in answers], self.maker.part, self.maker.layout, seed=self.seed)
            settings: dict[str, Any] = {"alpha": self.oracle.alpha, "start": self.oracle.start}
            seed = spread(self.seed, len(self.maker.run.events("grown")))
            found = grow(panel, members, candidates, self.oracle.pruning, seed=seed, **settings)
            event["winner"] = joined if found.winner is None else there[found.winner]
            event["members"] = [there[member] for member in found.members]
            event["loss"] = found.loss
        self.maker.run.append(event)
        winner: int | None = event["winner"]
        return winner

    def _rows(self, numbers: Sequence[int]) -> list[Row]:
        """Returns the rows of trials that were completed and whose files are there, in the order of `numbers`."""
        rows = {row["number"]: row for row in self.maker.run.trials() if row["status"] == "completed"}
        there = (number for number in numbers if self.maker.run.trial_directory(number).exists())
        return [rows[number] for number in there if number in rows]

    def finish(self) -> bool:
        """Lets trials join that no iteration has judged, and makes the model; returns whether there is one."""
        run = self.maker.run
        judged = {number for event in run.events("grown") for number in event["trials"]}
        rest = [row["number"] for row in run.trials() if row["number"] not in judged and row["parent"] is None]
        if rest:
            self._step(rest)
        members = self._rows(self.members)
        return bool(members) and self.maker.make(members, None, rule=self.oracle.pruning)
