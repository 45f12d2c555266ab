"""The encoder as a TensorFlow graph gives the bits of the encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from autorec.data.lists import Lists
from autorec.data.table import as_source
from autorec.export.signature import ServedModel
from tests import fitted


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    predictor = fitted.of_every_kind().predictor_
    return ServedModel(predictor.model, predictor.encoder, tmp_path_factory.mktemp("words"))


def both(served: ServedModel, frame: pl.DataFrame) -> list[tuple[str, np.ndarray, np.ndarray]]:
    encoder = fitted.of_every_kind().predictor_.encoder
    batch = next(as_source(frame).batches(encoder.schema.names))
    ours = encoder.encode(batch, list(fitted.of_every_kind().predictor_.model.input))
    graph = served.encode(fitted.signature_tensors(frame, encoder.schema))
    return [(name, *_aligned(ours[name], graph[name].numpy())) for name in ours]


def _aligned(ours: np.ndarray | Lists, graph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(ours, Lists):
        return ours, graph
    found = ours.take(slice(None))
    width = max(found.shape[1], graph.shape[1])
    return tuple(np.pad(array, ((0, 0), (0, width - array.shape[1]))) for array in (found, graph))


@pytest.mark.parametrize("unseen", [False, True])
def test_the_graph_encodes_bit_for_bit_as_the_encoder(served: ServedModel, unseen: bool) -> None:
    for name, ours, graph in both(served, fitted.rows_of_every_kind(300, 1, unseen)):
        assert ours.dtype == graph.dtype, name
        assert np.array_equal(ours, graph, equal_nan=ours.dtype.kind == "f"), name


def test_every_group_of_columns_is_compared(served: ServedModel) -> None:
    groups = {name for name, *_ in both(served, fitted.rows_of_every_kind(5, 2))}
    assert groups == {"ids", "numbers", "statistics", "pairs", *(f"list_{i}" for i in range(5))}


def test_a_list_column_that_is_empty_in_every_row_is_served(served: ServedModel) -> None:
    frame = fitted.rows_of_every_kind(3, 3).with_columns(bag=pl.Series([[], [], None], dtype=pl.List(pl.String)))
    inputs = fitted.signature_tensors(frame, fitted.HOSTILE)
    assert inputs["bag"].shape == (3, 0)
    assert np.allclose(served(inputs)["y"], fitted.of_every_kind().predict(frame), atol=1e-6)


def test_a_vocabulary_with_line_breaks_is_kept_in_the_graph(tmp_path: Path) -> None:
    predictor = fitted.of_every_kind().predictor_
    assert any("\n" in word for word in predictor.encoder.vocabularies["word"].values)
    ServedModel(predictor.model, predictor.encoder, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert "vocabulary_0.txt" not in names
    assert "vocabulary_1.txt" in names
