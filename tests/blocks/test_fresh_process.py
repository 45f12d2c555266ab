"""A model file of every block gives the same bits in a process that knows nothing but the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from autorec import blocks

RNG = np.random.default_rng(0)
VECTOR = RNG.normal(size=(6, 5)).astype("float32")
FIELDS = RNG.normal(size=(6, 3, 4)).astype("float32")
IDS = RNG.integers(0, 9, (6, 2)).astype("int32")
NUMBER = {"log_mean": 0.1, "log_std": 0.7, "knots": [-1.0, 0.0, 2.0], "missing": 0.2}
CASES: dict[str, tuple[Any, Any]] = {
    "AsFields": (blocks.AsFields(2), FIELDS),
    "BilinearFusion": (blocks.BilinearFusion(2), [FIELDS, np.concatenate([VECTOR, VECTOR[:, :1]], 1)]),
    "ClickHead": (blocks.ClickHead(["click"], {"click": 0.2}), VECTOR),
    "CompressedInteraction": (blocks.CompressedInteraction(2, 3), FIELDS),
    "Concatenate": (blocks.Concatenate(), [FIELDS, VECTOR]),
    "CrossNetwork": (blocks.CrossNetwork("mixture", rank=3, experts=2), VECTOR),
    "DotInteraction": (blocks.DotInteraction(dim=2), FIELDS),
    "Elementwise": (blocks.Elementwise("max"), [FIELDS, VECTOR]),
    "Experts": (blocks.Experts(2, "ple", 3, levels=2), VECTOR),
    "FactorizationMachine": (blocks.FactorizationMachine(dim=2), FIELDS),
    "FeatureGate": (blocks.FeatureGate(3), [FIELDS, VECTOR]),
    "FieldEmbedding": (blocks.FieldEmbedding([9, 9], 4, [0, 1], caps=[5, None]), IDS),
    "GatedDense": (blocks.GatedDense(3), VECTOR),
    "GatedMLP": (blocks.GatedMLP([7, 3], dropout=0.5), VECTOR),
    "HistoryTransformer": (blocks.HistoryTransformer(4), [FIELDS, IDS[:, [0, 1, 0]], VECTOR]),
    "InnerProduct": (blocks.InnerProduct(), [FIELDS, VECTOR]),
    "IsotonicCalibration": (blocks.IsotonicCalibration(4), VECTOR[:, :1]),
    "ItemLikeness": (blocks.ItemLikeness(9, [5], ([[3]] * 9, [[0.25] * 5])), [IDS[:, [0, 1, 0]], IDS]),
    "MLP": (blocks.MLP([7, 3], batch_norm=True, dropout=0.5), VECTOR),
    "NumericEmbedding": (blocks.NumericEmbedding(4, "piecewise", [[-1.0, 0.0, 2.0]] * 5), VECTOR),
    "NumericTransform": (blocks.NumericTransform("quantile", [NUMBER] * 5), VECTOR.astype("float64")),
    "Pooling": (blocks.Pooling("mean"), [FIELDS, IDS[:, [0, 1, 0]]]),
    "RatingHead": (blocks.RatingHead({"rating": (3.5, 1.1)}), VECTOR),
    "RecencyMean": (blocks.RecencyMean(), [FIELDS, IDS[:, [0, 1, 0]]]),
    "ResidualCross": (blocks.ResidualCross(rank=2), [FIELDS, VECTOR]),
    "SelfAttention": (blocks.SelfAttention(4, heads=2, residual=False), FIELDS),
    "TwoStreamMLP": (blocks.TwoStreamMLP(8, 4, hidden=3), VECTOR),
    "WeightedMean": (blocks.WeightedMean([0.25, 0.75]), [VECTOR, VECTOR[::-1].copy()]),
}
CODE = """
import sys, pathlib, keras, numpy as np, autorec.blocks
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
    with np.load(path.with_suffix(".npz")) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
    found = keras.tree.flatten(keras.saving.load_model(path)(arrays[:-1]))[0].numpy()
    print(path.stem, found.dtype == arrays[-1].dtype and np.array_equal(found, arrays[-1]))
"""


def save(folder: Path, name: str, layer: Any, inputs: Any) -> None:
    arrays = inputs if isinstance(inputs, list) else [inputs]
    tensors = [keras.Input(array.shape[1:], dtype=str(array.dtype)) for array in arrays]
    model = keras.Model(tensors, layer(tensors if isinstance(inputs, list) else tensors[0]))
    model.save(folder / f"{name}.keras")
    np.savez(folder / f"{name}.npz", *arrays, keras.tree.flatten(model(arrays))[0].numpy())


@pytest.mark.long
def test_every_block_predicts_the_same_bits_in_a_fresh_process(tmp_path: Path) -> None:
    assert set(CASES) == set(blocks.__all__) - {"Block"}
    for name, (layer, inputs) in CASES.items():
        save(tmp_path, name, layer, inputs)
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=True)
    assert dict(line.split() for line in done.stdout.splitlines()) == dict.fromkeys(CASES, "True")
