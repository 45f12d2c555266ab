"""What a trial's model answers for the validation rows, kept beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from autorec.data.cache import Part
from autorec.data.layout import Layout
from autorec.training.prediction import predict

OUTPUTS = "validation.npy"


def outputs_of(model: Any, part: Part, layout: Layout) -> np.ndarray:
    """Returns a model's raw outputs, (targets, rows) float32: logits of binary targets, values of real ones.

    Args:
        model: Keras model.
        part: Encoded rows.
        layout: Columns of the rows.
    """
    found = predict(model, part)
    if len(layout.targets) == 1:
        return next(iter(found.values()))[None]
    return np.stack([found[target.name] for target in layout.targets])


def write_outputs(folder: Path, outputs: np.ndarray) -> None:
    """Writes the outputs into a trial's folder."""
    np.save(folder / OUTPUTS, outputs, allow_pickle=False)


def read_outputs(folder: Path) -> np.ndarray | None:
    """Returns the outputs that a trial's folder holds, None if it holds none that can be read."""
    path = folder / OUTPUTS
    if not path.exists():
        return None
    try:
        found: np.ndarray = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):  # cut short by a kill, written by another hand
        return None
    return found
