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

    The weights `u` of the products are 1 in the paper. Here they are learned and start from 0, so that the first order
    is learned first: with `u = 1` a few steps of Adam make the second order noise larger than the rest on few rows.
    With several targets each has weights of its own, which start at random.

    Args:
        dim, numbers, number_embedding, statistics, pairs, likeness, pooling, cap: See `autorec.spaces.Features`.

    Example:
        >>> model = FM(dim=8).build_for(layout)

    Source: Rendle, "Factorization Machines" (ICDM 2010); the weights: He, Chua, "Neural Factorization Machines for
    Sparse Predictive Analytics" (SIGIR 2017), section 3.2. The statistics are one more field, a linear map of them all.
    """

    NAME = "fm"
    FIRST_ORDER = True

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        outputs, offsets = second_order(features)
        return ranking_model(features.inputs, outputs, offsets=[features.linear(), *offsets])


def second_order(features: Features) -> tuple[list[Any], list[Any]]:
    """Returns the products of all pairs of fields as outputs and offsets of a model.

    For one target they are an offset; several targets weigh them on their own.
    """
    fields = features.field_list()
    if len(features.layout.targets) == 1:
        return [], [FactorizationMachine(weighted=True)(fields)]
    return [FactorizationMachine(reduce=False)(fields)], []
