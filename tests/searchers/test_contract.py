"""The searchers hold what every searcher has to hold."""

from __future__ import annotations

import keras_tuner as kt

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


class TestAGivenOracle(SearcherContract):
    trials = 6

    @staticmethod
    def make(seed: int) -> kt.Oracle:
        return get_oracle(kt.oracles.RandomSearchOracle(seed=seed), objective=OBJECTIVE, max_trials=6)
