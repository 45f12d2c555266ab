"""Imports all that a saved model may hold from training, so that Keras finds it: no `custom_objects` are needed."""

from __future__ import annotations

from autorec.training.fused_adam import FusedAdam
from autorec.training.losses import MaskedBinaryCrossentropy, MaskedSquaredError
from autorec.training.row_sparse import RowSparse
from autorec.training.sharpness_model import SharpnessAwareModel

__all__ = ["FusedAdam", "MaskedBinaryCrossentropy", "MaskedSquaredError", "RowSparse", "SharpnessAwareModel"]
