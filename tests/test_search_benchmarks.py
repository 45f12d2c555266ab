"""The benchmarks of searchers: the closed space, look-ups in its table, and their figures."""

from __future__ import annotations

import functools
import gzip
import json
import tomllib
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
import pytest

from autorec.searchers.oracles import get_oracle
from benchmarks import architecture_table, automl, search, search_tables, transfer
from benchmarks.architecture_table import Table, graphs, hyperparameters, name_of, values_of
from benchmarks.record import TARGETS as TARGETS_FILE

TARGETS = tomllib.loads(TARGETS_FILE.read_text(encoding="utf-8"))


@functools.cache
def names() -> list[str]:
    return graphs(True)


@pytest.fixture(scope="module")
def known() -> Any:
    return hyperparameters()


def losses() -> dict[str, float]:
    return dict(zip(names(), np.random.default_rng(0).permutation(len(names())) / 1000))


def test_the_closed_space_has_283_graphs_of_which_47_read_no_raw_dense_stream() -> None:
    assert len(set(names())) == len(names()) == 283
    assert len(graphs(False)) == 47


def test_the_hyperparameters_of_a_name_describe_the_graph_of_that_name() -> None:
    assert [name_of(values_of(name)) for name in names()] == names()


def test_blocks_in_another_order_have_the_same_name() -> None:
    values = values_of("mlp64:ds fm:s")
    swapped = {
        "dag/0/type": "fm",
        "dag/0/dense": False,
        "dag/0/sparse": True,
        "dag/1/type": "mlp",
        "dag/1/units": 64,
        "dag/1/dense": True,
        "dag/1/sparse": True,
        "dag/1/skip_0": False,
    }
    assert name_of(swapped) == name_of(values)


def test_every_search_of_the_table_begins_without_blocks(known: Any) -> None:
    assert name_of({hp.name: hp.default for hp in known.space}) == ""


def test_a_search_of_the_table_ends_at_its_least_loss(known: Any) -> None:
    for least, trials in (("", 1), ("dot:ds dot:ds0", 5)):  # every search begins with the first one
        answers = {name: float(name != least) for name in names()}
        found = search.look_up(search.oracle_of("random", 0, known), answers, dict.fromkeys(names(), 1), 5)
        assert len(found) == trials


def test_a_search_of_the_table_repeats_for_its_seed(known: Any) -> None:
    runs = [
        search.look_up(search.oracle_of("evolution", seed, known), losses(), dict.fromkeys(names(), 1), 15)
        for seed in (3, 3, 4)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_kerastuners_own_bayesian_search_is_not_ours(known: Any) -> None:
    assert type(search.oracle_of("keras_tuner_bayesian", 0, known)) is kt.oracles.BayesianOptimizationOracle
    assert type(get_oracle("bayesian", objective="val_log_loss")) is not kt.oracles.BayesianOptimizationOracle


def test_the_top_percent_of_283_graphs_are_three() -> None:
    assert sum(loss <= search.top_of(losses()) for loss in losses().values()) == 3


def test_a_packed_table_holds_the_cells_and_takes_the_place_of_the_plain_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(architecture_table, "RECORDS", tmp_path)
    monkeypatch.setattr("benchmarks.record.RECORDS", tmp_path)
    for seed, loss in ((0, 0.5), (1, 0.6)):
        cell = {"val_log_loss": loss, "operations": 7}
        Table().get({"set": "frappe", "graph": "fm:s", "fidelity": "full"}, seed, lambda cell=cell: cell)
        Table().pack()
    assert [path.name for path in tmp_path.iterdir()] == ["architectures.csv.gz"]
    assert Table().losses("frappe", "full", (0, 1)) == {"fm:s": pytest.approx(0.55)}
    assert Table().operations("frappe") == {"fm:s": 7}
    assert gzip.decompress((tmp_path / "architectures.csv.gz").read_bytes()).count(b"\n") == 3


def test_figures_of_the_table_compare_medians_and_name_a_regret_that_cannot_be_divided_by() -> None:
    rows = {name: [{"regrets": [0.0] * 15, "to_top": 40}] for name in search.SEARCHERS}
    rows["evolution_ranker"] = [{"regrets": [0.1] * 15, "to_top": number} for number in (9, 10, 300)]
    figures = search.table_figures(rows)
    assert figures["trials_to_top_1_percent_over_random"] == 0.25
    assert figures["regret_over_bayesian_at_50"] is None
    assert "regret_over_bayesian_at_50_reason" in figures


def test_the_live_figure_is_that_of_the_worse_set() -> None:
    def rows(*scores: float) -> list[dict[str, Any]]:
        return [{"scores": [1.0, None, score]} for score in scores]

    found = {
        "frappe": {"random": rows(0.5, 0.6), "evolution": rows(0.4, 0.45)},
        "movielens100k": {"random": rows(0.5, 0.6), "evolution": rows(0.6, 0.75)},
    }
    figures = search.live_figures(found)
    assert figures["live/frappe/loss_minus_random_at_60_se"] > 0
    assert figures["live_loss_minus_random_at_60_se"] < 0


def automl_cells() -> dict[str, dict[str, list[dict[str, Any]]]]:
    def row(test: float, validation: float = 0.5) -> dict[str, Any]:
        both = {
            f"{part}_{name}": value for part, value in (("test", test), ("val", validation)) for name in ("auc", "rmse")
        }
        return {**both, "trials": 3, "failed": 0, "took": 30.0, "preset": "fm"}

    methods = {method: [row(0.7), row(0.8)] for method in automl.METHODS}
    methods |= {"best": [row(0.75), row(0.95)], "lightgbm_31": [row(0.6, 0.9), row(0.7, 0.4)]}
    return {name: dict(methods) for name in automl.tasks()}


def test_lightgbm_is_compared_with_in_the_size_that_validation_picks_for_each_seed() -> None:
    figures = automl.figures_of(automl_cells(), 30.0)
    assert figures["frappe_minus_lightgbm_auc"] == pytest.approx(0.15)  # .75 - .6, .95 - .8


def test_for_ratings_a_smaller_error_is_ahead() -> None:
    figures = automl.figures_of(automl_cells(), 30.0)
    assert figures["movielens100k_rating_rmse_minus_lightgbm"] > 0
    assert figures["sets_ahead_of_random_search"] == len(automl.tasks()) - 1
    assert figures["random_search_worst_set_se"] == figures["movielens100k_rating/best_over_random_se"] < 0


def test_figures_of_automl_have_every_key_of_the_targets() -> None:
    assert set(TARGETS["automl"]) <= set(automl.figures_of(automl_cells(), 30.0))


def test_the_transfer_figure_is_that_of_the_worse_set() -> None:
    def rows(*aucs: float) -> list[dict[str, Any]]:
        return [{"test_auc": auc, "test_log_loss": 1 - auc, "preset": "fm"} for auc in aucs]

    models = {model: rows(0.7, 0.8) for model in ("transferred", *transfer.RIVALS)}
    figures = transfer.figures_of({"frappe": models, "movielens100k": {**models, "random": rows(0.8, 0.82)}})
    assert figures["transferred_minus_random_dag_auc"] == pytest.approx(-0.06)


def test_tables_have_a_row_for_each_set_and_searcher(monkeypatch: pytest.MonkeyPatch) -> None:
    records = {"automl": automl.figures_of(automl_cells(), 30.0)}
    monkeypatch.setattr(search_tables, "figures_of", lambda name: json.loads(json.dumps(records.get(name, {}))))
    found = search_tables.tables()
    assert len(found["five minutes"]) == 2 + len(automl.tasks())
    assert all(not lines for name, lines in found.items() if name != "five minutes")
