"""Searchers decide what to try next; the runner tries it.

A searcher is a `keras_tuner.Oracle`. `get_oracle` gives KerasTuner's and ours by name. The public names load on first
use.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "Bayesian": "autorec.searchers.bayesian",
    "Ensemble": "autorec.searchers.ensemble",
    "Evolution": "autorec.searchers.evolution",
    "Fidelity": "autorec.searchers.fidelity",
    "Greedy": "autorec.searchers.greedy",
    "RayCluster": "autorec.searchers.ray_cluster",
    "Schedule": "autorec.searchers.fidelity",
    "get_oracle": "autorec.searchers.oracles",
}
__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'autorec.searchers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
