"""One harness that every block passes."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
from keras import ops

from autorec.blocks.base import Block
from autorec.expect import expect


def check_block(
    block_class: type[Block],
    arguments: Mapping[str, Any],
    inputs: Any,
    *,
    keywords: Mapping[str, Sequence[Any]] | None = None,
    output_shape: tuple[int, ...] | None = None,
    learns: bool = True,
    tune: Mapping[str, Any] | None = None,
) -> Block:
    """Checks what every block has to hold and returns a built block.

    Shape and dtype, no two weights that start alike, config round trip, save and load in a functional model with equal
    outputs, mixed precision, an unknown batch size, a training step that lowers the loss, and a search space that
    builds at its defaults and at random points. Of several outputs, all are compared and trained.

    Args:
        block_class: The class.
        arguments: Its arguments.
        inputs: An array or a list of arrays, (batch, width) or (batch, fields, dim), or what the block takes.
        keywords: Lists of arrays that a call takes by keyword, such as `offsets` of a head.
        output_shape: Shape that the first output must have, the batch included; None does not check it.
        learns: Whether the block has weights that a training step moves.
        tune: Fixed arguments for `tune`; None takes `arguments` less those in `SPACE`.

    Example:
        >>> check_block(MLP, {"units": 8}, np.ones((4, 3), "float32"), output_shape=(4, 8))
    """
    arrays = {"inputs": inputs, **(keywords or {})}
    values = keras.tree.map_structure(ops.convert_to_tensor, arrays)
    block = block_class(**arguments)
    outputs = _outputs(_call(block, values))
    if output_shape is not None:
        expect(tuple(outputs[0].shape) == output_shape, f"shape {outputs[0].shape} is not {output_shape}")
    for output in outputs:
        expect(output.dtype == keras.config.floatx(), f"dtype {output.dtype} is not {keras.config.floatx()}")
        expect(np.isfinite(ops.convert_to_numpy(output)).all(), "an output is not finite")
    _check_start(block)
    _check_config(block_class, block)
    _check_saving(block_class, arguments, arrays)
    _check_mixed_precision(block_class, arguments, values)
    if learns:
        _check_learning(block_class, arguments, arrays)
    fixed = {k: v for k, v in arguments.items() if k not in block_class.SPACE} if tune is None else tune
    _check_space(block_class, fixed, values)
    return block


def _call(block: Any, values: Mapping[str, Any]) -> Any:
    return block(values["inputs"], **{key: value for key, value in values.items() if key != "inputs"})


def _outputs(output: Any) -> list[Any]:
    if isinstance(output, dict):
        return list(output.values())
    return list(output) if isinstance(output, (list, tuple)) else [output]


def _check_start(block: Block) -> None:
    """Checks that no weight repeats the random values of another, as those that share an initializer do."""
    starts = {weight.path: ops.convert_to_numpy(weight).ravel() for weight in block.trainable_variables}
    drawn = {path: start for path, start in starts.items() if len(np.unique(start)) > 2}
    for (one, first), (other, second) in itertools.combinations(drawn.items(), 2):
        size = min(len(first), len(second))
        x, y = (start[:size].astype("float64") for start in (first, second))
        alike = abs(x @ y) / max(np.linalg.norm(x) * np.linalg.norm(y), 1e-12)
        expect(alike < 1 - 1e-6, f"{one} and {other} start with the same values: give each an initializer of its own")


def _check_config(block_class: type[Block], block: Block) -> None:
    config = block.get_config()
    again = block_class.from_config(config)
    expect(again.get_config() == config, f"{again.get_config()} is not {config}")


def _model(block_class: type[Block], arguments: Mapping[str, Any], arrays: Mapping[str, Any]) -> keras.Model:
    """Returns a functional model from the flat list of `arrays` to the list of outputs."""
    inputs = keras.tree.map_structure(lambda x: keras.Input(x.shape[1:], dtype=str(x.dtype)), arrays)
    outputs = _outputs(_call(block_class(**arguments), inputs))
    expect(all(output.shape[0] is None for output in outputs), "an output has a batch size of its own")
    return keras.Model(keras.tree.flatten(inputs), outputs)


def _results(model: keras.Model, arrays: Mapping[str, Any]) -> list[Any]:
    return [ops.convert_to_numpy(output) for output in _outputs(model(keras.tree.flatten(arrays)))]


def _check_saving(block_class: type[Block], arguments: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    model = _model(block_class, arguments, arrays)
    expected = _results(model, arrays)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    few = keras.tree.map_structure(lambda x: x[:1], arrays)
    for same, alone, wanted in zip(_results(loaded, arrays), _results(model, few), expected, strict=True):
        np.testing.assert_array_equal(same, wanted)
        np.testing.assert_allclose(alone, wanted[:1], rtol=1e-4, atol=1e-5)


def _check_mixed_precision(block_class: type[Block], arguments: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    block = block_class(**arguments, dtype="mixed_bfloat16")
    for output in _outputs(_call(block, values)):
        finite = np.isfinite(ops.convert_to_numpy(ops.cast(output, "float32"))).all()
        expect(finite, "an output is not finite under mixed_bfloat16")
    for variable in block.trainable_variables:
        expect(variable.dtype == "float32", f"{variable.path} is {variable.dtype} under mixed_bfloat16")


def _check_learning(block_class: type[Block], arguments: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    keras.utils.set_random_seed(1)
    whole = _model(block_class, arguments, arrays)
    flat = [output if len(output.shape) == 2 else keras.layers.Flatten()(output) for output in whole.outputs]
    model = keras.Model(whole.input, flat[0] if len(flat) == 1 else keras.layers.Concatenate()(flat))
    x = keras.tree.flatten(arrays)
    target = np.random.default_rng(0).normal(size=tuple(model(x).shape)).astype("float32")
    model.compile(keras.optimizers.Adam(0.01), "mse")
    before = float(model.evaluate(x, target, verbose=0))
    for _ in range(10):
        model.train_on_batch(x, target)
    after = float(model.evaluate(x, target, verbose=0))
    expect(after < before, f"ten steps brought the loss from {before} to {after}")


def _check_space(block_class: type[Block], fixed: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    hp = kt.HyperParameters()
    _call(block_class.tune(hp, **fixed), values)
    names: Sequence[str] = [item.name for item in hp.space]
    wanted = [argument for argument in block_class.SPACE if fixed.get(argument) is None]
    found = {name.split("/")[-1] for name in names}
    expect(found <= set(wanted), f"searched {names}, of which SPACE has {wanted} only")
    expect(set(wanted) - found <= set(block_class.WHEN), f"of {wanted} only {names} are searched")
    for seed in range(3):
        point = kt.HyperParameters()
        for item in hp.space:
            point.merge([item])
            point.values[item.name] = item.random_sample(seed)
        _call(block_class.tune(point, **fixed), values)
