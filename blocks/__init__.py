"""Keras layers for recommendation models, each with a search space.

Importing the package registers them all: a saved model then loads without `custom_objects`.
"""

from __future__ import annotations

from autorec.blocks.base import AsFields, Block
from autorec.blocks.click_head import ClickHead
from autorec.blocks.concatenate import Concatenate
from autorec.blocks.cross_network import CrossNetwork
from autorec.blocks.dot_interaction import DotInteraction
from autorec.blocks.elementwise import Elementwise
from autorec.blocks.factorization_machine import FactorizationMachine
from autorec.blocks.field_embedding import FieldEmbedding
from autorec.blocks.inner_product import InnerProduct
from autorec.blocks.mlp import MLP
from autorec.blocks.numeric_embedding import NumericEmbedding
from autorec.blocks.numeric_transform import NumericTransform
from autorec.blocks.pooling import Pooling
from autorec.blocks.rating_head import RatingHead
from autorec.blocks.self_attention import SelfAttention
from autorec.blocks.weighted_mean import WeightedMean

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
    "WeightedMean",
]
