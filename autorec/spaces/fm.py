"""The factorization machine."""

from __future__ import annotations

from typing import Any

import keras

from autorec.blocks import FactorizationMachine
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset


class FM(Preset):
    """Factorization machine: a weight for each id, and an inner product for each pair of fields.

    `logit = b + sum_i w_i + w . dense + u . sum_{i<j} v_i * v_j`

    The weights `u` of the products are 1 in the paper. Here each target learns its own, from 0, see
    `Features.quiet_term`.

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.

    Example:
        >>> model = FM(dim=8).build_for(layout)

    Source: Rendle, "Factorization Machines" (ICDM 2010); the weights: He, Chua, "Neural Factorization Machines for
    Sparse Predictive Analytics" (SIGIR 2017). The statistics are one more field, a linear map of them all.
    """

    NAME = "fm"
    FIRST_ORDER = True

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        products = FactorizationMachine(reduce=False)(features.field_list())
        return ranking_model(features.inputs, [], offsets=[features.linear(), features.quiet_term(products)])
