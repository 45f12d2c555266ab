"""Limits of what a model may cost."""

from __future__ import annotations

import keras
import pytest

from autorec.errors import ConfigError
from autorec.searchers.budgets import Budgets, OverBudget, model_size, size_text


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
