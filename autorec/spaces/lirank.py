"""The unified LiRank-style model: crosses, a gated network, a history transformer, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from autorec.blocks import Concatenate, GatedMLP, HistoryTransformer, ResidualCross
from autorec.blocks.hyperparameters import Boolean
from autorec.errors import ConfigError, unknown_name
from autorec.spaces.features import Features
from autorec.spaces.model import calibrated_model, ranking_model
from autorec.spaces.preset import Preset, arguments_of


class LiRank(Preset):
    """The unified LiRank-style model: crosses with attention beside a wide gated network, over histories too.

    `x_0 = [v_1, ..., v_m, dense, h_1, ..., h_s]`, `logit = isotonic(b + w . [ResidualCross(x_0), GatedMLP(x_0)])`

    `h_j` is a transformer over each sequence that shares its vocabulary with a column of ids, whose value stands beside
    each past one, with the rest of the row; without such a sequence there is none. The mean of a sequence's items is
    among the `v_i` in any case. For ratings there is no isotonic layer.

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        cross_layers: Number of crosses (1 to 4; default 2).
        rank, temperature, skip, parallel: See `autorec.blocks.ResidualCross`.
        units, layers, dropout: See `autorec.blocks.GatedMLP`.
        history: Whether sequences are read by a transformer, not only as the mean of their items (default True).
        history_width, history_layers, history_heads, history_last, history_dropout: See
            `autorec.blocks.HistoryTransformer`.
        isotonic: Whether an isotonic layer follows the logits of clicks, trained with the model (default True).
        calibrate_by: Names of columns of ids whose values have slopes of their own in the isotonic layer, such as the
            device; default none.

    Raises:
        ConfigError: If an argument is not known; in a build, if the layout lacks a column of `calibrate_by`.

    Example:
        >>> model = LiRank(rank=16, calibrate_by=["device"]).build_for(layout)

    Source: LiRank-style, after Borisyuk et al., "LiRank: Industrial Large Scale Ranking Models at LinkedIn" (KDD 2024),
    written from accounts of the paper: details may differ from it.
    """

    NAME = "lirank"
    OWN = {"history": Boolean(True), "isotonic": Boolean(True)}
    BLOCKS = {
        **arguments_of(ResidualCross, layers="cross_layers"),
        **arguments_of(GatedMLP),
        **arguments_of(HistoryTransformer, **{name: f"history_{name}" for name in HistoryTransformer.SPACE}),
    }

    def __init__(self, *, calibrate_by: Sequence[str] = (), **arguments: Any) -> None:
        super().__init__(**arguments)
        if isinstance(calibrate_by, str):
            raise ConfigError("calibrate_by", "a list of names of columns", calibrate_by)
        self.calibrate_by = list(calibrate_by)

    @classmethod
    def argument_names(cls) -> list[str]:
        """Returns the names of all arguments."""
        return [*super().argument_names(), "calibrate_by"]

    def get_config(self) -> dict[str, Any]:
        """Returns the space as plain JSON values."""
        config = super().get_config()
        given = {"calibrate_by": self.calibrate_by} if self.calibrate_by else {}
        return {**config, "arguments": {**config["arguments"], **given}}

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        x = features.vector()
        if features.histories() and self.own(hp, "history"):
            with self.when(hp, "history", True):
                read = [self._history(hp, history, x) for history in features.histories()]
            x = Concatenate()([x, *read])
        model = ranking_model(features.inputs, [self.block(hp, ResidualCross)(x), self.block(hp, GatedMLP)(x)])
        if features.layout.targets[0].kind != "binary" or not self.own(hp, "isotonic"):
            return model
        return calibrated_model(model, [self._column(features, name) for name in self.calibrate_by])

    def _history(self, hp: Any, history: list[Any], row: Any) -> Any:
        """Returns what a sequence says of a row, whose other fields tell what its item is like."""
        items, ids, item, *likeness = history
        return self.block(hp, HistoryTransformer)([items, ids, Concatenate()([item, row]), *likeness])

    def _column(self, features: Features, name: str) -> Any:
        known = [column.name for column in features.layout.ids]
        if name not in known:
            raise unknown_name("calibrate_by", name, known)
        return features.column(name)
