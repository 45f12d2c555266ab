"""`auto`: how varied it is, how its hyperparameters are named, and that a trial can be built again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import keras_tuner as kt
import pytest

from autorec.data.layout import Layout
from autorec.errors import ConfigError
from autorec.searchers.explore import explore
from autorec.searchers.oracles import get_oracle
from autorec.spaces import INTERACTIONS, SPACES, Auto, as_space, build

Point = Callable[[kt.HyperParameters, int], kt.HyperParameters]


def explored(space: Any, layout: Layout) -> kt.HyperParameters:
    """All hyperparameters of a space, as a search finds them before its first trial."""
    oracle = get_oracle("random", objective="val_auc")
    explore(oracle, lambda hp: build(space, hp, layout))
    return oracle.get_space()


def graph(model: keras.Model) -> tuple[Any, ...]:
    """A canonical form: the kinds, sizes and wiring of all layers, without their names and the order of branches."""

    def node(tensor: Any) -> tuple[Any, ...]:
        operation, number, _ = tensor._keras_history
        if isinstance(operation, keras.layers.InputLayer):
            return (operation.name,)
        kind = (type(operation).__name__, getattr(operation, "kind", None) or getattr(operation, "mode", None))
        sizes = tuple(tuple(weight.shape) for weight in getattr(operation, "weights", ()))
        inputs = operation._inbound_nodes[number].input_tensors
        return (str(kind), str(sizes), *sorted((made(x) for x in inputs), key=str))

    known: dict[int, tuple[Any, ...]] = {}

    def made(tensor: Any) -> tuple[Any, ...]:
        if id(tensor) not in known:
            known[id(tensor)] = ("", hash(node(tensor)))
        return known[id(tensor)]

    return tuple(made(tensor) for tensor in keras.tree.flatten(model.output))


def blocks(model: keras.Model) -> set[str]:
    """The blocks of a model, with their kind where they have several."""
    found = {}
    for layer in model.layers:
        kind = next((getattr(layer, name) for name in ("kind", "mode", "method") if hasattr(layer, name)), None)
        found[layer.name] = type(layer).__name__ + (f"({kind})" if isinstance(kind, str) else "")
    return set(found.values())


def test_auto_starts_from_a_deep_network_crosses_and_a_factorization_machine(layout: Layout) -> None:
    hp = kt.HyperParameters()
    model = build("auto", hp, layout)
    assert [hp.values[f"interaction_{slot}/type"] for slot in range(3)] == ["mlp", "cross_low_rank", "fm"]
    assert {"MLP", "CrossNetwork(low_rank)", "FactorizationMachine"} <= blocks(model)


def test_hyperparameters_are_named_by_slot_and_kind(layout: Layout) -> None:
    hp = kt.HyperParameters()
    hp.values.update({"auto/interactions": 2, "interaction_0/type": "cross_matrix", "interaction_1/type": "mlp"})
    build("auto", hp, layout)
    names = {name for name in hp.values if name.startswith("interaction_")}
    assert {"interaction_0/cross_matrix/layers", "interaction_1/mlp/units"} <= names
    assert all(name.startswith(("interaction_0/cross_", "interaction_1/mlp/")) for name in names if "/type" not in name)


def test_an_exploration_finds_every_kind_in_every_slot(layout: Layout) -> None:
    found = {hp.name for hp in explored("auto", layout).space}
    searched = [name for name in INTERACTIONS if INTERACTIONS[name].block.SPACE.keys() - INTERACTIONS[name].fixed]
    for slot in range(4):
        for name in searched:
            assert any(item.startswith(f"interaction_{slot}/{name}/") for item in found), (slot, name)
    assert "top/units" in found


def test_hyperparameters_of_features_depend_on_no_other(layout: Layout) -> None:
    features = [hp for hp in explored("auto", layout).space if hp.name.startswith("features/")]
    assert len(features) == 6
    assert not [hp.name for hp in features if hp.conditions]


def test_random_points_are_different_graphs_that_build_again(layout: Layout, point_of: Point) -> None:
    space = explored("auto", layout)
    graphs = []
    for seed in range(6):
        point = point_of(space, seed)
        first = graph(build("auto", point, layout))
        again = graph(build("auto", from_values(point.values), layout))
        assert first == again
        graphs.append(first)
    assert len(set(graphs)) >= 5


def from_values(values: dict[str, Any]) -> kt.HyperParameters:
    hp = kt.HyperParameters()
    hp.values.update(values)
    return hp


@pytest.mark.long
def test_random_points_have_every_block_ten_times_and_are_different_graphs(layout: Layout, point_of: Point) -> None:
    space, graphs, counts = explored("auto", layout), set(), Counter[str]()
    for seed in range(160):
        model = build("auto", point_of(space, seed), layout)
        graphs.add(graph(model))
        found = blocks(model)
        counts.update(found | {name.split("(")[0] for name in found})
        keras.utils.clear_session(free_memory=False)
    kinds = [f"CrossNetwork({kind})" for kind in ("vector", "matrix", "low_rank", "mixture")]
    kinds += [f"NumericEmbedding({kind})" for kind in ("linear", "piecewise", "periodic")]
    kinds += ["MLP", "FactorizationMachine", "DotInteraction", "SelfAttention", "InnerProduct", "Elementwise"]
    kinds += ["FieldEmbedding", "NumericTransform(log)", "NumericTransform(quantile)"]
    kinds += ["Pooling(mean)", "Pooling(sum)", "Pooling(max)", "ClickHead", "IsotonicCalibration", "ResidualCross"]
    kinds += ["CompressedInteraction", "FeatureGate", "GatedMLP", "HistoryTransformer", "TwoStreamMLP"]
    assert len(graphs) >= 100
    assert {name: counts[name] for name in kinds if counts[name] < 10} == {}


def test_products_of_user_and_item_need_both(layouts: dict[str, Layout]) -> None:
    def types(layout: Layout) -> list[str]:
        hp = kt.HyperParameters()
        build("auto", hp, layout)
        return list(next(item.values for item in hp.space if item.name == "interaction_0/type"))

    assert types(layouts["all"]) == list(INTERACTIONS)
    assert "inner_product" not in types(replace(layouts["ids"], item=None))
    of_a_vector = ("mlp", "gated_mlp", "feature_gate", "two_stream")
    assert types(layouts["one_id"]) == [name for name in INTERACTIONS if name in of_a_vector or "cross_" in name]


def test_a_history_needs_a_sequence_that_shares_its_ids_with_a_column(layouts: dict[str, Layout]) -> None:
    with pytest.raises(ConfigError, match="some of those that the layout allows"):
        Auto(types=["history"]).build_for(layouts["lists"])
    assert "HistoryTransformer" in blocks(Auto(types=["history"]).build_for(layouts["all"]))


def test_an_isotonic_layer_is_for_clicks_alone(layouts: dict[str, Layout]) -> None:
    found = {name: blocks(Auto(isotonic=True).build_for(layouts[name])) for name in ("targets", "ratings")}
    assert "IsotonicCalibration" in found["targets"]
    assert "IsotonicCalibration" not in found["ratings"]


def test_types_may_be_given(layout: Layout) -> None:
    hp = kt.HyperParameters()
    build(Auto(types=["fm", "dot"], interactions=2, linear=False, top=False, isotonic=False), hp, layout)
    assert hp.values["interaction_0/type"] == hp.values["interaction_1/type"] == "fm"
    assert not [name for name in hp.values if name.startswith("auto/")]


@pytest.mark.parametrize(("types", "allowed"), [(["fmm"], "Did you mean 'fm'"), ([], "some of")])
def test_types_that_are_not_known_are_refused(types: list[str], allowed: str) -> None:
    with pytest.raises(ConfigError, match=allowed):
        Auto(types=types)


def test_types_that_the_layout_does_not_allow_are_refused(layouts: dict[str, Layout]) -> None:
    with pytest.raises(ConfigError, match=r"the layout allows, \['mlp'"):
        Auto(types=["inner_product"]).build_for(layouts["numbers"])


def test_given_types_are_part_of_the_config() -> None:
    config = {"preset": "auto", "arguments": {"interactions": 2, "types": ["mlp", "fm"]}}
    assert Auto(types=("mlp", "fm"), interactions=2).get_config() == config
    assert as_space(SPACES["auto"](**config["arguments"])).get_config() == config  # type: ignore[arg-type]
