"""Residual DCN: crosses of low rank with attention between their factors."""

from __future__ import annotations

from typing import Any

from autorec.blocks import MLP, Block, ResidualCross
from autorec.spaces.dcn import DCN
from autorec.spaces.preset import arguments_of


class ResidualDCN(DCN):
    """Residual DCN: low-rank crosses with attention between their factors, beside a deep network or below it.

    `x_{l+1} = x_0 * (U_l (S(x_l) V_l^T x_l + V_l^T x_l) + b_l) + x_l` with `x_0 = [v_1, ..., v_m, dense]`, then
    parallel: `logit = b + w . [x_L, c_L, MLP(x_0)]`; stacked: `logit = b + w . MLP([x_L, c_L])`

    where `c_L` are plain low-rank crosses, see `autorec.blocks.ResidualCross`.

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        structure: `parallel` or `stacked` (default `parallel`).
        cross_layers: Number of crosses (1 to 4; default 2).
        rank: Rank of the crosses (8, 16, 32, 64; default 32).
        temperature: Temperature of the attention at the start, over the root of the rank (0.25, 1, 4; default 1).
        skip: Whether the attention has a way around it (default True).
        parallel: Whether there are plain crosses too (default True).
        units, layers, dropout, batch_norm: See `autorec.blocks.MLP`.

    Example:
        >>> model = ResidualDCN(rank=16).build_for(layout)

    Source: LiRank-style, after Borisyuk et al., "LiRank: Industrial Large Scale Ranking Models at LinkedIn" (KDD 2024).
    """

    NAME = "residual_dcn"
    BLOCKS = {**arguments_of(ResidualCross, layers="cross_layers"), **arguments_of(MLP)}

    def cross(self, hp: Any) -> Block:
        """Returns the crosses."""
        block: Block = self.block(hp, ResidualCross)
        return block
