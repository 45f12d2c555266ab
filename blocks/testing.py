"""One harness that every block passes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
from keras import ops

from autorec.blocks.base import Block


def check_block(
    block_class: type[Block],
    arguments: Mapping[str, Any],
    inputs: Any,
    *,
    output_shape: tuple[int, ...] | None = None,
    learns: bool = True,
    tune: Mapping[str, Any] | None = None,
) -> Block:
    """Checks what every block has to hold and returns a built block.

    Shape and dtype, config round trip, save and load in a functional model with equal outputs, mixed precision, an
    unknown batch size, a training step that lowers the loss, and a search space that builds at its defaults and at
    random points.

    Args:
        block_class: The class.
        arguments: Its arguments.
        inputs: An array or a list of arrays, (batch, width) or (batch, fields, dim), or what the block takes.
        output_shape: Shape that a call must have, the batch included; None does not check it.
        learns: Whether the block has weights that a training step moves.
        tune: Fixed arguments for `tune`; None takes `arguments` less those in `SPACE`.

    Example:
        >>> check_block(MLP, {"units": 8}, np.ones((4, 3), "float32"), output_shape=(4, 8))
    """
    block = block_class(**arguments)
    values = [ops.convert_to_tensor(x) for x in inputs] if isinstance(inputs, list) else ops.convert_to_tensor(inputs)
    output = block(values)
    if output_shape is not None:
        assert tuple(_first(output).shape) == output_shape, _first(output).shape
    assert _first(output).dtype == keras.config.floatx()
    assert np.isfinite(ops.convert_to_numpy(_first(output))).all()
    _check_config(block_class, block)
    _check_saving(block_class, arguments, inputs)
    _check_mixed_precision(block_class, arguments, values)
    if learns:
        _check_learning(block_class, arguments, inputs)
    fixed = {k: v for k, v in arguments.items() if k not in block_class.SPACE} if tune is None else tune
    _check_space(block_class, fixed, values)
    return block


def _first(output: Any) -> Any:
    if isinstance(output, dict):
        return next(iter(output.values()))
    return output[0] if isinstance(output, (list, tuple)) else output


def _check_config(block_class: type[Block], block: Block) -> None:
    config = block.get_config()
    again = block_class.from_config(config)
    assert again.get_config() == config


def _symbolic(inputs: Any) -> Any:
    if isinstance(inputs, list):
        return [keras.Input(x.shape[1:], dtype=str(x.dtype), name=f"x{i}") for i, x in enumerate(inputs)]
    return keras.Input(inputs.shape[1:], dtype=str(inputs.dtype), name="x")


def _model(block_class: type[Block], arguments: Mapping[str, Any], inputs: Any) -> keras.Model:
    x = _symbolic(inputs)
    output = _first(block_class(**arguments)(x))
    assert output.shape[0] is None
    flat = output if len(output.shape) == 2 else keras.layers.Flatten()(output)
    return keras.Model(x, flat)


def _check_saving(block_class: type[Block], arguments: Mapping[str, Any], inputs: Any) -> None:
    model = _model(block_class, arguments, inputs)
    expected = ops.convert_to_numpy(model(inputs))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(inputs)), expected)
    few: Any = [x[:1] for x in inputs] if isinstance(inputs, list) else inputs[:1]
    np.testing.assert_allclose(ops.convert_to_numpy(model(few)), expected[:1], rtol=1e-4, atol=1e-5)


def _check_mixed_precision(block_class: type[Block], arguments: Mapping[str, Any], values: Any) -> None:
    block = block_class(**arguments, dtype="mixed_bfloat16")
    output = ops.convert_to_numpy(ops.cast(_first(block(values)), "float32"))
    assert np.isfinite(output).all()
    for variable in block.trainable_variables:
        assert variable.dtype == "float32", variable.path


def _check_learning(block_class: type[Block], arguments: Mapping[str, Any], inputs: Any) -> None:
    keras.utils.set_random_seed(1)
    model = _model(block_class, arguments, inputs)
    target = np.random.default_rng(0).normal(size=tuple(model(inputs).shape)).astype("float32")
    model.compile(keras.optimizers.Adam(0.01), "mse")
    before = float(model.evaluate(inputs, target, verbose=0))
    for _ in range(10):
        model.train_on_batch(inputs, target)
    assert float(model.evaluate(inputs, target, verbose=0)) < before


def _check_space(block_class: type[Block], fixed: Mapping[str, Any], values: Any) -> None:
    hp = kt.HyperParameters()
    block_class.tune(hp, **fixed)(values)
    names: Sequence[str] = [item.name for item in hp.space]
    wanted = [argument for argument in block_class.SPACE if fixed.get(argument) is None]
    assert sorted(name.split("/")[-1] for name in names) == sorted(wanted), names
    for seed in range(3):
        point = kt.HyperParameters()
        for item in hp.space:
            point.merge([item])
            point.values[item.name] = item.random_sample(seed)
        block_class.tune(point, **fixed)(values)
