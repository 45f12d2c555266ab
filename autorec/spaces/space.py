"""Spaces by name, as objects and as functions, and the one way to build them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras_tuner as kt

from autorec.data.layout import Layout
from autorec.data.schema import Schema
from autorec.errors import ConfigError, unknown_name
from autorec.spaces.auto import Auto
from autorec.spaces.autoint import AutoInt
from autorec.spaces.building import build_model
from autorec.spaces.dag import InteractionDAG
from autorec.spaces.dcn import DCN
from autorec.spaces.dcnv2 import DCNv2
from autorec.spaces.deepfm import DeepFM
from autorec.spaces.dlrm import DLRM
from autorec.spaces.dnn import DNN
from autorec.spaces.finalmlp import FinalMLP
from autorec.spaces.fixed import FixedSpace
from autorec.spaces.fm import FM
from autorec.spaces.gmf import GMF
from autorec.spaces.lirank import LiRank
from autorec.spaces.lr import LR
from autorec.spaces.mf import MF
from autorec.spaces.multi_task import MultiTask
from autorec.spaces.neumf import NeuMF
from autorec.spaces.preset import Preset
from autorec.spaces.residual_dcn import ResidualDCN
from autorec.spaces.wide_deep import WideDeep
from autorec.spaces.xdeepfm import XDeepFM

_CLASSIC: tuple[type[Preset], ...] = (LR, FM, DeepFM, WideDeep, DCN, DCNv2, AutoInt, DLRM, DNN, MF, GMF, NeuMF)
_LATER: tuple[type[Preset], ...] = (XDeepFM, FinalMLP, ResidualDCN, LiRank, MultiTask)
_PRESETS: tuple[type[Preset], ...] = (*_CLASSIC, *_LATER, Auto, InteractionDAG)

#: The spaces that are known by name.
SPACES: dict[str, type[Preset]] = {preset.NAME: preset for preset in _PRESETS}


class FunctionSpace(kt.HyperModel):
    """A function `build(hp)` as a space.

    Args:
        function: Takes a `keras_tuner.HyperParameters` and returns a Keras model, see `autorec.inputs`.
    """

    def __init__(self, function: Callable[[Any], keras.Model]) -> None:
        super().__init__(name=getattr(function, "__name__", None))
        self.function = function

    def build(self, hp: Any) -> keras.Model:
        """Returns the model that the function builds."""
        return self.function(hp)


def build(space: Any, hp: Any, layout: Layout, schema: Schema | None = None) -> keras.Model:
    """Returns the model that a space builds for a layout with the values of `hp`.

    Args:
        space: What `as_space` takes.
        hp: A `keras_tuner.HyperParameters`; what the space declares is added to it.
        layout: Columns of the encoded rows.
        schema: The schema they were encoded by, if there is one.

    Returns:
        A Keras model from a dict of groups of the layout to `{target: (batch, 1)}`.

    Raises:
        ConfigError: If the space is not known, cannot be built for the layout, or builds something else.

    Example:
        >>> hp = keras_tuner.HyperParameters()
        >>> model = build("deepfm", hp, cache.layout)
        >>> sorted(hp.values)  # what can be searched
    """
    return build_model(as_space(space), hp, layout, schema)


def as_space(value: Any) -> kt.HyperModel:
    """Returns a space for whatever stands for one.

    Args:
        value: A name of `SPACES`, a `keras_tuner.HyperModel`, or a function `build(hp)`.

    Raises:
        ConfigError: If it is none of them, with the nearest names.
    """
    if isinstance(value, kt.HyperModel):
        return value
    if isinstance(value, str):
        if value not in SPACES:
            raise unknown_name("space", value, SPACES)
        return SPACES[value]()
    if callable(value) and not isinstance(value, type):
        return FunctionSpace(value)
    hint = f"Did you mean {value.__name__}()?" if isinstance(value, type) else ""
    raise ConfigError("space", "a preset's name, a keras_tuner.HyperModel or a function build(hp)", value, hint)


def to_config(space: Any) -> dict[str, Any]:
    """Returns a space as plain JSON values.

    A preset is its name and the arguments given to it, a `FixedSpace` its values and its space. Of a function or a
    HyperModel of one's own only the place is written: code is not stored, and has to be given again.
    """
    found = as_space(space)
    if type(found) is FixedSpace:
        return found.get_config()
    if isinstance(found, Preset) and type(found) is SPACES.get(found.NAME):
        return found.get_config()
    code = found.function if isinstance(found, FunctionSpace) else type(found)
    if not hasattr(code, "__qualname__"):
        code = type(code)
    return {"code": f"{code.__module__}.{code.__qualname__}", "note": "give this space again to repeat the search"}


def is_stored(config: Mapping[str, Any]) -> bool:
    """Returns whether what `to_config` wrote holds the whole space, not only where its code was."""
    return is_stored(config["space"]) if "fixed" in config else "preset" in config


def from_config(config: Mapping[str, Any]) -> kt.HyperModel:
    """Returns the space that `to_config` wrote.

    Raises:
        ConfigError: If it was a function or a HyperModel of one's own, or the preset is not known.
    """
    if "fixed" in config:
        return FixedSpace.from_config(config)
    if "preset" not in config:
        allowed = "given again: a configuration holds no code"
        raise ConfigError("space", allowed, config.get("code", dict(config)), "Pass it as `space=`.")
    if config["preset"] not in SPACES:
        raise unknown_name("space", config["preset"], SPACES)
    return SPACES[config["preset"]](**config.get("arguments", {}))
