"""A compiled model loads in a process that only imports the registered names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import pytest

from autorec.training.fused_adam import FusedAdam
from autorec.training.losses import losses
from autorec.training.row_sparse import RowSparse
from tests.training import small


@pytest.mark.long
def test_a_compiled_model_loads_in_a_fresh_process(tmp_path: Path) -> None:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, {"click": keras.layers.Dense(1)(inputs)})
    model.compile(RowSparse(FusedAdam(0.5)), losses(small.layout().targets), jit_compile=False)
    model.save(tmp_path / "model.keras")
    code = (
        "import sys, keras, autorec.training.registered;"
        "model = keras.models.load_model(sys.argv[1]);"
        "print(type(model.optimizer.inner).__name__, float(model.optimizer.learning_rate))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.keras")], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["FusedAdam", "0.5"]
