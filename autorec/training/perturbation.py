"""What a sharpness-aware step perturbs, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from autorec.training.row_sparse import is_table
from autorec.training.sharpness import SharpnessAware

EPSILON = 1e-12


def perturbed(model: Any, settings: SharpnessAware) -> list[Any]:
    """Returns the variables that a perturbation moves."""
    return [v for v in model.trainable_variables if settings.tables or not is_table(v)]


def perturbation(values: Sequence[Any], gradients: Sequence[Any], rho: float, adaptive: bool = False) -> Any:
    """Returns the perturbation of each value, of length `rho` together, and the square of the gradients' norm.

    Args:
        values: Weights.
        gradients: Their gradients, dense.
        rho: Length.
        adaptive: Scale by the weights.
    """
    sizes = [tf.abs(value) for value in values] if adaptive else []
    scaled = [size * gradient for size, gradient in zip(sizes, gradients)] if adaptive else list(gradients)
    square = square_of(scaled)
    factor = rho / (tf.sqrt(square) + EPSILON)
    moves = [tf.cast(factor, each.dtype) * each for each in scaled]
    return [size * move for size, move in zip(sizes, moves)] if adaptive else moves, square


def square_of(gradients: Sequence[Any]) -> Any:
    """Returns the square of the norm over all gradients."""
    values = [each.values if isinstance(each, tf.IndexedSlices) else each for each in gradients]
    return 2.0 * tf.add_n([tf.nn.l2_loss(tf.cast(value, tf.float32)) for value in values])
