"""Two streams: what they are made of, and what their gates read."""

from __future__ import annotations

import keras_tuner as kt
import numpy as np
import pytest

from autorec.blocks import TwoStreamMLP
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
VECTOR = RANDOM.normal(size=(5, 4)).astype("float32")
FIELDS = RANDOM.normal(size=(5, 2, 3)).astype("float32")
CONTEXTS = [RANDOM.normal(size=(5, width)).astype("float32") for width in (2, 3)]
SMALL = {"units": 8, "second_units": 4, "layers": 1, "hidden": 3, "heads": 2}


@pytest.mark.parametrize("gates", [True, False])
def test_it_holds_what_every_block_holds(gates: bool) -> None:
    check_block(TwoStreamMLP, {**SMALL, "gates": gates, "outputs": 2}, [VECTOR, FIELDS], output_shape=(5, 2))


def test_it_holds_so_with_contexts() -> None:
    check_block(TwoStreamMLP, SMALL, VECTOR, keywords={"contexts": CONTEXTS}, output_shape=(5, 1))


def test_it_is_two_networks_behind_gates_and_their_fusion() -> None:
    block = TwoStreamMLP(**SMALL)
    block(VECTOR, contexts=CONTEXTS)
    random = np.random.default_rng(1)
    block.set_weights([random.normal(size=weight.shape) for weight in block.weights])
    gated = [gate(VECTOR, context=context) for gate, context in zip(block.selections, CONTEXTS)]
    ends = [stream(x) for stream, x in zip(block.streams, gated)]
    np.testing.assert_allclose(block(VECTOR, contexts=CONTEXTS), block.fusion(ends), rtol=1e-5)
    assert [end.shape for end in ends] == [(5, 8), (5, 4)]


def test_each_context_reaches_the_output() -> None:
    block = TwoStreamMLP(**SMALL)
    block(VECTOR, contexts=CONTEXTS)
    random = np.random.default_rng(1)
    block.set_weights([random.normal(size=weight.shape) for weight in block.weights])
    before = np.array(block(VECTOR, contexts=CONTEXTS))
    for place in (0, 1):
        changed = [context + (place == number) for number, context in enumerate(CONTEXTS)]
        assert np.abs(block(VECTOR, contexts=changed) - before).max() > 0.01


def test_without_gates_there_is_no_hidden_width_to_search() -> None:
    hp = kt.HyperParameters()
    block = TwoStreamMLP.tune(hp, gates=False)
    assert "two_stream_mlp/hidden" not in hp.values
    assert block.selections == []


def test_widths_that_the_heads_do_not_divide_and_one_context_alone_are_refused() -> None:
    with pytest.raises(ConfigError, match="`second_units` must be a multiple of 4, the number of heads, got 6"):
        TwoStreamMLP(second_units=6, heads=4)
    with pytest.raises(ConfigError, match="`contexts` must be two tensors"):
        TwoStreamMLP()(VECTOR, contexts=CONTEXTS[:1])


@pytest.mark.parametrize(("units", "heads"), [(50, {1, 2}), (25, {1}), (8, {1, 2, 4})])
def test_only_heads_that_divide_a_given_width_are_searched(units: int, heads: set[int]) -> None:
    hp = kt.HyperParameters()
    assert TwoStreamMLP.tune(hp, units=units).heads == min(2, max(heads))
    found = next(each for each in hp.space if each.name == "two_stream_mlp/heads")
    assert set(found.values) == heads
