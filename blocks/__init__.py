"""Keras layers for recommendation models, each with a search space."""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {
    "AsFields": "base",
    "Block": "base",
    "ClickHead": "click_head",
    "Concatenate": "concatenate",
    "CrossNetwork": "cross_network",
    "DotInteraction": "dot_interaction",
    "Elementwise": "elementwise",
    "FactorizationMachine": "factorization_machine",
    "FieldEmbedding": "field_embedding",
    "InnerProduct": "inner_product",
    "MLP": "mlp",
    "NumericEmbedding": "numeric_embedding",
    "NumericTransform": "numeric_transform",
    "Pooling": "pooling",
    "RatingHead": "rating_head",
    "SelfAttention": "self_attention",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
