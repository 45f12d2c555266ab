"""A Keras model made ready for training."""

from __future__ import annotations

from typing import Any

from autorec.data.layout import Layout
from autorec.training.losses import losses
from autorec.training.optimizers import make_optimizer
from autorec.training.options import TrainOptions
from autorec.training.sharpness_model import sharpness_aware


def compile_model(model: Any, layout: Layout, options: TrainOptions) -> Any:
    """Compiles a model with the loss of each target and the optimizer of the options.

    Args:
        model: Functional Keras model with an output for each target.
        layout: Columns of the rows.
        options: Resolved options.

    Returns:
        The model, or one that shares its layers and their variables and whose steps are sharpness-aware.
    """
    if options.sharpness is not None:
        model = sharpness_aware(model, options.sharpness)
    by_target: Any = losses(layout.targets)
    weights = None
    if not isinstance(model.output, dict):
        by_target = by_target[layout.targets[0].name]
    elif options.loss_weights:
        weights = {name: float(options.loss_weights.get(name, 1.0)) for name in by_target}
    # Measured slower with XLA, which has no row-sparse updates either.
    model.compile(optimizer=make_optimizer(options), loss=by_target, loss_weights=weights, jit_compile=False)
    if isinstance(model.output, dict) and len(model.output) > 1:
        # Keras counts each target's loss in a variable with its name; made inside a compiled function, that would have
        # to be a name that TensorFlow allows, such as one without spaces.
        model._compile_loss.build(model.output, model.output)
    # Variables that are made inside a compiled function are made by tracing it twice.
    model.optimizer.build(model.trainable_variables)
    return model
