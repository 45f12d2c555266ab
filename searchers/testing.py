"""What every searcher has to hold, as tests to inherit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import keras_tuner as kt

from autorec.expect import expect
from autorec.run import Run
from autorec.searchers.runner import Job, search

OBJECTIVE = kt.Objective("score", "max")


def planted_space(hp: Any) -> float:
    """Declares seven hyperparameters, some behind a switch; returns a score in [0, 1] that is best at one point."""
    kind = hp.Choice("kind", ["flat", "deep"])
    score = 0.2 if kind == "deep" else 0.0
    with hp.conditional_scope("kind", ["deep"]):
        layers, dropout = hp.Int("deep/layers", 1, 5), hp.Float("deep/dropout", 0.0, 0.5)
    with hp.conditional_scope("kind", ["flat"]):
        hp.Boolean("flat/bias")
    if kind == "deep":
        score += 0.2 * (1 - abs(layers - 4) / 4) + 0.1 * (1 - 2 * dropout)
    score += 0.1 * (hp.Choice("field_embedding/dim", [4, 8, 16, 32]) == 16)
    score += 0.2 * (1 - abs(hp.Float("train/learning_rate", 0.0, 1.0, default=0.1) - 0.7))
    return score + 0.2 * (1 - abs(hp.Float("train/table_l2", 0.0, 1.0, default=0.9) - 0.2))


def planted_trial(job: Job) -> Mapping[str, Any]:
    """Scores a job by `planted_space`; takes no time."""
    return {"metrics": {"score": planted_space(job.hp)}}


def without_times(event: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an event of the journal without what a clock gave and without the lines of a traceback."""
    return {key: value for key, value in event.items() if key not in ("seconds", "traceback")}


class SearcherContract:
    """Tests of a searcher: inherit and give `make`.

    Args:
        make: Class attribute, a static method `seed -> oracle` for the objective `OBJECTIVE`, ready for the runner
            (see `get_oracle`).
        trials: Class attribute, the number of trials of a test.

    Example:
        >>> class TestMySearcher(SearcherContract):
        ...     @staticmethod
        ...     def make(seed):
        ...         return get_oracle(MySearcher(seed=seed), objective=OBJECTIVE)
    """

    make: ClassVar[Callable[[int], kt.Oracle]]
    trials: ClassVar[int] = 14

    def _search(self, folder: Path, seed: int = 1, **arguments: Any) -> tuple[str, list[dict[str, Any]]]:
        settings = {"space_build": planted_space, "evaluate": planted_trial, "max_trials": self.trials, **arguments}
        with Run(folder) as run:
            reason = search(run, oracle=type(self).make(seed), seed=seed, **settings)
            return reason, [without_times(event) for event in run.events()]

    def test_trials_are_distinct(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            reason, events = self._search(Path(folder))
        found = [sorted(event["values"].items()) for event in events if event["event"] == "started"]
        expect(reason == "max_trials", f"ended by {reason}, not by max_trials")
        expect(len(found) == self.trials, f"{len(found)} trials, not {self.trials}")
        expect(all(values not in found[:place] for place, values in enumerate(found)), "two trials are the same")

    def test_the_same_seed_gives_the_same_search_and_another_another(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            first, second, other = (self._search(Path(folder, name), seed) for name, seed in zip("abc", (1, 1, 2)))
        expect(first == second, "one seed gave two searches")
        expect(first != other, "two seeds gave one search")

    def test_a_search_cut_anywhere_goes_on_as_if_it_was_not(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _, whole = self._search(Path(folder, "whole"))
            lines = Path(folder, "whole", "journal.jsonl").read_bytes().splitlines(keepends=True)
            for count in range(len(lines)):
                cut = Path(folder, f"cut{count}")
                cut.mkdir()
                (cut / "journal.jsonl").write_bytes(b"".join(lines[:count]) + lines[count][:20])
                expect(self._search(cut)[1] == whole, f"differs when cut behind line {count}")

    def test_going_on_with_more_trials_equals_one_longer_search(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _, whole = self._search(Path(folder, "whole"))
            self._search(Path(folder, "parts"), max_trials=self.trials // 2)
            expect(self._search(Path(folder, "parts"))[1] == whole, "differs from one longer search")

    def test_the_end_of_a_small_space_is_reported(self) -> None:
        def small(hp: Any) -> float:
            return float(hp.Choice("a", [1, 2])) + float(hp.Boolean("b"))

        def trial(job: Job) -> Mapping[str, Any]:
            return {"metrics": {"score": small(job.hp)}}

        with tempfile.TemporaryDirectory() as folder:
            reason, events = self._search(Path(folder), space_build=small, evaluate=trial, max_trials=40)
        values = {(e["values"]["a"], e["values"]["b"]) for e in events if e["event"] == "started"}
        expect(reason == "exhausted", f"ended by {reason}, not because it was exhausted")
        expect(len(values) == 4, f"tried {len(values)} of 4 points")

    def test_a_space_of_one_point_is_tried_once(self) -> None:
        def only(hp: Any) -> float:
            return float(hp.Choice("a", [1])) + float(hp.Fixed("b", 2)) + float(hp.Int("c", 3, 3))

        def trial(job: Job) -> Mapping[str, Any]:
            return {"metrics": {"score": only(job.hp)}}

        with tempfile.TemporaryDirectory() as folder:
            reason, events = self._search(Path(folder), space_build=only, evaluate=trial)
        found = [event["values"] for event in events if event["event"] == "started"]
        expect(reason == "exhausted", f"ended by {reason}, not because it was exhausted")
        expect([values["a"] for values in found] == [1], f"tried {found}")

    def test_equal_scores_are_no_reason_to_stop_or_to_repeat(self) -> None:
        def trial(job: Job) -> Mapping[str, Any]:
            return {"metrics": {"score": 0.5}}

        with tempfile.TemporaryDirectory() as folder:
            reason, events = self._search(Path(folder), evaluate=trial)
        found = [sorted(event["values"].items()) for event in events if event["event"] == "started"]
        expect(reason == "max_trials", f"ended by {reason}, not by max_trials")
        expect(all(values not in found[:place] for place, values in enumerate(found)), "two trials are the same")

    def test_trials_without_a_number_or_memory_keep_their_cause_and_do_not_end_the_search(self) -> None:
        def trial(job: Job) -> Mapping[str, Any]:
            if job.number % 4 == 0:
                raise MemoryError("32 GiB were asked for")
            return {"metrics": {"score": float("nan")}} if job.number % 4 == 1 else planted_trial(job)

        with tempfile.TemporaryDirectory() as folder:
            reason, _ = self._search(Path(folder), evaluate=trial)
            rows = Run(folder, read_only=True).trials()
        causes = [row["error"] or "" for row in rows]
        expect(reason == "max_trials", f"ended by {reason}, not by max_trials")
        expect(len(rows) == self.trials, f"{len(rows)} rows, not {self.trials}")
        expect(all("32 GiB" in cause for cause in causes[::4]), f"the causes are {causes}")
        expect(all("nan" in cause for cause in causes[1::4]), f"the causes are {causes}")
        expect(not any(causes[2::4] + causes[3::4]), f"the causes are {causes}")

    def test_failed_trials_become_rows_and_do_not_end_the_search(self) -> None:
        def trial(job: Job) -> Mapping[str, Any]:
            if job.number % 3 == 1:
                raise ValueError(f"trial {job.number} is broken")
            return planted_trial(job)

        with tempfile.TemporaryDirectory() as folder:
            self._search(Path(folder), evaluate=trial)
            rows = Run(folder, read_only=True).trials()
        failed = [row["number"] for row in rows if row["status"] == "failed"]
        expect(len(rows) == self.trials, f"{len(rows)} rows, not {self.trials}")
        expect(failed == list(range(1, self.trials, 3)), f"failed are {failed}")
        expect(all("is broken" in rows[number]["traceback"] for number in failed), "a row lacks its cause")

    def test_nothing_but_the_run_is_written(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self._search(Path(folder))
            found = sorted(path.name for path in Path(folder).rglob("*"))
            expect(found == ["journal.jsonl", "lock"], f"wrote {found}")
