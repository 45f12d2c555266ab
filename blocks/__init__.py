"""Keras layers for recommendation models, each with a search space.

Importing the package registers them all: a saved model then loads without `custom_objects`.
"""

from __future__ import annotations

import importlib
from typing import Any

from autorec.blocks.base import AsFields, Block
from autorec.blocks.click_head import ClickHead
from autorec.blocks.field_embedding import FieldEmbedding
from autorec.blocks.numeric_embedding import NumericEmbedding
from autorec.blocks.numeric_transform import NumericTransform
from autorec.blocks.pooling import Pooling
from autorec.blocks.rating_head import RatingHead

_MODULES = {
    "Concatenate": "concatenate",
    "CrossNetwork": "cross_network",
    "DotInteraction": "dot_interaction",
    "Elementwise": "elementwise",
    "FactorizationMachine": "factorization_machine",
    "InnerProduct": "inner_product",
    "MLP": "mlp",
    "SelfAttention": "self_attention",
}

__all__ = [
    "AsFields",
    "Block",
    "ClickHead",
    "Concatenate",
    "CrossNetwork",
    "DotInteraction",
    "Elementwise",
    "FactorizationMachine",
    "FieldEmbedding",
    "InnerProduct",
    "MLP",
    "NumericEmbedding",
    "NumericTransform",
    "Pooling",
    "RatingHead",
    "SelfAttention",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
