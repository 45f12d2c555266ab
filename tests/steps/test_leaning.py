"""What an ensemble leans on is trained again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autorec.loading import MODEL
from autorec.run import Run
from autorec.searchers.outputs import OUTPUTS, write_outputs
from autorec.steps.leaning import Leaning
from tests.steps.trained import PART, add, maker


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """A run of three trials that answer: half of the truth each, and none of it."""
    with Run(tmp_path / "run") as run:
        run.append({"event": "search", "objective": "val_auc", "direction": "max"})
        truth = 2 * PART.labels[:, 0] - 1
        first = np.arange(len(truth)) % 2 == 0
        for number, known in enumerate((first, ~first, np.zeros(len(truth), bool))):
            add(run, number, 0.7)
            write_outputs(run.trial_directory(number), np.where(known, truth, 0.0)[None].astype(np.float32))
        yield run


def again(run: Run, parent: int) -> None:
    number = len(run.events("started"))
    add(run, number, 0.7, parent=parent, fidelity={})
    answers = np.load(run.trial_directory(parent) / OUTPUTS)
    write_outputs(run.trial_directory(number), answers)


def test_it_is_one_that_the_ensemble_needs(run: Run) -> None:
    assert Leaning(maker(run))() in (0, 1)


def test_one_that_was_trained_again_gives_way_to_another(run: Run) -> None:
    lean = Leaning(maker(run))
    first = lean()
    assert first is not None
    again(run, first)
    assert lean() == 1 - first


def test_of_equal_ones_it_is_the_cheaper(run: Run) -> None:
    run.append({"event": "finished", "number": 0, "status": "completed", "score": 0.7, "seconds": 9.0})
    run.append({"event": "finished", "number": 1, "status": "completed", "score": 0.7, "seconds": 1.0})
    assert Leaning(maker(run), timed=True)() == 1


def test_without_a_time_limit_the_clock_chooses_nothing(run: Run) -> None:
    first = Leaning(maker(run))()
    for number, seconds in ((0, 9.0), (1, 1.0)):
        for value in (seconds, 10.0 - seconds):
            told = {"number": number, "status": "completed", "score": 0.7, "seconds": value}
            run.append({"event": "finished", **told})
            assert Leaning(maker(run))() == first


def test_it_knows_what_a_refit_of_the_ensemble_takes(run: Run) -> None:
    asked: list[list[int]] = []
    lean = Leaning(maker(run), refit=lambda rows: asked.append([row["number"] for row in rows]) or 7.0)
    assert lean.kept(100.0) == 0.0
    lean()
    assert lean.kept(100.0) == lean.kept(None) == 7.0
    assert [sorted(numbers) for numbers in asked] == 3 * [[0, 0, 1]]  # what is trained again next may be a member too


def test_without_a_refit_nothing_is_kept(run: Run) -> None:
    lean = Leaning(maker(run))
    lean()
    assert lean.kept(100.0) == 0.0


@pytest.fixture
def many(tmp_path: Path) -> Any:
    """A run of seven trials that an ensemble needs all, since each knows another part of the rows."""
    with Run(tmp_path / "many") as run:
        run.append({"event": "search", "objective": "val_auc", "direction": "max"})
        truth = 2 * PART.labels[:, 0] - 1
        for number in range(7):
            add(run, number, 0.7)
            answers = np.where(np.arange(len(truth)) % 7 == number, 7 * truth, 0.0)
            write_outputs(run.trial_directory(number), answers[None].astype(np.float32))
        yield run


@pytest.mark.parametrize(("left", "refitted"), [(None, 5), (60.0, 5), (45.0, 4), (30.0, 3), (20.0, 2), (19.0, 0)])
def test_it_keeps_time_to_refit_five_or_as_many_as_there_is_time_for(
    many: Run, left: float | None, refitted: int
) -> None:
    lean = Leaning(maker(many), refit=lambda rows: 10.0 * len(rows))
    lean()
    assert lean.kept(left) == 10.0 * refitted
    assert lean.kept(12.0) == lean.kept(100.0) == 10.0 * refitted  # as time goes by it stays


def test_where_all_of_few_can_be_refitted_time_is_kept_for_those_that_follow(many: Run) -> None:
    lean = Leaning(maker(many), refit=lambda rows: 10.0 * len(rows))
    lean._members = many.trials()[:2]
    assert lean.kept(60.0) == 30.0
    lean()
    assert lean.kept(60.0) == 50.0


def test_what_cannot_be_told_ends_no_search(run: Run) -> None:
    said: list[str] = []
    made = maker(run, said)
    (run.trial_directory(0) / OUTPUTS).unlink()
    (run.trial_directory(0) / MODEL).write_bytes(b"of a layer that nobody knows")
    assert Leaning(made)() is None
    assert said[0].startswith("nothing is trained again for the ensemble: ")


def test_a_training_that_has_only_begun_counts_too(run: Run) -> None:
    lean = Leaning(maker(run))
    first = lean()
    assert first is not None
    run.append({"event": "started", "number": 3, "parent": first, "values": {}, "seed": 1, "fidelity": {}})
    assert lean() == 1 - first


def test_without_trials_there_is_nothing_to_lean_on(tmp_path: Path) -> None:
    with Run(tmp_path / "none") as run:
        assert Leaning(maker(run))() is None
