"""The fusion of two vectors against the paper's sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autorec.blocks import BilinearFusion
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

RANDOM = np.random.default_rng(0)
LEFT = RANDOM.normal(size=(5, 4)).astype("float32")
RIGHT = RANDOM.normal(size=(5, 2, 3)).astype("float32")


@pytest.mark.parametrize("arguments", [{"heads": 2, "outputs": 3}, {"heads": 1}])
def test_it_holds_what_every_block_holds(arguments: dict[str, Any]) -> None:
    outputs = arguments.get("outputs", 1)
    check_block(BilinearFusion, arguments, [LEFT, RIGHT], output_shape=(5, outputs), tune={"outputs": 2, "heads": 2})


def test_by_hand() -> None:
    block = BilinearFusion(heads=2)
    block.build([(None, 2), (None, 4)])
    block.set_weights([np.arange(6.0)[:, None], np.array([[[1.0, 10]], [[100, 1000]]])])
    # (2, 3) and (1, 1, 1, 1): linear 0 * 2 + 1 * 3 + 2 + 3 + 4 + 5 = 17; 2 (1 + 10) + 3 (100 + 1000) = 3322
    found = block([np.array([[2, 3]], "float32"), np.ones((1, 4), "float32")])
    np.testing.assert_allclose(found, [[17 + 3322]])


def test_heads_and_outputs_have_products_of_their_own() -> None:
    block = BilinearFusion(heads=2, outputs=3)
    found = np.array(block([LEFT, RIGHT]))
    kernel, products = block.get_weights()
    right = RIGHT.reshape(5, 6)
    for output in range(3):
        expected = np.concatenate([LEFT, right], 1) @ kernel[:, output]
        for h in range(2):
            matrix = products[h, :, 3 * output : 3 * output + 3]
            expected += np.einsum("bi,ij,bj->b", LEFT[:, 2 * h : 2 * h + 2], matrix, right[:, 3 * h : 3 * h + 3])
        np.testing.assert_allclose(found[:, output], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inputs", [[LEFT], [LEFT, RIGHT[:, :, :1]]])
def test_it_needs_two_inputs_that_the_heads_divide(inputs: Any) -> None:
    with pytest.raises(ConfigError, match="two tensors whose widths 4 heads divide"):
        BilinearFusion(heads=4)(inputs)
