"""What every block is: a Keras layer with a search space, on vectors and fields alike."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Self

import keras
from keras import ops

from autorec.blocks.hyperparameters import Hyperparameter
from autorec.blocks.naming import prefix, snake_case
from autorec.errors import unknown_name

Shape = tuple[int | None, ...]


class Block(keras.layers.Layer):
    """A Keras layer with a search space.

    A block takes a tensor or a list of tensors, each (batch, width) or (batch, fields, dim). A subclass lists the
    arguments that can be searched in `SPACE`, stores each constructor argument under its own name, and gets
    `get_config` from here.

    Example:
        >>> @keras.saving.register_keras_serializable(package="autorec")
        ... class Scale(Block):
        ...     SPACE = {"factor": Float(0.1, 10.0, default=1.0, sampling="log")}
        ...
        ...     def __init__(self, factor=1.0, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.factor = factor
        ...
        ...     def call(self, inputs):
        ...         return self.factor * as_vector(inputs)
        >>> Scale.tune(hp, factor=2.0)  # fixed
        >>> Scale.tune(hp)  # searched as `scale/factor`
    """

    SPACE: ClassVar[Mapping[str, Hyperparameter]] = {}
    # An argument that matters only for some values of another one: argument -> (the other one, its values).
    WHEN: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {}

    @classmethod
    def tune(cls, hp: Any, name: str | None = None, **fixed: Any) -> Self:
        """Returns the block with every argument of `SPACE` that is not given drawn from `hp`.

        Args:
            hp: A `keras_tuner.HyperParameters`.
            name: Prefix of the hyperparameters; by default the block's name in snake case, with `_1`, `_2` for
                repeats in the same build.
            **fixed: Arguments of the constructor; 0 and False are values, None leaves an argument to the search.

        Raises:
            ConfigError: If an argument is not known, with the nearest names.
        """
        own = _arguments(cls)
        for argument in fixed:
            if argument not in own and argument not in ("dtype", "trainable"):
                raise unknown_name(f"{cls.__name__}.tune", argument, own)
        scope = prefix(hp, snake_case(cls.__name__)) if name is None else name
        values = {argument: value for argument, value in fixed.items() if value is not None}
        for argument in cls.SPACE:
            if argument not in values:
                cls._draw(hp, scope, argument, values, fixed)
        return cls(**values)

    @classmethod
    def _draw(cls, hp: Any, scope: str, argument: str, values: dict[str, Any], fixed: Mapping[str, Any]) -> None:
        """Adds an argument to `values`, unless it does not matter beside the others."""
        parent, allowed = cls.WHEN.get(argument, (None, ()))
        matters = parent is None or values[parent] in allowed
        searched = parent is not None and fixed.get(parent) is None
        # Entered also where it is not active, so that an exploration of the space learns of it.
        with hp.conditional_scope(f"{scope}/{parent}", list(allowed)) if searched else nullcontext():
            if matters:
                values[argument] = cls.space_of(argument, values).draw(hp, f"{scope}/{argument}")

    @classmethod
    def space_of(cls, argument: str, values: Mapping[str, Any]) -> Hyperparameter:
        """Returns the space of an argument beside values of those before it in `SPACE`; as a rule that of `SPACE`."""
        return cls.SPACE[argument]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config: dict[str, Any] = super().get_config()
        return config | {argument: getattr(self, argument) for argument in _arguments(type(self))}


def _arguments(cls: Any) -> list[str]:
    if cls.__init__ is keras.layers.Layer.__init__:
        return []
    parameters = inspect.signature(cls.__init__).parameters.values()
    return [p.name for p in parameters if p.name != "self" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def as_list(inputs: Any) -> list[Any]:
    """Returns one tensor (or shape) or several as a list."""
    if isinstance(inputs, (list, tuple)) and not (inputs and isinstance(inputs[0], (int, type(None)))):
        return list(inputs)
    return [inputs]


def as_vector(inputs: Any) -> Any:
    """Returns one tensor or several as one vector, (batch, width): fields flattened, all joined in their order."""
    flat = [x if len(x.shape) == 2 else ops.reshape(x, (-1, x.shape[1] * x.shape[2])) for x in as_list(inputs)]
    kind = keras.backend.result_type(*(x.dtype for x in flat))
    return flat[0] if len(flat) == 1 else ops.concatenate([ops.cast(x, kind) for x in flat], axis=-1)


def vector_width(input_shape: Any) -> int:
    """Returns the width of `as_vector` for a shape or a list of shapes."""
    return sum(shape[1] if len(shape) == 2 else shape[1] * shape[2] for shape in as_list(input_shape))


@keras.saving.register_keras_serializable(package="autorec")
class AsFields(keras.layers.Layer):
    """Returns one tensor or several as fields of one width, (batch, fields, dim).

    A vector (batch, width) is one field. Inputs of another width than `dim` are projected linearly, each input by a
    kernel of its own, without bias.

    Args:
        dim: Width of the fields. None takes the inputs' own when all agree, else the least one.
    """

    def __init__(self, dim: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim = dim

    def build(self, input_shape: Any) -> None:
        """Makes a kernel for each input of another width."""
        shapes = as_list(input_shape)
        self.width = self.width_of(shapes)
        self.kernels = [
            None
            if shape[-1] == self.width
            else self.add_weight(name=f"kernel_{i}", shape=(shape[-1], self.width), initializer="glorot_uniform")
            for i, shape in enumerate(shapes)
        ]
        self.built = True

    def width_of(self, input_shape: Any) -> int:
        """Returns the width of the fields for a shape or a list of shapes."""
        return int(min(shape[-1] for shape in as_list(input_shape)) if self.dim is None else self.dim)

    def call(self, inputs: Any) -> Any:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns (batch, fields, dim)."""
        fields = self.parts(inputs)
        return fields[0] if len(fields) == 1 else ops.concatenate(fields, axis=1)

    def parts(self, inputs: Any) -> list[Any]:
        """Returns each input as (batch, fields, dim): for sums over all fields, which need no copy of them."""
        fields = []
        for x, kernel in zip(as_list(inputs), self.kernels):
            x = x if len(x.shape) == 3 else ops.expand_dims(x, 1)
            x = ops.cast(x, self.compute_dtype)
            fields.append(x if kernel is None else ops.matmul(x, kernel))
        return fields

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """Returns (batch, fields, dim)."""
        shapes: Sequence[Shape] = as_list(input_shape)
        count = sum(1 if len(shape) == 2 else shape[1] or 0 for shape in shapes)
        return (shapes[0][0], count, self.width_of(shapes))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "dim": self.dim}
