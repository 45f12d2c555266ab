"""Several models as one: shared inputs, the weighted mean of their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from autorec.blocks.weighted_mean import WeightedMean, check_shares
from autorec.errors import ConfigError


def join(models: Sequence[Any], weights: Sequence[float], *, name: str = "ensemble") -> keras.Model:
    """Returns one Keras model whose outputs are the weighted means of those of some models.

    `F(x) = sum_j w_j z_j(x)`: of logits, or of a rating's values. It reads the union of the inputs and is a model like
    any other: it exports, saves, and lists the tables of all members. A layer `x` of member 2 is called `member_2_x`.

    No weight is copied: the members' layers become those of the ensemble, under their new names. A member whose weight
    is 0 is left out. The models' own inputs and outputs stay usable.

    Args:
        models: Functional Keras models on groups of columns with the same outputs, such as trials of one run.
        weights: One for each, not negative, with the sum 1.
        name: Name of the model.

    Returns:
        A Keras model from a dict of groups to `{target: (batch, 1)}`.

    Raises:
        ConfigError: If there is no model, one is not functional or has other outputs, two read an input of one name in
            different shapes, or the weights do not fit.

    Example:
        >>> model = join([rec.model(3), rec.model(7)], [0.6, 0.4])
    """
    shares = check_shares(weights)
    if len(models) != len(shares):
        raise ConfigError("weights", f"one for each of {len(models)} models", len(shares))
    if len({id(model) for model in models}) < len(models):
        raise ConfigError("models", "different models", [model.name for model in models], "Add up their weights.")
    kept = [(number, model, share) for number, (model, share) in enumerate(zip(models, shares)) if share > 0.0]
    inputs = _union([(number, model) for number, model, _ in kept])
    found = [_on(model, inputs, number) for number, model, _ in kept]
    means = {
        target: WeightedMean([share for _, _, share in kept], name=f"mean_{place}")(
            [outputs[target] for outputs in found]
        )
        for place, target in enumerate(found[0])
    }
    return keras.Model(inputs, means, name=name)


def _union(models: Sequence[tuple[int, Any]]) -> dict[str, Any]:
    """Returns an input for each group that any of the models reads."""
    inputs: dict[str, Any] = {}
    targets = None
    for number, model in models:
        outputs = getattr(model, "output", None)
        if not isinstance(getattr(model, "input", None), Mapping) or not isinstance(outputs, Mapping):
            raise ConfigError("models", "functional models with dicts of inputs and outputs", model)
        targets = list(outputs) if targets is None else targets
        if sorted(outputs) != sorted(targets):
            raise ConfigError("models", f"models of the targets {targets}", list(outputs), f"Of model {number}.")
        for group, tensor in model.input.items():
            known = inputs.setdefault(group, tensor)
            if (tuple(known.shape), known.dtype) != (tuple(tensor.shape), tensor.dtype):
                shapes = [tuple(known.shape), tuple(tensor.shape)]
                hint = f"Model {number} was made for other columns."
                raise ConfigError("models", f"models that read one {group!r}", shapes, hint)
    return {
        group: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=group) for group, tensor in inputs.items()
    }


def _on(model: Any, inputs: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """Returns the outputs of a model on shared inputs, from the same layers under new names."""

    def renamed(operation: Any) -> Any:
        operation.name = f"member_{number}_{operation.name}"
        return operation

    read = {group: inputs[group] for group in model.input}
    outputs: Mapping[str, Any] = keras.models.clone_model(model, input_tensors=read, clone_function=renamed).output
    return outputs
