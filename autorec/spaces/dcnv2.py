"""DCN V2: crosses with matrices."""

from __future__ import annotations

from typing import Any

from autorec.blocks import MLP, CrossNetwork
from autorec.blocks.hyperparameters import Choice
from autorec.errors import ConfigError
from autorec.spaces.dcn import DCN
from autorec.spaces.preset import arguments_of

KINDS = ("low_rank", "matrix", "mixture")


class DCNv2(DCN):
    """DCN V2: crosses with matrices, whole, of low rank, or mixtures of such, beside a deep network or below it.

    `x_{l+1} = x_0 * (W_l x_l + b_l) + x_l` with `x_0 = [v_1, ..., v_m, dense]`, then
    parallel: `logit = b + w . [x_L, MLP(x_0)]`; stacked: `logit = b + w . MLP(x_L)`

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        structure: `parallel` or `stacked` (default `parallel`).
        kind: `low_rank`, `matrix` or `mixture`, see `autorec.blocks.CrossNetwork` (default `low_rank`).
        cross_layers: Number of crosses (1 to 4; default 2).
        rank: Rank of `low_rank` and `mixture` (8, 16, 32, 64; default 32).
        experts: Number of experts of `mixture` (2, 4, 8; default 4).
        units, layers, dropout, batch_norm: See `autorec.blocks.MLP`.

    Raises:
        ConfigError: If `rank` or `experts` is given for a kind without one.

    Example:
        >>> model = DCNv2(rank=32).build_for(layout)

    Source: Wang et al., "DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank
    Systems" (WWW 2021).
    """

    NAME = "dcnv2"
    OWN = {**DCN.OWN, "kind": Choice(KINDS, "low_rank")}
    BLOCKS = {**arguments_of(CrossNetwork, without=("kind",), layers="cross_layers"), **arguments_of(MLP)}

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        kind, allowed = self.arguments.get("kind"), self._kinds()
        if kind is not None and kind not in allowed:
            raise ConfigError("kind", f"one of {allowed}, which have the `rank` or `experts` that were given", kind)
        if len(allowed) == 1:
            self.arguments["kind"] = allowed[0]

    def _kinds(self) -> list[str]:
        if "experts" in self.arguments:
            return ["mixture"]
        return [kind for kind in KINDS if kind != "matrix" or "rank" not in self.arguments]

    def cross(self, hp: Any) -> CrossNetwork:
        """Returns the crosses."""
        kinds = self._kinds()
        kind = self.arguments.get("kind") or hp.Choice("dcnv2/kind", kinds, default="low_rank")
        for name in kinds:
            with self.when(hp, "kind", name):
                if name == kind:
                    found: CrossNetwork = self.block(hp, CrossNetwork, name=f"cross_{kind}", kind=kind)
        return found
