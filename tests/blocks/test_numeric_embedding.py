"""Numbers as fields: three kinds, against hand-computed values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops

from autorec.blocks import NumericEmbedding
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


def built(weights: dict[str, Any], width: int, **arguments: Any) -> NumericEmbedding:
    layer = NumericEmbedding(**arguments)
    layer.build((None, width))
    for name, value in weights.items():
        getattr(layer, name).assign(np.asarray(value, "float32"))
    return layer


def values(layer: NumericEmbedding, x: Any) -> np.ndarray:
    return ops.convert_to_numpy(layer(np.asarray(x, "float32")))


@pytest.mark.parametrize("kind", ["linear", "piecewise", "periodic"])
def test_each_kind_holds_what_every_block_holds(kind: str) -> None:
    check_block(NumericEmbedding, {"dim": 4, "kind": kind}, X, output_shape=(6, 3, 4))


def test_edges_of_any_count_hold_what_every_block_holds() -> None:
    edges = [[-1.0, 0.0, 1.0], [0.0, 1.0], [0.5]]
    check_block(NumericEmbedding, {"dim": 4, "kind": "piecewise", "edges": edges}, X, output_shape=(6, 3, 4))


def test_linear_multiplies_a_vector_and_adds_a_bias() -> None:
    weights = {"kernel": [[[1, 2]], [[3, 4]]], "bias": [[0.5, 0], [0, 1]]}
    layer = built(weights, 2, dim=2, kind="linear")
    np.testing.assert_allclose(values(layer, [[2, -1]]), [[[2.5, 4], [-3, -3]]])


def test_piecewise_adds_whole_bins_below_and_a_share_of_its_own() -> None:
    weights = {"kernel": [[[1, 10], [2, 20], [4, 40]]], "bias": [[0, 1]]}
    layer = built(weights, 1, dim=2, kind="piecewise", edges=[[0, 1, 3, 4]])
    found = values(layer, [[0.5], [2.0], [3.75], [0.0]])[:, 0]
    np.testing.assert_allclose(found, [[0.5, 6], [2, 21], [6, 61], [0, 1]])


def test_piecewise_counts_a_number_beyond_its_bins_as_their_end() -> None:
    layer = built({"kernel": [[[1], [2]]], "bias": [[0]]}, 1, dim=1, kind="piecewise", edges=[[0, 1, 1.001]])
    np.testing.assert_allclose(values(layer, [[-50], [50], [np.inf]])[:, 0, 0], [0, 3, 3])


def test_piecewise_leaves_the_bins_that_a_number_lacks_alone() -> None:
    weights = {"kernel": np.ones((3, 2, 1)), "bias": [[0], [0], [7]]}
    layer = built(weights, 3, dim=1, kind="piecewise", edges=[[0, 1, 2], [0, 1], [5]])
    np.testing.assert_allclose(values(layer, [[9, 9, 9]])[0, :, 0], [2, 1, 7])


def test_periodic_is_a_rectified_sum_of_waves() -> None:
    weights = {"frequency": [[0.25]], "kernel": [[[1, 0], [0, 3]]], "bias": [[0, -1]]}
    layer = built(weights, 1, dim=2, kind="periodic", frequencies=1)
    found = values(layer, [[1.0], [0.0], [2.0]])[:, 0]
    np.testing.assert_allclose(found, [[1, 0], [0, 2], [0, 0]], atol=1e-6)


def test_frequencies_start_with_the_given_scale() -> None:
    layer = built({}, 50, dim=2, kind="periodic", frequencies=40, scale=3.0)
    assert float(ops.std(layer.frequency)) == pytest.approx(3.0, rel=0.1)


def test_bins_keep_their_float32_under_mixed_precision() -> None:
    layer = NumericEmbedding(1, "piecewise", edges=[[1.0, 1.001]], dtype="mixed_bfloat16")
    layer.build((None, 1))
    layer.kernel.assign([[[1.0]]])
    layer.bias.assign([[0.0]])
    assert layer(np.array([[1.0005]], "float32")).dtype == "bfloat16"
    np.testing.assert_allclose(float(layer(np.array([[1.0005]], "float32"))[0, 0, 0]), 0.5, atol=0.01)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("dim", 0), ("kind", "spline"), ("frequencies", 0), ("scale", 0.0), ("edges", [[1.0, 1.0]])],
)
def test_an_argument_that_cannot_be_used_is_named(argument: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"`{argument}` must be"):
        NumericEmbedding(**{"dim": 4, "kind": "linear", argument: value})


def test_edges_of_another_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="a list for each of 3 numbers"):
        NumericEmbedding(4, "piecewise", edges=[[0.0, 1.0]])(X)
