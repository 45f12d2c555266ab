"""Keras layers for recommendation models, each with a search space.

Importing the package registers them all: a saved model then loads without `custom_objects`.
"""

from __future__ import annotations

from autorec.blocks.base import AsFields, Block
from autorec.blocks.bilinear_fusion import BilinearFusion
from autorec.blocks.click_head import ClickHead
from autorec.blocks.compressed_interaction import CompressedInteraction
from autorec.blocks.concatenate import Concatenate
from autorec.blocks.cross_network import CrossNetwork
from autorec.blocks.dot_interaction import DotInteraction
from autorec.blocks.elementwise import Elementwise
from autorec.blocks.experts import Experts
from autorec.blocks.factorization_machine import FactorizationMachine
from autorec.blocks.feature_gate import FeatureGate
from autorec.blocks.field_embedding import FieldEmbedding
from autorec.blocks.gated_dense import GatedDense
from autorec.blocks.gated_mlp import GatedMLP
from autorec.blocks.history_transformer import HistoryTransformer
from autorec.blocks.inner_product import InnerProduct
from autorec.blocks.isotonic_calibration import IsotonicCalibration
from autorec.blocks.item_likeness import ItemLikeness
from autorec.blocks.mlp import MLP
from autorec.blocks.numeric_embedding import NumericEmbedding
from autorec.blocks.numeric_transform import NumericTransform
from autorec.blocks.pooling import Pooling
from autorec.blocks.rating_head import RatingHead
from autorec.blocks.recency_mean import RecencyMean
from autorec.blocks.residual_cross import ResidualCross
from autorec.blocks.self_attention import SelfAttention
from autorec.blocks.two_stream_mlp import TwoStreamMLP
from autorec.blocks.weighted_mean import WeightedMean

__all__ = [
    "AsFields",
    "BilinearFusion",
    "Block",
    "ClickHead",
    "CompressedInteraction",
    "Concatenate",
    "CrossNetwork",
    "DotInteraction",
    "Elementwise",
    "Experts",
    "FactorizationMachine",
    "FeatureGate",
    "FieldEmbedding",
    "GatedDense",
    "GatedMLP",
    "HistoryTransformer",
    "InnerProduct",
    "IsotonicCalibration",
    "ItemLikeness",
    "MLP",
    "NumericEmbedding",
    "NumericTransform",
    "Pooling",
    "RatingHead",
    "RecencyMean",
    "ResidualCross",
    "SelfAttention",
    "TwoStreamMLP",
    "WeightedMean",
]
