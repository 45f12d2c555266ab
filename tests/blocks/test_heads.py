"""Heads: values by hand, starts, offsets, and models that load elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from autorec.blocks import ClickHead, RatingHead
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
FIELDS = np.random.default_rng(1).normal(size=(5, 3, 2)).astype("float32")
ONE = np.arange(5, dtype="float32")[:, None]
TWO = np.stack([np.arange(5), -np.arange(5)], axis=1).astype("float32")
HEADS = [(ClickHead, {"targets": ["click", "like"]}), (RatingHead, {"targets": {"stars": (3.5, 1.1), "days": (9, 4)}})]


def built(head: Any, kernel: Any, bias: Any) -> Any:
    head.build([(None, len(kernel))])
    head.kernel.assign(np.asarray(kernel, "float32"))
    head.bias.assign(np.asarray(bias, "float32"))
    return head


@pytest.mark.parametrize(("head", "arguments"), HEADS)
def test_heads_hold_what_every_block_holds(head: Any, arguments: dict[str, Any]) -> None:
    check_block(head, arguments, [X, FIELDS], output_shape=(5, 1))


@pytest.mark.parametrize(("head", "arguments"), HEADS)
def test_heads_with_offsets_hold_what_every_block_holds(head: Any, arguments: dict[str, Any]) -> None:
    check_block(head, arguments, [X, FIELDS], keywords={"offsets": [ONE, TWO]}, output_shape=(5, 1))


@pytest.mark.parametrize(("head", "arguments"), HEADS)
def test_offsets_alone_hold_what_every_block_holds(head: Any, arguments: dict[str, Any]) -> None:
    check_block(head, arguments, [], keywords={"offsets": [TWO]}, output_shape=(5, 1))


def test_a_logit_is_an_affine_map_plus_offsets() -> None:
    head = built(ClickHead(["click", "like"]), [[1, 0], [0, 10]], [0.5, -1])
    found = head([np.array([[2.0, 3.0]])], offsets=[np.array([[100.0]]), np.array([[1000.0, 2000.0]])])
    assert {name: float(value[0, 0]) for name, value in found.items()} == {"click": 1102.5, "like": 2129}


def test_a_rating_is_in_the_units_of_its_target() -> None:
    head = built(RatingHead({"stars": (3.5, 2.0)}), [[1.0], [-1.0]], [0.25])
    found = head(np.array([[2.0, 1.0]]), offsets=[np.array([[0.5]])])
    assert float(found["stars"][0, 0]) == 3.5 + 2.0 * (1.0 + 0.25 + 0.5)


def test_fields_are_read_flat_behind_one_another() -> None:
    head = built(ClickHead(["click"]), [[1.0], [10.0], [100.0], [1000.0], [10000.0]], [0.0])
    found = head([np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([[5.0]])])
    assert float(found["click"][0, 0]) == 54321.0


def test_biases_start_from_the_logits_of_the_priors() -> None:
    head = ClickHead(["click", "like", "dwell", "buy"], priors={"click": 0.2, "dwell": 0.0, "buy": 1})
    head(X)
    np.testing.assert_allclose(head.bias, [np.log(0.25), 0.0, np.log(1e-6), -np.log(1e-6)], rtol=1e-5)


@pytest.mark.parametrize(("head", "arguments"), HEADS)
def test_outputs_are_float32_under_mixed_precision(head: Any, arguments: dict[str, Any]) -> None:
    layer = head(**arguments, dtype="mixed_bfloat16")
    found = layer([ops.cast(X, "bfloat16"), FIELDS], offsets=[ops.cast(ONE, "bfloat16")])
    assert {str(keras.backend.standardize_dtype(value.dtype)) for value in found.values()} == {"float32"}
    again = layer([X * (1 + 1e-4), FIELDS], offsets=[ONE])
    assert all(float(ops.max(ops.abs(found[name] - again[name]))) > 0 for name in found)


@pytest.mark.parametrize(("head", "arguments"), HEADS)
def test_the_configuration_survives_json(head: Any, arguments: dict[str, Any]) -> None:
    layer = head(**arguments)
    config = json.loads(json.dumps(layer.get_config()))
    assert head.from_config(config).get_config() == layer.get_config()


LOAD = """
import sys, numpy as np, keras
import autorec.blocks
model = keras.saving.load_model(sys.argv[1])
data = np.load(sys.argv[2])
found = model({key: data[key] for key in ("x", "fields", "one")})
np.savez(sys.argv[3], **{key: np.asarray(value) for key, value in found.items()})
"""


def test_a_fresh_process_loads_a_head_with_offsets(tmp_path: Path) -> None:
    shapes = {"x": (4,), "fields": (3, 2), "one": (1,)}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    head = ClickHead(["click", "like"], priors={"click": 0.1})
    model = keras.Model(inputs, head([inputs["x"], inputs["fields"]], offsets=[inputs["one"], inputs["x"][:, :2]]))
    data = {"x": X, "fields": FIELDS, "one": ONE}
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", **data)
    paths = [str(tmp_path / name) for name in ("model.keras", "data.npz", "found.npz")]
    subprocess.run([sys.executable, "-c", LOAD, *paths], check=True, capture_output=True)
    found, wanted = np.load(paths[2]), model(data)
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


@pytest.mark.parametrize(
    ("head", "arguments", "named"),
    [
        (ClickHead, {"targets": []}, "targets"),
        (ClickHead, {"targets": "click"}, "targets"),
        (ClickHead, {"targets": ["click", "click"]}, "targets"),
        (ClickHead, {"targets": ["click"], "priors": {"clock": 0.5}}, "priors"),
        (ClickHead, {"targets": ["click"], "priors": {"click": 1.5}}, "priors"),
        (RatingHead, {"targets": {}}, "targets"),
        (RatingHead, {"targets": ["stars"]}, "targets"),
        (RatingHead, {"targets": {"stars": (1.0, 0.0)}}, "targets"),
        (RatingHead, {"targets": {"stars": (np.nan, 1.0)}}, "targets"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(head: Any, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=f"`{named}` must be"):
        head(**arguments)


def test_an_offset_of_another_width_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`offsets` must be tensors \(batch, 1\) or \(batch, 2\)"):
        ClickHead(["click", "like"])([X], offsets=[np.zeros((5, 3))])


def test_a_head_with_nothing_to_read_is_refused() -> None:
    with pytest.raises(ConfigError, match="`tensors` must be at least one tensor"):
        ClickHead(["click"])([])
