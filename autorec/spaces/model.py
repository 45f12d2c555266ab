"""The two ends of a model: from a layout to fields, and from blocks to one output per target."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras

from autorec.blocks import ClickHead, IsotonicCalibration, RatingHead
from autorec.blocks.base import as_list
from autorec.data.schema import Schema
from autorec.errors import ConfigError
from autorec.spaces.context import current_layout
from autorec.spaces.features import Features


def inputs(schema: Any, hp: Any = None, **arguments: Any) -> tuple[dict[str, Any], Any]:
    """Returns the inputs of a model and its fields: the first line of a `build(hp)` of one's own.

    The fields are the embedded ids, pooled lists and embedded numbers, and one more for statistics and likeness. For
    other views of the rows (a flat vector, the first-order term) use `Features`.

    Args:
        schema: The schema the model is for; may be left out, as in `inputs(hp)`.
        hp: A `keras_tuner.HyperParameters`.
        **arguments: What `Features` takes, such as `dim=8`; what is left out is searched.

    Returns:
        A dict of `keras.Input` by group, and the fields, (batch, fields, dim).

    Raises:
        ConfigError: Outside of a build, or if the schema is not the one that the rows were encoded by.

    Example:
        >>> def build(hp):
        ...     inputs, fields = autorec.inputs(hp)
        ...     return autorec.ctr_model(inputs, [autorec.blocks.MLP.tune(hp)(fields)])
    """
    if hp is None:
        schema, hp = None, schema
    if schema is not None:
        _check_schema(schema)
    features = Features(current_layout(), hp, **arguments)
    fields = features.fields(statistics=True)
    return features.inputs, fields


def _check_schema(schema: Schema) -> None:
    if not isinstance(schema, Schema):
        raise ConfigError("schema", "a Schema, as in `inputs(schema, hp)`", schema)
    layout = current_layout()
    known = {column.feature for column in layout.ids} | {column.feature for column in layout.numbers}
    known |= {column.name for column in layout.lists}
    other = sorted(set(schema.names) ^ known)
    if other:
        raise ConfigError("schema", "the one that the rows were encoded by", schema.names, f"They differ in {other}.")


def ctr_model(inputs: Mapping[str, Any], outputs: Any, offsets: Sequence[Any] = ()) -> keras.Model:
    """Returns a model of clicks: a logit for each target.

    `logit = w . [outputs] + b + sum offsets`, where b starts from the logit of the target's mean.

    Args:
        inputs: The inputs that the model reads, by group.
        outputs: A tensor or a list of them, (batch, width) or (batch, fields, dim), which all targets read; or a dict
            that has these for each target, such as those of its tower.
        offsets: Tensors added to the logits as they are, (batch, 1) or (batch, targets).

    Returns:
        A Keras model whose output is `{target: (batch, 1) logit}`.

    Raises:
        ConfigError: Outside of a build, or if a target is not binary.
    """
    targets = _targets("binary", "ctr_model")
    head = ClickHead([target.name for target in targets], priors={target.name: target.mean for target in targets})
    return _model(inputs, head, outputs, offsets)


def rating_model(inputs: Mapping[str, Any], outputs: Any, offsets: Sequence[Any] = ()) -> keras.Model:
    """Returns a model of ratings: a value in the target's own units for each target.

    `rating = mean + std * (w . [outputs] + b + sum offsets)`

    Args:
        inputs: The inputs that the model reads, by group.
        outputs: A tensor or a list of them, (batch, width) or (batch, fields, dim), which all targets read; or a dict
            that has these for each target, such as those of its tower.
        offsets: Tensors added as they are, in standard deviations, (batch, 1) or (batch, targets).

    Returns:
        A Keras model whose output is `{target: (batch, 1) rating}`.

    Raises:
        ConfigError: Outside of a build, or if a target is not a number.
    """
    targets = _targets("real", "rating_model")
    return _model(inputs, RatingHead({target.name: (target.mean, target.std) for target in targets}), outputs, offsets)


def ranking_model(inputs: Mapping[str, Any], outputs: Any, offsets: Sequence[Any] = ()) -> keras.Model:
    """Returns a `ctr_model` or a `rating_model`, as the targets of the layout ask for."""
    end = ctr_model if current_layout().targets[0].kind == "binary" else rating_model
    return end(inputs, outputs, offsets)


def calibrated_model(model: keras.Model, features: Sequence[Any] = ()) -> keras.Model:
    """Returns a model of clicks with an isotonic layer behind each logit, trained with the rest.

    Args:
        model: What `ctr_model` returned.
        features: Calibration features: tensors of the model that the slopes depend on, (batch, width) or (batch,
            fields, dim). Default none: the same slopes for all rows.
    """
    more = {"features": list(features)} if features else {}
    return keras.Model(
        model.input, {name: IsotonicCalibration()(logit, **more) for name, logit in model.output.items()}
    )


def _targets(kind: str, name: str) -> Sequence[Any]:
    targets = current_layout().targets
    if not targets or any(target.kind != kind for target in targets):
        found = {target.name: target.kind for target in targets}
        raise ConfigError("target", f"of the kind {kind!r} for `{name}`", found)
    return targets


def _model(inputs: Mapping[str, Any], head: Any, outputs: Any, offsets: Sequence[Any]) -> keras.Model:
    if isinstance(outputs, Mapping):
        return keras.Model(dict(inputs), head([], offsets=[_own_terms(head.targets, outputs), *offsets]))
    tensors = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    return keras.Model(dict(inputs), head(tensors, offsets=list(offsets)))


def _own_terms(targets: Collection[str], outputs: Mapping[str, Any]) -> Any:
    """Returns `w_t . [outputs_t]` for each target, (batch, targets): no target's loss moves what only others read."""
    if set(outputs) != set(targets):
        raise ConfigError("outputs", f"tensors for each of the targets {list(targets)}", list(outputs))
    # In float32 under any policy, as the head itself.
    terms = [keras.layers.Dense(1, use_bias=False, dtype="float32")(_vector(outputs[target])) for target in targets]
    return terms[0] if len(terms) == 1 else keras.layers.Concatenate(dtype="float32")(terms)


def _vector(tensors: Any) -> Any:
    """Returns a tensor or several as one vector, (batch, width)."""
    flat = [x if len(x.shape) == 2 else keras.layers.Flatten(dtype="float32")(x) for x in as_list(tensors)]
    return flat[0] if len(flat) == 1 else keras.layers.Concatenate(dtype="float32")(flat)
