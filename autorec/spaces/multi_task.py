"""Several targets in one model: experts that they share, towers of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from autorec.blocks import MLP, Experts
from autorec.data.layout import Layout
from autorec.errors import ConfigError
from autorec.spaces.features import Features
from autorec.spaces.model import ranking_model
from autorec.spaces.preset import Preset, arguments_of


class MultiTask(Preset):
    """A model of several targets: shared embeddings, experts, a tower for each target or group of them.

    `[e_1, ..., e_K] = Experts(x)`, `logit_t = b_t + linear_t(x) + w_t . MLP_k(e_k)`, `t` in group `k`

    with `x = [v_1, ..., v_m, dense]`. The loss of a target moves its own tower, its first-order weights and what is
    shared, no other tower. Of one target it is a deep network beside a linear model.

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        kind: `shared_bottom`, `mmoe` or `ple`, see `autorec.blocks.Experts` (default `mmoe`).
        units, layers, experts, own_experts, levels, dropout: Of the experts, see there.
        tower_units, tower_layers, tower_dropout, tower_batch_norm: Of the towers, see `autorec.blocks.MLP`; the default
            of `tower_units` is 128.
        towers: Lists of targets that share a tower, such as `[["click", "dwell"], ["like"]]`; each target stands in
            one. None (default) gives each target its own.

    Raises:
        ConfigError: If an argument is not known; in a build, if a target stands in no tower or in several.

    Example:
        >>> CTRRecommender(space=MultiTask(kind="ple")).fit(frame, target=["click", "like", "dwell"])

    Source: Caruana, "Multitask Learning" (1997); Ma et al. (KDD 2018) and Tang et al. (RecSys 2020) for the experts.
    Grouped towers are LiRank-style (KDD 2024). The first-order term is ours.
    """

    NAME = "multi_task"
    FIRST_ORDER = True
    BLOCKS = {
        **arguments_of(Experts),
        **arguments_of(MLP, **{name: f"tower_{name}" for name in MLP.SPACE}),
    }

    def __init__(self, *, towers: Sequence[Sequence[str]] | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        if towers is not None and (isinstance(towers, str) or any(isinstance(group, str) for group in towers)):
            raise ConfigError("towers", "lists of targets, or None", towers)
        self.towers = None if towers is None else [list(group) for group in towers]

    @classmethod
    def argument_names(cls) -> list[str]:
        """Returns the names of all arguments."""
        return [*super().argument_names(), "towers"]

    def get_config(self) -> dict[str, Any]:
        """Returns the space as plain JSON values."""
        config = super().get_config()
        given = {} if self.towers is None else {"towers": self.towers}
        return {**config, "arguments": {**config["arguments"], **given}}

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        groups = self._groups(features.layout)
        shared = self.block(hp, Experts, tasks=len(groups))(features.vector())
        outputs: dict[str, Any] = {}
        for group, expert in zip(groups, shared):
            tower = self.block(hp, MLP, name="tower")(expert)
            outputs |= dict.fromkeys(group, tower)
        return ranking_model(features.inputs, outputs, offsets=[features.linear()])

    def _groups(self, layout: Layout) -> list[list[str]]:
        names = [target.name for target in layout.targets]
        groups = [[name] for name in names] if self.towers is None else self.towers
        if sorted(name for group in groups for name in group) != sorted(names) or not all(groups):
            raise ConfigError("towers", f"lists in which each of the targets {names} stands once", self.towers)
        return groups
