"""Several models as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from autorec.ensembles import join
from autorec.errors import ConfigError
from autorec.spaces import DNN, DeepFM, InteractionDAG
from autorec.spaces.operations import operations
from autorec.training import tables
from autorec.training.prediction import predict
from tests.spaces.conftest import LAYOUTS, _batch
from tests.training import small

SHARES = [0.5, 0.3, 0.2]


def members(*targets: str) -> list[Any]:
    return [small.model(*targets, seed=seed) for seed in range(3)]


def count(models: list[Any]) -> int:
    return sum(model.count_params() for model in models)


def test_the_outputs_are_the_weighted_means() -> None:
    models, part = members("click", "like"), small.part(50, targets=2)
    alone = [predict(model, part) for model in models]
    joined = predict(join(models, SHARES), part)
    for target in ("click", "like"):
        expected = sum(share * found[target] for share, found in zip(SHARES, alone))
        np.testing.assert_allclose(joined[target], expected, atol=1e-6)


def test_models_of_all_sorts_share_the_union_of_their_inputs() -> None:
    layout = LAYOUTS["trees"]
    batch = _batch(layout, 6)
    models = [DeepFM(pairs=0, margins=False).build_for(layout), InteractionDAG(leaves=True).build_for(layout)]
    models.append(DNN(statistics=False, pairs=0, margins=False).build_for(layout))
    alone = [model({group: batch[group] for group in model.input})["click"].numpy() for model in models]
    joined = join(models, SHARES)
    assert set(joined.input) == set().union(*(model.input for model in models))
    found = joined({group: batch[group] for group in joined.input})["click"].numpy()
    np.testing.assert_allclose(found, sum(share * each for share, each in zip(SHARES, alone)), atol=1e-6)


def test_it_loads_as_it_was_bit_for_bit(tmp_path: Path) -> None:
    part = small.part(200)
    joined = join(members(), SHARES)
    joined.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(predict(loaded, part)["click"], predict(joined, part)["click"])


def test_names_of_layers_and_loaded_variables_are_unique(tmp_path: Path) -> None:
    joined = join(members(), SHARES)
    joined.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    paths = [variable.path for variable in loaded.variables]
    assert len(set(paths)) == len(paths)
    assert sum(layer.name.startswith("member_2_") for layer in joined.layers) > 2


def test_a_member_without_weight_leaves_nothing_behind() -> None:
    models = members()
    joined = join(models, [0.5, 0.0, 0.5])
    assert joined.count_params() == count([models[0], models[2]])


def test_the_tables_of_all_members_are_listed() -> None:
    models = members()
    listed = [id(table) for model in models for table in tables(model)]
    assert [id(table) for table in tables(join(models, SHARES))] == listed


def test_no_weight_is_copied() -> None:
    models = members()
    before = {id(variable) for model in models for variable in model.variables}
    assert {id(variable) for variable in join(models, SHARES).variables} == before


def test_it_costs_what_its_members_cost_and_the_mean() -> None:
    models = members()
    expected = sum(operations(model) for model in models)
    assert operations(join(models, SHARES)) == expected + 3


def test_the_models_stay_usable() -> None:
    models, part = members(), small.part(20)
    before = predict(models[1], part)["click"]
    join(models, SHARES)
    np.testing.assert_array_equal(models[1]({"ids": part.arrays["ids"]})["click"].numpy()[:, 0], before)


def test_an_ensemble_may_be_a_member() -> None:
    part = small.part(20)
    inner = join(members(), SHARES)
    expected = 0.5 * predict(inner, part)["click"]
    other = small.model(seed=9)
    expected = expected + 0.5 * predict(other, part)["click"]
    np.testing.assert_allclose(predict(join([inner, other], [0.5, 0.5]), part)["click"], expected, atol=1e-6)


def test_it_can_be_trained_on() -> None:
    joined, part = join(members(), SHARES), small.part(100)
    joined.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    before = joined.evaluate({"ids": part.arrays["ids"]}, {"click": part.labels}, verbose=0)
    joined.fit({"ids": part.arrays["ids"]}, {"click": part.labels}, epochs=3, verbose=0)
    assert joined.evaluate({"ids": part.arrays["ids"]}, {"click": part.labels}, verbose=0) < before


def test_models_of_other_targets_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"models of the targets \['click'\].*Of model 1"):
        join([small.model("click"), small.model("like")], [0.5, 0.5])


def test_models_of_other_columns_are_refused() -> None:
    wide = DeepFM().build_for(LAYOUTS["ids"])
    with pytest.raises(ConfigError, match="models that read one 'ids'.*Model 1 was made for other columns"):
        join([small.model("click"), wide], [0.5, 0.5])


@pytest.mark.parametrize("shares", [[1.0], [0.5, 0.6], [1.5, -0.5]])
def test_weights_that_do_not_fit_are_refused(shares: list[float]) -> None:
    with pytest.raises(ConfigError, match="`weights` must be"):
        join([small.model(), small.model()], shares)


def test_the_same_model_twice_and_models_without_a_graph_are_refused() -> None:
    model = small.model()
    with pytest.raises(ConfigError, match="different models"):
        join([model, model], [0.5, 0.5])
    with pytest.raises(ConfigError, match="functional models"):
        join([keras.Sequential([keras.layers.Dense(1)])], [1.0])
