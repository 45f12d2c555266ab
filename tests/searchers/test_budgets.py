"""Limits of what a model may cost."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
import pytest

from autorec.errors import ConfigError, SearchAborted
from autorec.run import Run
from autorec.searchers import hopeless
from autorec.searchers.budgets import Budgets, OverBudget, model_size, size_text
from autorec.searchers.oracles import get_oracle
from autorec.searchers.runner import Job, search


@pytest.mark.parametrize(("given", "bytes_"), [(500, 500), ("10MB", 10**7), ("500kB", 500_000), ("1.5MiB", 1_572_864)])
def test_a_size_is_bytes_or_a_text(given: int | str, bytes_: int) -> None:
    assert Budgets(max_model_size=given).max_model_size == bytes_


@pytest.mark.parametrize("given", ["10 apples", "-1MB", 0, -5, True])
def test_a_size_that_is_none_is_refused_with_an_example(given: int | str) -> None:
    with pytest.raises(ConfigError, match="`max_model_size` must be a positive number of bytes.*'10MB'"):
        Budgets(max_model_size=given)


@pytest.mark.parametrize("given", [0, -1.0, float("nan"), "fast"])
def test_a_latency_that_is_none_is_refused(given: float) -> None:
    with pytest.raises(ConfigError, match="`max_latency` must be a positive number of milliseconds"):
        Budgets(max_latency=given)


def test_the_size_of_a_model_is_that_of_all_its_weights_in_float32() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5), keras.layers.BatchNormalization()])
    assert model_size(model) == 4 * (3 * 5 + 5 + 4 * 5)


def test_what_is_over_a_limit_is_told_beside_it() -> None:
    with pytest.raises(OverBudget, match=r"^model size 12\.3 MB is over max_model_size 10 MB$") as caught:
        Budgets(max_model_size="10MB").check({"model_size": 12_345_678})
    assert caught.value.costs == {"model_size": 12_345_678}
    with pytest.raises(OverBudget, match=r"^latency 5\.31 ms is over max_latency 5 ms$"):
        Budgets(max_latency=5).check({"model_size": 1, "latency": 5.3124})


def test_a_model_hardly_over_a_limit_is_told_apart_from_it() -> None:
    with pytest.raises(OverBudget, match=r"model size 10\.0001 MB is over max_model_size 10 MB"):
        Budgets(max_model_size=10_000_000).check({"model_size": 10_000_100})
    with pytest.raises(OverBudget, match=r"model size 10\.000001 MB is over max_model_size 10 MB"):
        Budgets(max_model_size=10_000_000).check({"model_size": 10_000_001})


def test_a_model_at_its_limits_passes_and_what_is_not_known_is_not_checked() -> None:
    Budgets(max_model_size=100, max_latency=2.0).check({"model_size": 100, "latency": 2.0})
    Budgets(max_model_size=100, max_latency=2.0).check({})
    Budgets().check({"model_size": 10**12, "latency": 1e9})


def test_a_latency_is_measured_only_if_it_is_asked_for() -> None:
    assert Budgets(max_latency=1.0).timed
    assert Budgets(objectives=("val_auc", "latency")).timed
    assert not Budgets(max_model_size=1, objectives=("val_auc", "operations")).timed


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1 kB"), (12_345_678, "12.3 MB"), (999_600, "1000 kB"), (3e9, "3 GB")],
)
def test_sizes_are_written_as_people_do(count: float, text: str) -> None:
    assert size_text(count) == text


# A search under a limit


def costly(hp: Any) -> tuple[float, int]:
    """Declares a space in which larger is better; returns score and bytes."""
    dim, units = hp.Choice("dim", [4, 8, 16, 32, 64]), hp.Choice("units", [32, 64, 128, 256, 512, 1024])
    layers, rate = hp.Int("layers", 1, 5), hp.Float("rate", 0.0, 1.0, default=0.1)
    score = 0.3 * math.log2(units) / 10 + 0.3 * math.log2(dim) / 6 + 0.1 * (1 - abs(layers - 3) / 4)
    return score + 0.3 * (1 - abs(rate - 0.6)), 1000 * dim + 100 * units + units**2 * (layers - 1)


def points(count: int) -> np.ndarray:
    """Returns (count, 2) scores and bytes of random points."""
    draw = random.Random(0)
    found = []
    for _ in range(count):
        hp = kt.HyperParameters()
        costly(hp)
        hp.values = {each.name: each.random_sample(draw.randrange(2**31)) for each in hp.space}
        found.append(costly(hp))
    return np.array(found)


def search_within(folder: Path, limit: int, searcher: str, max_trials: int | None) -> list[dict[str, Any]]:
    budgets = Budgets(max_model_size=limit)

    def evaluate(job: Job) -> dict[str, Any]:
        score, size = costly(job.hp)
        budgets.check({"model_size": size})
        return {"metrics": {"score": score}, "model_size": size}

    oracle = get_oracle(searcher, objective=kt.Objective("score", "max"), max_trials=max_trials, seed=1)
    with Run(folder) as run:
        search(run, oracle=oracle, space_build=costly, evaluate=evaluate, max_trials=max_trials)
        return run.trials()


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[dict[str, Any]]]:
    """A limit that one model in five keeps, and the rows of a search under it."""
    limit = int(np.quantile(points(1000)[:, 1], 0.2))
    return limit, search_within(tmp_path_factory.mktemp("run"), limit, "evolution", 25)


def test_models_over_a_limit_do_not_count_for_max_trials(limited: tuple[int, list[dict[str, Any]]]) -> None:
    limit, rows = limited
    sizes = [row["model_size"] for row in rows if row["status"] == "completed"]
    assert len(sizes) == 25 < len(rows)
    assert all(size <= limit for size in sizes)


def test_under_a_limit_that_one_in_five_keeps_a_search_finds_good_models(
    limited: tuple[int, list[dict[str, Any]]],
) -> None:
    limit, rows = limited
    known = points(1000)
    best = max(row["score"] for row in rows if row["status"] == "completed")
    assert best > np.quantile(known[known[:, 1] <= limit, 0], 0.9)


def test_evolution_learns_what_it_may_not_have(limited: tuple[int, list[dict[str, Any]]]) -> None:
    late = limited[1][len(limited[1]) // 2 :]
    assert sum(row["status"] == "completed" for row in late) > 0.3 * len(late)


def test_a_search_of_which_all_models_are_over_a_limit_ends_with_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hopeless, "_UNAFFORDABLE", 15)
    with pytest.raises(
        SearchAborted, match=r"15 models cost more than they may, and none was trained: .*over max_model_size 100 b"
    ):
        search_within(tmp_path, 100, "random", None)
