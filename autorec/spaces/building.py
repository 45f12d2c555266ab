"""Building a space for a layout, and the check of what comes out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner as kt

from autorec.blocks.naming import new_build
from autorec.data.layout import Layout
from autorec.data.schema import Schema
from autorec.errors import ConfigError
from autorec.spaces.context import using_layout


def build_model(space: kt.HyperModel, hp: Any, layout: Layout, schema: Schema | None = None) -> keras.Model:
    """Returns the model that a space builds for a layout with the values of `hp`.

    Args:
        space: A `keras_tuner.HyperModel`.
        hp: A `keras_tuner.HyperParameters`; what the space declares is added to it.
        layout: Columns of the encoded rows.
        schema: The schema they were encoded by, if there is one.

    Raises:
        ConfigError: If the result is no Keras model from groups of the layout to one output per target.
    """
    new_build(hp)
    with using_layout(layout, schema):
        model = space.build(hp)
    check_model(model, layout)
    return model


def check_model(model: Any, layout: Layout) -> None:
    """Checks that a model reads groups of a layout and gives `{target: (batch, 1)}`.

    An input that no output depends on is allowed: Keras keeps it as an input that the model does not look at.

    Raises:
        ConfigError: If it does not, with what was expected and what was received.
    """
    inputs = getattr(model, "input", None) if isinstance(model, keras.Model) else None
    if inputs is None:
        raise ConfigError("space", "one that builds a functional Keras model", model, _HINT)
    groups = list(layout.groups)
    if not isinstance(inputs, Mapping) or not set(inputs) <= set(groups):
        raise ConfigError("inputs of the model", f"a dict of some of {groups}", _shapes(inputs), _HINT)
    expected = {target.name: (None, 1) for target in layout.targets}
    received = _shapes(model.output)
    if received != expected:
        raise ConfigError("outputs of the model", f"(batch, 1) for each target, {expected}", received, _HINT)
    dtypes = {name: tensor.dtype for name, tensor in model.output.items()}
    if not {"float16", "bfloat16"}.isdisjoint(dtypes.values()):  # three digits, with which rows would tie
        raise ConfigError("outputs of the model", "float32 under any precision", dtypes, _HINT)


def check_loadable(model: keras.Model) -> None:
    """Checks that Keras can load again what it saves of a model.

    Raises:
        ConfigError: If it cannot: a layer is not registered, say.
    """
    try:
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
        keras.saving.deserialize_keras_object(config, safe_mode=True)
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".partition(". ")[0]
        raise ConfigError("space", "one whose models Keras can load again", cause, _REGISTER) from error


_REGISTER = (
    "Layers and functions of your own need `@keras.saving.register_keras_serializable()`, all that a layer's "
    "`__init__` takes in its `get_config`, and no `Lambda`."
)
_HINT = "`autorec.inputs(hp)` makes the inputs, `autorec.ctr_model` and `autorec.rating_model` the outputs."


def _shapes(tensors: Any) -> Any:
    return keras.tree.map_structure(lambda tensor: tuple(tensor.shape), tensors)
