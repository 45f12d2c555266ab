"""The ensemble of a growing search, judged step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autorec.run import Run
from autorec.searchers.ensemble import Ensemble
from autorec.steps import growth as module
from autorec.steps.growth import Growth
from tests.steps.trained import add, maker


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """A run of six trials, all with their files."""
    with Run(tmp_path / "run") as run:
        run.append({"event": "search", "objective": "val_auc", "direction": "max"})
        for number in range(6):
            add(run, number, 0.5 + number / 100)
        yield run


def growth(run: Run, pruning: str | None = "pie") -> Growth:
    return Growth(maker(run), Ensemble(pruning=pruning, seed=1), 0)


def test_each_iteration_is_an_event_with_its_winner(run: Run) -> None:
    grown = growth(run)
    winners = [grown(places) for places in ([0, 1], [2, 3])]
    events = run.events("grown")
    assert [event["winner"] for event in events] == winners
    assert events[0]["members"] == [winners[0]]
    assert events[0]["loss"] >= events[1]["loss"]


def test_what_was_judged_is_not_judged_again(run: Run) -> None:
    first = growth(run)([0, 1])
    for number in (0, 1):
        (run.trial_directory(number) / "validation.npy").unlink()
        (run.trial_directory(number) / "model.keras").unlink()
    assert growth(run)([0, 1]) == first
    assert len(run.events("grown")) == 1


def test_a_failed_candidate_does_not_join(run: Run) -> None:
    run.append({"event": "started", "number": 6, "values": {}, "seed": 6})
    run.append({"event": "finished", "number": 6, "status": "failed", "score": None})
    assert growth(run)([6]) is None
    assert growth(run)([5, 6]) == 5


def test_a_candidate_that_joined_at_an_earlier_end_is_none_any_more(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[int], list[int]]] = []

    def spy(panel: Any, members: Any, candidates: Any, *rest: Any, **more: Any) -> Any:
        asked.append((list(members), list(candidates)))
        return module.grow_as_it_is(panel, members, candidates, *rest, **more)

    monkeypatch.setattr(module, "grow_as_it_is", module.grow, raising=False)
    monkeypatch.setattr(module, "grow", spy)
    growth(run)([0])
    assert growth(run)([0, 1]) in (0, 1)
    assert asked == [([], [0]), ([0], [1])]


def test_places_are_those_of_the_searchers_own_trials(run: Run) -> None:
    add(run, 6, 0.9, parent=2)
    add(run, 7, 0.9)
    assert growth(run)([6]) == 6
    assert run.events("grown")[0]["trials"] == [7]


def test_what_no_iteration_judged_may_join_in_the_end(run: Run) -> None:
    grown = growth(run)
    grown([0, 1])
    assert grown.finish()
    assert run.events("grown")[-1]["trials"] == [2, 3, 4, 5]
    assert sorted(member["trial"] for member in run.ensemble["members"]) == sorted(grown.members)  # type: ignore[index]
    assert run.ensemble["pruning"] == "pie"  # type: ignore[index]


def test_without_members_there_is_no_model(tmp_path: Path) -> None:
    with Run(tmp_path / "empty") as run:
        run.append({"event": "search", "objective": "val_auc", "direction": "max"})
        assert not growth(run).finish()
