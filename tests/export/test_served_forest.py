"""Trees on tensors give the bits of trees on arrays, and a SavedModel that has them answers as its predictor."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from autorec.data.encode import encode
from autorec.data.encoder import Encoder
from autorec.data.table import as_source
from autorec.export.folder import export, load
from autorec.export.predictor import Predictor
from autorec.export.served_forest import ServedForest
from autorec.export.signature import ServedModel
from autorec.spaces import DeepFM
from tests import fitted


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A model, not trained, of rows with a column of each kind, that reads margins and leaves."""
    frame = fitted.rows_of_every_kind(1200, 0)
    cache = encode(as_source(frame), fitted.HOSTILE, tmp_path_factory.mktemp("trees") / "cache", trees=True)
    keras.utils.set_random_seed(0)
    model = DeepFM(dim=4, units=8, leaves=True).build_for(cache.layout)
    assert {"margins", "leaves"} <= set(model.input)
    return Predictor(model, cache.encoder)


def hostile_groups(encoder: Encoder, rows: int = 3000) -> dict[str, np.ndarray]:
    """Encoded rows at and beside all thresholds, with missing and infinite numbers."""
    rng, layout = np.random.default_rng(1), encoder.layout
    found = {
        "ids": np.stack([rng.integers(0, column.size, rows) for column in layout.ids], 1).astype(np.int32),
        "numbers": rng.normal(size=(rows, len(layout.numbers))),
        "statistics": rng.normal(size=(rows, len(layout.statistics))).astype(np.float32),
        "pairs": rng.normal(size=(rows, len(layout.pairs))).astype(np.float32),
    }
    assert encoder.forest is not None
    for column in encoder.forest.columns:
        if column.thresholds is not None:
            near = [column.thresholds, np.nextafter(column.thresholds, 9e99), np.nextafter(column.thresholds, -9e99)]
            found[column.group][:, column.position] = rng.choice(
                np.concatenate([*near, [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324]]), rows
            )
    return found


def test_the_graph_finds_the_leaves_and_margins_bit_for_bit(predictor: Predictor) -> None:
    encoder = predictor.encoder
    assert encoder.forest is not None
    arrays = hostile_groups(encoder)
    graph = tf.function(ServedForest(encoder.forest).lookup)({name: tf.constant(a) for name, a in arrays.items()})
    ours = encoder.encode_trees(arrays, ["margins", "leaves"])
    for group in ("margins", "leaves"):
        assert graph[group].dtype == ours[group].dtype
        np.testing.assert_array_equal(graph[group].numpy(), ours[group])
    assert len(np.unique(ours["margins"])) > 100


@pytest.mark.parametrize("unseen", [False, True])
def test_raw_rows_give_the_bits_of_the_encoder(predictor: Predictor, tmp_path: Path, unseen: bool) -> None:
    frame = fitted.rows_of_every_kind(300, 1, unseen)
    served = ServedModel(predictor.model, predictor.encoder, tmp_path)
    graph = served.encode(fitted.signature_tensors(frame, fitted.HOSTILE))
    batch = next(as_source(frame).batches(predictor.schema.names))
    ours = predictor.encoder.encode(batch, ["margins", "leaves"])
    for group in ("margins", "leaves"):
        np.testing.assert_array_equal(graph[group].numpy(), ours[group])


def test_a_model_of_margins_alone_is_served_with_what_its_trees_read(predictor: Predictor, tmp_path: Path) -> None:
    tensor = keras.Input((1,), name="margins")
    model = keras.Model({"margins": tensor}, {"y": keras.layers.Rescaling(1.0)(tensor)})
    frame = fitted.rows_of_every_kind(50, 2)
    served = ServedModel(model, predictor.encoder, tmp_path)(fitted.signature_tensors(frame, fitted.HOSTILE))
    np.testing.assert_allclose(served["y"], Predictor(model, predictor.encoder).predict(frame), rtol=1e-6)


@pytest.mark.long
def test_a_saved_model_with_trees_answers_as_its_predictor(predictor: Predictor, tmp_path: Path) -> None:
    export(tmp_path / "model", predictor)
    frame = fitted.rows_of_every_kind(200, 3, unseen=True)
    signature = tf.saved_model.load(str(tmp_path / "model" / "saved_model")).signatures["serving_default"]
    inputs = fitted.signature_tensors(frame, fitted.HOSTILE)
    names = load(tmp_path / "model").card["inputs"]
    found = signature(**{names[name]: tensor for name, tensor in inputs.items()})["y"].numpy()
    np.testing.assert_allclose(found, predictor.predict(frame), atol=1e-6)
    np.testing.assert_array_equal(load(tmp_path / "model").predict(frame), predictor.predict(frame))
