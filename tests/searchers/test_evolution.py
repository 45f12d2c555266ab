"""Evolution proposes the most promising child that was not tried."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest
from scipy.stats import binomtest

from autorec.errors import ConfigError
from autorec.searchers.evolution import Evolution, selection
from autorec.searchers.oracles import get_oracle
from autorec.searchers.points import Points
from autorec.searchers.ranker import Ranker
from autorec.searchers.replay import ReplayedOracle

SCORE = kt.Objective("score", "max")
Values = dict[str, Any]


def graphs(blocks: int = 4) -> Any:
    """Returns a space of blocks with a type, bits and, for one type, units."""
    hps = kt.HyperParameters()
    for block in range(blocks):
        kind = f"dag/{block}/type"
        hps.Choice(kind, ["mlp", "fm", "dot"])
        hps.Boolean(f"dag/{block}/raw", default=True)
        for earlier in range(block):
            hps.Boolean(f"dag/{block}/skip_{earlier}")
        hps.Choice(f"dag/{block}/units", [32, 64, 128], parent_name=kind, parent_values=["mlp"])
    return hps


def table(seed: int) -> Callable[[Values], float]:
    """Returns a score of `graphs` made of looked-up parts: of each value, and of the types of two blocks in a row."""

    def part(*key: Any) -> float:
        return random.Random(f"{seed} {key}").gauss(0.0, 1.0)

    def score(values: Values) -> float:
        kinds = [value for name, value in values.items() if name.endswith("type")]
        pairs = sum(part(place, *pair) for place, pair in enumerate(zip(kinds, kinds[1:])))
        return sum(part(item) for item in values.items()) + pairs

    return score


def evolution(hps: Any, seed: int = 1, **arguments: Any) -> Evolution:
    found = Evolution(objective=SCORE, hyperparameters=hps, seed=seed, **arguments)
    return get_oracle(found, objective=SCORE)


def searched(oracle: Any, score: Callable[[Values], float], trials: int) -> list[tuple[Values, float]]:
    """Returns what was tried and how it did; what has no score fails, and the end may come earlier."""
    found: list[tuple[Values, float]] = []
    while len(found) < trials:
        trial = oracle.create_trial("worker")
        if trial.status != "RUNNING":
            break
        values = dict(trial.hyperparameters.values)
        result = score(values)
        trial.status = "COMPLETED" if math.isfinite(result) else "FAILED"
        if math.isfinite(result):
            oracle.update_trial(trial.trial_id, {"score": result})
        oracle.end_trial(trial)
        found.append((values, result))
    return found


# The selection law


@pytest.mark.parametrize(("population", "pressure"), [(20, 10), (20, 0), (3, 2), (1, 5)])
def test_the_selection_law_sums_to_one_and_falls(population: int, pressure: int) -> None:
    law = selection(population, pressure)
    assert abs(law.sum() - 1) < 1e-12
    assert (np.diff(law) < 0).all() if pressure else np.allclose(law, 1 / population, atol=1e-15)


def test_the_best_of_20_is_the_parent_in_11_of_30_cases_under_a_pressure_of_10() -> None:
    assert selection(20, 10)[0] == pytest.approx(11 / 30, abs=1e-15)


def test_parents_are_drawn_by_the_law_among_the_survivors() -> None:
    oracle = evolution(graphs(), population=5, neighbours=1, ranker=None)
    tried = searched(oracle, table(1), 5)
    ordered = [values for values, _ in sorted(tried, key=lambda one: -one[1])]
    seen, history = oracle._seen(), oracle._history()
    children = [oracle._children(history, seen, random.Random(seed))[0] for seed in range(600)]
    nearest = [min(range(5), key=lambda rank: differences(ordered[rank], child)) for child in children]
    assert np.bincount(nearest, minlength=5)[0] / 600 == pytest.approx(selection(5, 10)[0], abs=0.08)


def differences(first: Values, second: Values) -> int:
    return sum(first.get(name) != second.get(name) for name in {*first, *second})


# What is proposed


def test_the_defaults_come_first_and_then_the_warm_start() -> None:
    wanted = [{"dag/0/type": "fm", "dag/1/skip_0": True, "of/another": 3}, {}, {"dag/0/type": "tree"}, {"dag/0/raw": 0}]
    oracle = evolution(graphs(2), warm_start=wanted)
    values = [found for found, _ in searched(oracle, lambda values: 0.0, 4)]
    defaults = Points(graphs(2).space).complete({})
    assert values[0] == defaults
    assert values[1] == Points(graphs(2).space).complete(wanted[0])
    assert "of/another" not in values[1]
    assert values[2] not in (values[0], values[1])  # the second and third are the defaults, which were tried
    assert values[2]["dag/0/raw"] is False or values[2]["dag/0/raw"] == 0


def test_once_the_population_is_there_a_trial_differs_from_a_survivor_in_one_hyperparameter() -> None:
    tried = searched(evolution(graphs(), population=6), table(2), 40)
    switched = 0
    for place in range(6, 40):
        least = min(differences(values, tried[place][0]) for values, _ in tried[:place])
        switched += least == 2  # a type that switches units on or off
        assert least <= 2
    assert switched < 20


def test_no_two_trials_have_the_same_canonical_form() -> None:
    def canonical(values: Values) -> Values:
        return {name: value for name, value in values.items() if "skip" not in name and "units" not in name}

    tried = searched(evolution(graphs(2), canonical=canonical, population=5), table(1), 50)
    forms = {tuple(sorted(canonical(values).items())) for values, _ in tried}
    assert len(tried) == len(forms) == (3 * 2) ** 2  # all there are, and then it ends


def test_the_ranker_chooses_among_distinct_children_that_were_not_tried() -> None:
    asked: list[list[Values]] = []

    class Watching(Ranker):
        def fit(self, values: Sequence[Mapping[str, Any]], scores: Sequence[float], direction: str) -> None:
            self.count = len(values)

        def score(self, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
            asked.append([dict(point) for point in values])
            return np.arange(len(values), dtype=float)

    oracle = evolution(graphs(), ranker=Watching(), population=12, neighbours=30)
    tried = searched(oracle, table(1), 30)
    assert len(asked) == 20  # behind the tenth result
    for candidates, place in zip(asked, range(10, 30)):
        past = [values for values, _ in tried[:place]]
        assert tried[place][0] == candidates[-1]
        assert not any(point in past for point in candidates)
        assert len({tuple(sorted(point.items())) for point in candidates}) == len(candidates)


def test_in_a_space_without_end_there_are_as_many_children_as_neighbours() -> None:
    hps = graphs()
    hps.Float("train/rate", 0.0, 1.0)
    oracle = evolution(hps, population=5, neighbours=77)
    searched(oracle, table(1), 10)
    assert len(oracle._children(oracle._history(), oracle._seen(), random.Random(1))) == 77


def test_the_rule_comb_knows_operations_of_the_journal() -> None:
    oracle = evolution(graphs(), population=3, survival="comb")
    asked = ReplayedOracle(oracle)
    for number, operations in enumerate([5, 9, 5, 5]):
        asked.ask()
        event = {"number": number, "status": "completed", "score": 0.5, "operations": operations}
        asked.tell({"values": asked.trials[number].hyperparameters.values, "space": [], **event})
    assert [member.operations for member in oracle._survivors(oracle._history())] == [5, 5, 5]


# Ends and bad inputs


def test_all_points_of_a_small_space_are_tried_though_their_children_were_seen() -> None:
    tried = searched(evolution(graphs(1), population=3, neighbours=2), table(1), 50)
    assert len(tried) == 2 * (3 + 1 + 1)


def test_failed_trials_alone_lead_to_random_ones() -> None:
    tried = searched(evolution(graphs(), population=3), lambda values: math.nan, 30)
    assert len({tuple(values.items()) for values, _ in tried}) == 30


def test_what_fails_is_avoided_by_the_ranker() -> None:
    def score(values: Values) -> float:
        return math.nan if values["dag/0/type"] == "dot" else table(4)(values)

    tried = searched(evolution(graphs()), score, 60)
    assert np.mean([math.isnan(result) for _, result in tried[30:]]) < 0.15


def test_a_hyperparameter_found_late_joins_the_search() -> None:
    hps = graphs(2)
    oracle = evolution(hps, population=4)
    searched(oracle, table_of_two, 12)
    oracle.hyperparameters.Choice("late", [1, 2, 3])
    values = [found["late"] for found, _ in searched(oracle, table_of_two, 20)]
    assert len(set(values)) > 1


def table_of_two(values: Values) -> float:
    return float(values["dag/0/raw"]) + float(values["dag/1/type"] == "fm")


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("population", 1),
        ("population", 2.0),
        ("pressure", -1),
        ("neighbours", 0),
        ("survival", "strong"),
        ("ranker", "trees"),
    ],
)
def test_an_argument_out_of_its_range_is_named(argument: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=argument):
        Evolution(**{argument: value})


# Repeatable


def test_a_replayed_oracle_goes_on_alike_without_fitting_for_what_was_tried() -> None:
    first, second = (evolution(graphs(), seed=4, population=5) for _ in range(2))
    whole = [values for values, _ in searched(first, table(1), 25)]
    fits, states = [], states_of(graphs(), 20)
    fit = second.ranker.fit
    second.ranker.fit = lambda *arguments: (fits.append(1), fit(*arguments))  # type: ignore[method-assign]
    for values, state in zip(whole[:20], states):
        second.replay(values, state)
        searched(second, table(1), 1)
    assert not fits
    assert [values for values, _ in searched(second, table(1), 5)] == whole[20:]


def states_of(hps: Any, count: int) -> list[int]:
    oracle = evolution(hps, seed=4, population=5)
    states = []
    for _ in range(count):
        searched(oracle, table(1), 1)
        states.append(oracle._seed_state)
    return states


def test_the_rankers_correlation_is_known_behind_ten_results_and_the_same_after_a_replay() -> None:
    oracle = evolution(graphs())
    searched(oracle, table(1), 9)
    assert oracle.ranker_correlation is None
    searched(oracle, table(1), 21)
    again = evolution(graphs())
    for values in [trial.hyperparameters.values for trial in oracle.trials.values()]:
        again.replay(values, 1)
        searched(again, table(1), 1)
    assert again.ranker_correlation == oracle.ranker_correlation
    assert 0.2 < (oracle.ranker_correlation or 0.0) <= 1.0


def test_without_a_ranker_there_is_no_correlation_and_children_are_random() -> None:
    oracle = evolution(graphs(), ranker=None)
    assert len(searched(oracle, table(1), 30)) == 30
    assert oracle.ranker_correlation is None


# How well and how fast


def test_a_proposal_takes_a_fraction_of_a_second() -> None:
    oracle = evolution(graphs(7))
    searched(oracle, table(1), 40)
    begin = time.process_time()
    for _ in range(10):
        oracle.populate_space("next")
    assert (time.process_time() - begin) / 10 < 0.2


@pytest.mark.long
def test_evolution_is_better_than_random_after_100_evaluations_of_a_table() -> None:
    def best(searcher: str, seed: int) -> float:
        oracle = get_oracle(searcher, objective=SCORE, seed=seed, hyperparameters=graphs())
        return max(score for _, score in searched(oracle, table(seed), 100))

    differences = [best("evolution", seed) - best("random", seed) for seed in range(20)]
    wins, losses = sum(one > 0 for one in differences), sum(one < 0 for one in differences)
    assert binomtest(wins, wins + losses, alternative="greater").pvalue < 0.05
