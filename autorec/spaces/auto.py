"""`auto`: interactions of any kind side by side, the kinds themselves searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import keras

from autorec.blocks import (
    MLP,
    CompressedInteraction,
    CrossNetwork,
    DotInteraction,
    Elementwise,
    FactorizationMachine,
    FeatureGate,
    GatedMLP,
    HistoryTransformer,
    InnerProduct,
    ResidualCross,
    SelfAttention,
    TwoStreamMLP,
)
from autorec.blocks.base import Block
from autorec.blocks.hyperparameters import Boolean, Int
from autorec.errors import ConfigError, unknown_name
from autorec.spaces.features import Features
from autorec.spaces.model import calibrated_model, ranking_model
from autorec.spaces.preset import Preset


def _vector(features: Features) -> Any:
    return features.vector()


def _fields(features: Features) -> Any:
    return features.fields(statistics=True)


def _pair(features: Features) -> Any:
    return features.user_and_item()


def _history(features: Features) -> Any:
    return features.histories()[0]


@dataclass(frozen=True)
class Interaction:
    """A kind of interaction in `auto`.

    Args:
        block: The block; what `fixed` leaves out is searched.
        view: Function of the features that returns what the block reads.
        fixed: Arguments of the block.
    """

    block: type[Block]
    view: Callable[[Features], Any]
    fixed: Mapping[str, Any] = field(default_factory=dict)


#: The kinds of interaction by name; the first part of their hyperparameters' names behind the slot.
INTERACTIONS: dict[str, Interaction] = {
    "mlp": Interaction(MLP, _vector),
    "fm": Interaction(FactorizationMachine, _fields),
    "cross_vector": Interaction(CrossNetwork, _vector, {"kind": "vector"}),
    "cross_matrix": Interaction(CrossNetwork, _vector, {"kind": "matrix"}),
    "cross_low_rank": Interaction(CrossNetwork, _vector, {"kind": "low_rank"}),
    "cross_mixture": Interaction(CrossNetwork, _vector, {"kind": "mixture"}),
    "dot": Interaction(DotInteraction, _fields),
    "self_attention": Interaction(SelfAttention, _fields),
    "elementwise": Interaction(Elementwise, _fields),
    "inner_product": Interaction(InnerProduct, _pair),
    "product": Interaction(Elementwise, _pair, {"mode": "multiply"}),
    "cross_residual": Interaction(ResidualCross, _vector),
    "gated_mlp": Interaction(GatedMLP, _vector),
    "feature_gate": Interaction(FeatureGate, _vector),
    "two_stream": Interaction(TwoStreamMLP, _vector),
    "cin": Interaction(CompressedInteraction, _fields),
    "history": Interaction(HistoryTransformer, _history),
}

SLOTS = 4
# The first slots' kinds make the default a strong model, since searches start there: DeepFM with low-rank crosses.
DEFAULTS = ("mlp", "cross_low_rank", "fm", "self_attention")


class Auto(Preset):
    """Interactions of any kind side by side: their number, their kinds and their sizes are searched.

    `logit = b + w . top([I_1(x), ..., I_n(x)]) + linear`

    where each `I_k` is one of `INTERACTIONS`, `top` is nothing or a deep network, and the first-order term `linear`
    is there or not. DeepFM, DCN, DCN V2, Residual DCN, AutoInt, DLRM, xDeepFM, FinalMLP, LiRank and Wide & Deep are
    points of this space or close to one. Its default point is a deep network, low-rank crosses, a factorization machine
    and the first-order term.

    The hyperparameters of slot `k` are named `interaction_<k>/type` and `interaction_<k>/<type>/<argument>`.

    Args:
        dim, numbers, number_embedding, statistics, pairs, margins, leaves, likeness, pooling, cap: See
            `autorec.spaces.Features`.
        interactions: Number of interactions (1 to 4; default 3).
        types: Names of `INTERACTIONS` to choose from; None takes all that the layout allows: `inner_product` and
            `product` need a user and an item, `fm`, `dot`, `self_attention`, `cin` and `elementwise` two fields,
            `history` a sequence that shares its vocabulary with a column of ids (of several it reads the first).
        linear: Whether there is a first-order term (default True).
        top: Whether a deep network follows the interactions (default False).
        isotonic: Whether an isotonic layer follows the logits of clicks (default False).

    Example:
        >>> model = Auto(types=["mlp", "fm"], interactions=2).build_for(layout)

    Source: HyperInteraction of Wang et al., "AutoRec: An Automated Recommender System" (2020). There hyperparameters
    of slots were named by a global counter; here by the slot.
    """

    NAME = "auto"
    OWN = {
        "interactions": Int(1, SLOTS, 3),
        "linear": Boolean(True),
        "top": Boolean(False),
        "isotonic": Boolean(False),
    }
    FIRST_ORDER = True

    def __init__(self, *, types: Sequence[str] | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.types = None if types is None else list(types)
        for name in self.types or ():
            if name not in INTERACTIONS:
                raise unknown_name("types", name, INTERACTIONS)
        if self.types is not None and not self.types:
            raise ConfigError("types", f"some of {list(INTERACTIONS)}, or None", self.types)

    @classmethod
    def argument_names(cls) -> list[str]:
        """Returns the names of all arguments."""
        return [*super().argument_names(), "types"]

    def get_config(self) -> dict[str, Any]:
        """Returns the space as plain JSON values."""
        config = super().get_config()
        return config if self.types is None else {**config, "arguments": {**config["arguments"], "types": self.types}}

    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model."""
        # Read before any scope is entered, so that hyperparameters of features depend on no other.
        types = self._types(features)
        count, outputs = self.own(hp, "interactions"), []
        for slot in range(SLOTS):
            with self._slot(hp, slot):
                if slot < count:
                    outputs.append(self._interaction(features, hp, slot, types))
        top, linear = self.own(hp, "top"), self.own(hp, "linear")
        with self.when(hp, "top", True):
            if top:
                outputs = [MLP.tune(hp, name="top")(outputs)]
        model = ranking_model(features.inputs, outputs, offsets=[features.linear()] if linear else [])
        clicks = features.layout.targets[0].kind == "binary"
        return calibrated_model(model) if clicks and self.own(hp, "isotonic") else model

    def _slot(self, hp: Any, slot: int) -> AbstractContextManager[Any]:
        # The largest number first: an exploration that tries the first value of each scope then has all slots at once.
        return self.when(hp, "interactions", *range(SLOTS, slot, -1)) if slot else nullcontext()

    def _interaction(self, features: Features, hp: Any, slot: int, types: list[str]) -> Any:
        parent = f"interaction_{slot}/type"
        chosen = hp.Choice(parent, types, default=DEFAULTS[slot] if DEFAULTS[slot] in types else types[0])
        output = None
        for name in types:
            with hp.conditional_scope(parent, [name]):
                if name == chosen:
                    kind = INTERACTIONS[name]
                    block = kind.block.tune(hp, name=f"interaction_{slot}/{name}", **kind.fixed)
                    output = block(kind.view(features))
        return output

    def _types(self, features: Features) -> list[str]:
        """Returns the kinds of interaction that the layout allows.

        Raises:
            ConfigError: If it allows none of those that were given.
        """
        views = {_vector}
        views |= {_pair} if features.user_and_item() else set()
        views |= {_fields} if features.fields(statistics=True).shape[1] > 1 else set()
        views |= {_history} if features.histories() else set()
        allowed = [name for name, kind in INTERACTIONS.items() if kind.view in views]
        found = [name for name in allowed if self.types is None or name in self.types]
        if not found:
            raise ConfigError("types", f"some of those that the layout allows, {allowed}", self.types)
        return found
