"""Training: options, the row-sparse optimizer for embedding tables, losses, exact metrics, callbacks, the trainer.

The public names load on first use, so that reading options does not import TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "RowSparse": "autorec.training.row_sparse",
    "SharpnessAware": "autorec.training.sharpness",
    "SharpnessAwareModel": "autorec.training.sharpness_model",
    "TrainOptions": "autorec.training.options",
    "TrainResult": "autorec.training.trainer",
    "default_batch_size": "autorec.training.sizes",
    "default_epochs": "autorec.training.sizes",
    "predict": "autorec.training.prediction",
    "sharpness_aware": "autorec.training.sharpness_model",
    "tables": "autorec.training.table_variables",
    "train": "autorec.training.trainer",
}
__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'autorec.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
