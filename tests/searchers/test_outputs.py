"""What a trial's model answers for the validation rows, on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autorec.searchers.outputs import OUTPUTS, outputs_of, read_outputs, write_outputs
from autorec.training.prediction import predict
from tests.training import small


def test_outputs_are_in_the_order_of_the_targets() -> None:
    model, part = small.model("click", "like"), small.part(30, targets=2)
    found = outputs_of(model, part, small.layout("like", "click"))
    expected = predict(model, part)
    np.testing.assert_array_equal(found, np.stack([expected["like"], expected["click"]]))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    outputs = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_outputs(tmp_path, outputs)
    found = read_outputs(tmp_path)
    assert found is not None
    np.testing.assert_array_equal(found, outputs)


def test_what_is_not_there_or_cut_short_is_none(tmp_path: Path) -> None:
    assert read_outputs(tmp_path) is None
    write_outputs(tmp_path, np.zeros((2, 3), np.float32))
    whole = (tmp_path / OUTPUTS).read_bytes()
    for count in (0, 5, len(whole) - 1):
        (tmp_path / OUTPUTS).write_bytes(whole[:count])
        assert read_outputs(tmp_path) is None
