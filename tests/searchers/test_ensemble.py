"""The oracle that grows an ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pytest

from autorec.errors import ConfigError
from autorec.run import Run
from autorec.searchers.ensemble import Ensemble, depth_of, depths_of
from autorec.searchers.oracles import get_oracle
from autorec.searchers.runner import Job, search
from autorec.searchers.testing import OBJECTIVE


def space(hp: Any) -> tuple[int, float]:
    return hp.Int("net/depth", 0, 6, default=3), hp.Float("train/learning_rate", 0.0, 1.0, default=0.5)


def run_of(folder: Path, prefers: Any, trials: int = 8, judge: Any = None) -> list[dict[str, Any]]:
    """Returns the values of the trials of a search whose score is `prefers(depth)`."""

    def trial(job: Job) -> Mapping[str, Any]:
        return {"metrics": {"score": float(prefers(space(job.hp)[0]))}}

    oracle = get_oracle("ensemble", objective=OBJECTIVE, seed=1)
    oracle.judge = judge
    with Run(folder) as run:
        search(run, oracle=oracle, space_build=space, evaluate=trial, max_trials=trials)
        return [event["values"] for event in run.events("started")]


def test_the_first_pair_is_the_default_point_at_the_two_least_depths(tmp_path: Path) -> None:
    first, second = run_of(tmp_path, lambda depth: depth, 2)
    assert first == {"net/depth": 0, "train/learning_rate": 0.5}
    assert second == {"net/depth": 1, "train/learning_rate": 0.5}


def test_a_pair_differs_in_its_depth_alone(tmp_path: Path) -> None:
    values = run_of(tmp_path, lambda depth: depth)
    for first, second in zip(values[::2], values[1::2]):
        assert first["train/learning_rate"] == second["train/learning_rate"]
        assert second["net/depth"] == first["net/depth"] + 1


def test_depth_grows_while_deeper_candidates_win(tmp_path: Path) -> None:
    assert [each["net/depth"] for each in run_of(tmp_path, lambda depth: depth)] == [0, 1, 1, 2, 2, 3, 3, 4]


def test_depth_stays_while_shallow_candidates_win(tmp_path: Path) -> None:
    assert [each["net/depth"] for each in run_of(tmp_path, lambda depth: -depth)] == [0, 1] * 4


def test_a_judge_decides_instead_of_the_score(tmp_path: Path) -> None:
    asked: list[list[int]] = []

    def judge(places: list[int]) -> int | None:
        asked.append(places)
        return places[-1] if len(asked) < 3 else None

    depths = [each["net/depth"] for each in run_of(tmp_path, lambda depth: -depth, judge=judge)]
    assert asked == [[0, 1], [2, 3], [4, 5]]
    assert depths == [0, 1, 1, 2, 2, 3, 2, 3]  # nobody joined in the third iteration


def test_at_the_greatest_depth_an_iteration_has_one_trial(tmp_path: Path) -> None:
    depths = [each["net/depth"] for each in run_of(tmp_path, lambda depth: depth, 16)]
    assert depths[-4:] == [6, 6, 6, 6]


def test_a_failed_candidate_does_not_win(tmp_path: Path) -> None:
    depths = [each["net/depth"] for each in run_of(tmp_path, lambda depth: depth if depth < 2 else float("nan"))]
    assert max(depths) == 2


def test_an_iteration_waits_for_those_who_train_elsewhere() -> None:
    oracle = get_oracle("ensemble", objective=OBJECTIVE, seed=1)
    hp = kt.HyperParameters()
    space(hp)
    oracle.update_space(hp)
    first, second, third = (oracle.create_trial(f"worker-{number}") for number in range(3))
    assert [first.status, second.status, third.status] == ["RUNNING", "RUNNING", "IDLE"]
    for trial in (first, second):
        oracle.update_trial(trial.trial_id, {"score": 1.0})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert oracle.create_trial("worker-2").status == "RUNNING"


def test_depths_are_whole_numbers_of_that_name() -> None:
    hp = kt.HyperParameters()
    hp.Int("a/layers", 1, 5, step=2)
    hp.Choice("depth", [4, 2])
    hp.Float("b/depth", 0.0, 1.0)
    hp.Int("depth/units", 1, 3)
    assert [depths_of(each) for each in hp.space] == [[1, 3, 5], [2, 4], [], []]


def test_the_depth_of_values_is_the_largest() -> None:
    assert depth_of({"a/layers": 2, "b/depth": 3, "c": 9}) == 3
    assert depth_of({"c": 9}) is None


@pytest.mark.parametrize(("arguments", "words"), [({"pruning": "forward"}, "pruning"), ({"start": "last"}, "start")])
def test_what_is_not_known_is_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"`{words}` must be one of"):
        Ensemble(**arguments)
