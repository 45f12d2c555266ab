"""The searchers hold what every searcher has to hold."""

from __future__ import annotations

import keras_tuner as kt

from autorec.searchers.evolution import Evolution
from autorec.searchers.oracles import get_oracle
from autorec.searchers.testing import OBJECTIVE, SearcherContract


class TestRandom(SearcherContract):
    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return get_oracle("random", objective=OBJECTIVE, seed=seed)


class TestBayesian(SearcherContract):
    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return get_oracle("bayesian", objective=OBJECTIVE, seed=seed)


class TestHyperband(SearcherContract):
    trials = 30  # more than a bracket

    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return get_oracle("hyperband", objective=OBJECTIVE, seed=seed)


class TestGreedy(SearcherContract):
    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return get_oracle("greedy", objective=OBJECTIVE, seed=seed)


class TestEvolution(SearcherContract):
    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return get_oracle("evolution", objective=OBJECTIVE, seed=seed)


def small_evolution(survival: str, seed: int) -> kt.Oracle:
    """Returns an oracle that has children and a ranker within the trials of a test."""
    return get_oracle(Evolution(survival=survival, population=4, neighbours=10, seed=seed), objective=OBJECTIVE)


class TestEvolutionOfTheYoungGoodAndCheap(SearcherContract):
    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return small_evolution("comb", seed)


class TestEvolutionOfTheYoung(SearcherContract):
    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return small_evolution("age", seed)


class TestEvolutionOfTheGood(SearcherContract):
    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return small_evolution("fit", seed)


class TestEvolutionOfYoungAndGood(SearcherContract):
    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return small_evolution("mix", seed)


class TestEnsemble(SearcherContract):
    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return get_oracle("ensemble", objective=OBJECTIVE, seed=seed)


class TestAGivenOracle(SearcherContract):
    trials = 6

    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return get_oracle(kt.oracles.RandomSearchOracle(seed=seed), objective=OBJECTIVE, max_trials=6)
