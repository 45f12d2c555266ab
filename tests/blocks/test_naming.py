"""Names of hyperparameters: snake case, numbered within a build."""

from __future__ import annotations

import gc

import keras_tuner as kt
import pytest

from autorec.blocks import naming
from autorec.blocks.naming import new_build, prefix, snake_case


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("MLP", "mlp"),
        ("CrossNetwork", "cross_network"),
        ("FactorizationMachine", "factorization_machine"),
        ("DCNv2", "dc_nv2"),
        ("CINLayer", "cin_layer"),
    ],
)
def test_class_names_become_snake_case(name: str, wanted: str) -> None:
    assert snake_case(name) == wanted


def test_repeats_are_numbered_from_one_each_name_by_itself() -> None:
    hp = kt.HyperParameters()
    assert [prefix(hp, base) for base in ("mlp", "fm", "mlp", "mlp")] == ["mlp", "fm", "mlp_1", "mlp_2"]


def test_each_build_counts_afresh() -> None:
    hp = kt.HyperParameters()
    prefix(hp, "mlp")
    new_build(hp)
    assert prefix(hp, "mlp") == "mlp"


def test_two_sets_of_hyperparameters_count_by_themselves() -> None:
    prefix(kt.HyperParameters(), "mlp")
    assert prefix(kt.HyperParameters(), "mlp") == "mlp"


def test_counts_go_with_their_hyperparameters() -> None:
    gc.collect()
    before = len(naming._COUNTS)
    hp = kt.HyperParameters()
    prefix(hp, "mlp")
    del hp
    gc.collect()
    assert len(naming._COUNTS) == before
