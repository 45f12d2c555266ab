"""The Keras optimizer that training options ask for."""

from __future__ import annotations

from typing import Any

import keras

from autorec.training.fused_adam import FusedAdam
from autorec.training.options import TrainOptions
from autorec.training.row_sparse import RowSparse


def make_optimizer(options: TrainOptions) -> Any:
    """Returns a new optimizer: a `RowSparse`, or with `table_optimizer="dense"` the Keras optimizer alone.

    Args:
        options: Resolved options; a Keras optimizer in them is copied, its state is not.

    Raises:
        ConfigError: If a Keras optimizer cannot be combined with row-sparse tables.
    """
    inner = _inner(options)
    if options.table_optimizer == "dense":
        return inner
    lazy = {"table_l2": options.table_l2, "table_decay": options.table_decay}
    return RowSparse(inner, rule=options.table_optimizer, **lazy)


def _inner(options: TrainOptions) -> Any:
    given = FusedAdam() if options.optimizer == "adam" else keras.optimizers.get(options.optimizer)
    config = given.get_config()
    if options.learning_rate is not None:
        config["learning_rate"] = float(options.learning_rate)
    if options.clip:
        config |= {"clipnorm": None, "clipvalue": None, "global_clipnorm": float(options.clip)}
    return type(given).from_config(config)
