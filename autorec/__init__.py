"""AutoRec: AutoML for ranking and recommendation with a Keras API.

The public names; each loads on first use, so that `import autorec` does not import TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "CTRRecommender": "autorec.recommender",
    "RatingRecommender": "autorec.recommender",
    "SharpnessAware": "autorec.training.sharpness",
    "Schema": "autorec.data.schema",
    "Feature": "autorec.data.schema",
    "LongTarget": "autorec.data.long_target",
    "TrainOptions": "autorec.training.options",
    "load": "autorec.loading",
    "inputs": "autorec.spaces.model",
    "ctr_model": "autorec.spaces.model",
    "rating_model": "autorec.spaces.model",
    "DataError": "autorec.errors",
    "ConfigError": "autorec.errors",
    "AutoRecError": "autorec.errors",
}
_MODULES = {
    "blocks": "autorec.blocks",
    "callbacks": "autorec.training.callbacks",
    "data": "autorec.data",
    "errors": "autorec.errors",
    "metrics": "autorec.training.metrics",
    "searchers": "autorec.searchers",
    "spaces": "autorec.spaces",
    "training": "autorec.training",
}

__all__ = sorted(["__version__", *_NAMES, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'autorec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
