"""How a model is trained, as one object that `fit` and `search` take."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from autorec.errors import ConfigError, unknown_name
from autorec.training.sharpness import SharpnessAware
from autorec.training.strategies import strategy_name

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop", "adagrad", "adamax", "nadam", "ftrl", "lion")
TABLE_OPTIMIZERS = ("adam", "adagrad", "rowwise_adagrad", "dense")
PRECISIONS = ("float32", "bfloat16", "auto")
DEFAULTS: dict[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "table_optimizer": "adam",
    "table_l2": 1e-5,
    "table_decay": 0.0,
    "clip": 0.0,
    "plateau": 0.1,
    "patience": 2,
    "strategy": None,
    "precision": "float32",
    "sharpness": None,
    "loss_weights": None,
}
# What only a rule of the tables' own can do.
_LAZY = ("table_l2", "table_decay")
_PREFIX = "train/"
_RATES = (1e-4, 1e-2)
_TABLE_L2 = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


@dataclass(frozen=True)
class TrainOptions:
    """How a model is trained.

    A field left None is searched (`learning_rate`, `table_l2`) or takes its default; any other value is fixed, 0 and
    False too. A tuple is searched among, its first value being the default: `clip=(0.0, 1.0)`.

    Args:
        optimizer: Of the dense part: a name (default `"adam"`) or a Keras optimizer, which each training copies. One
            that accumulates gradients or scales losses needs `table_optimizer="dense"`; one that averages weights
            (`use_ema`) is refused: the model has the weights that were validated.
        learning_rate: Of both parts, positive (default 1e-3, searched from 1e-4 to 1e-2). With a Keras optimizer None
            keeps its own rate or schedule.
        table_optimizer: Of the embedding tables (default `"adam"`). `"adam"`, `"adagrad"` and `"rowwise_adagrad"`
            touch only the rows of the batch, see `RowSparse`; `"dense"` leaves the tables to `optimizer`.
        table_l2: Weight of the lazy L2 on the rows of the batch, 0 or more (default 1e-5, searched).
        table_decay: Weight of the lazy decoupled weight decay of the rows of the batch, 0 or more (default 0). A Keras
            optimizer's own `weight_decay` acts on the dense part alone, as long as the tables have a rule of theirs.
        clip: Largest global norm of the dense part's gradient, 0 for no clipping (default 0).
        plateau: Factor of the learning rate where the validation objective no longer improves, in (0, 1); True is 0.1
            and False or 0 never cuts (default 0.1). The best weights so far are restored with the cut, which is made
            once; behind it, the next plateau ends the training.
        patience: Epochs without a new best that make a plateau, 1 or more (default 2).
        strategy: Several devices or processes that train one model: a `tf.distribute.MirroredStrategy` or
            `MultiWorkerMirroredStrategy`, or `"mirrored"` or `"multi_worker"` for one of all devices, made at the first
            use (default None: one device). An object is kept by its name.
        precision: Of the arithmetic (default `"float32"`). `"bfloat16"` computes in it under Keras's policy
            `mixed_bfloat16`; weights, tables, first-order terms and logits stay float32. `"auto"` times both once a
            run and takes bfloat16 where it is faster. One for all trials of a run: it is not searched.
        sharpness: A `SharpnessAware` for sharpness-aware training, which makes two passes in place of one (default
            None: plain training). In a tuple to search among None stands for plain training too. Trials that a searcher
            gives fewer epochs go without.
        loss_weights: Weights of the targets' losses in the loss that is trained, a dict of numbers of 0 or more; a
            target that is left out has 1 (default None: all have). `val_loss` is weighed likewise. Not searched.

    Raises:
        ConfigError: If a value is not allowed.

    Example:
        >>> rec.search("clicks.parquet", target="click", options=TrainOptions(learning_rate=3e-3, table_l2=0.0))
    """

    optimizer: Any = None
    learning_rate: Any = None
    table_optimizer: Any = None
    table_l2: Any = None
    table_decay: Any = None
    clip: Any = None
    plateau: Any = None
    patience: Any = None
    strategy: Any = None
    precision: Any = None
    sharpness: Any = None
    loss_weights: Any = None

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            value = tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else _plain(value)
            for item in _listed(name, value):
                if item is not None:
                    check(name, item)
            object.__setattr__(self, name, _alike(name, value) if isinstance(value, tuple) else value)
        if self.loss_weights is not None:
            _check_loss_weights("loss_weights", self.loss_weights)  # a tuple of them cannot be searched
            weights = {name: float(weight) for name, weight in self.loss_weights.items()}
            object.__setattr__(self, "loss_weights", weights)
        if self.strategy is not None:
            object.__setattr__(self, "strategy", strategy_name(self.strategy))
        if self.precision is not None and self.precision not in PRECISIONS:
            raise unknown_name("precision", self.precision, PRECISIONS)
        if _is_keras(self.optimizer):
            self._check_averages()
            if self.table_optimizer != "dense":
                from autorec.training.row_sparse import check_inner

                check_inner(self.optimizer)
            self._check_wrapper()
        for name in _LAZY:
            if self.table_optimizer == "dense" and getattr(self, name) not in (None, 0):
                raise ConfigError(name, "0 or None with table_optimizer='dense'", getattr(self, name))

    def _check_averages(self) -> None:
        """Checks that the optimizer gives the model no weights that validation has not seen."""
        if getattr(getattr(self.optimizer, "inner_optimizer", self.optimizer), "use_ema", False):
            hint = "A refit (`refit=True`) has the mean of its last epoch's weights."
            raise ConfigError("optimizer.use_ema", "left out: the best epoch's weights are the model's", True, hint)

    def _check_wrapper(self) -> None:
        """Checks that nothing is to be set on an optimizer that has it set on another one within."""
        if not (hasattr(self.optimizer, "inner") or hasattr(self.optimizer, "inner_optimizer")):
            return
        for name in ("learning_rate", "clip"):
            value = getattr(self, name)
            if value not in (None, 0):
                kind = type(self.optimizer).__name__
                raise ConfigError(name, f"left out with a {kind}: set it on the optimizer within", value)

    def tune(self, hp: Any) -> TrainOptions:
        """Returns the options with all that is open drawn from `hp` as `train/<field>`, the rest at its default.

        Args:
            hp: A `keras_tuner.HyperParameters`.
        """
        drawn: dict[str, Any] = {}
        for name in DEFAULTS:
            value = getattr(self, name)
            if isinstance(value, tuple):
                shown = {_shown(name, item): item for item in value}
                drawn[name] = shown[hp.Choice(_PREFIX + name, list(shown), default=next(iter(shown)))]
        if self._searches_rate:
            low, high = _RATES
            default = DEFAULTS["learning_rate"]
            drawn["learning_rate"] = hp.Float(_PREFIX + "learning_rate", low, high, sampling="log", default=default)
        if self.table_l2 is None and self.table_optimizer != "dense":
            drawn["table_l2"] = hp.Choice(_PREFIX + "table_l2", list(_TABLE_L2), default=DEFAULTS["table_l2"])
        if drawn.get("table_optimizer") == "dense":
            drawn |= dict.fromkeys(_LAZY, 0.0)
        return dataclasses.replace(self, **drawn).resolved()

    def resolved(self) -> TrainOptions:
        """Returns the options with the default wherever a field is open."""
        values = {}
        for name, default in DEFAULTS.items():
            value = getattr(self, name)
            value = value[0] if isinstance(value, tuple) else value
            values[name] = default if value is None else value
        if self.learning_rate is None and not isinstance(values["optimizer"], str):
            values["learning_rate"] = None
        if values["table_optimizer"] == "dense":
            values |= dict.fromkeys(_LAZY, 0.0)
        values["plateau"] = DEFAULTS["plateau"] if values["plateau"] is True else float(values["plateau"])
        return TrainOptions(**values)

    def scope(self) -> AbstractContextManager[Any]:
        """Returns the context within which a model is built that is trained with these options."""
        from autorec.training.workers import get_workers

        return get_workers(self.strategy).scope()

    def to_dict(self) -> dict[str, Any]:
        """Returns the options as plain JSON values."""
        values = {name: getattr(self, name) for name in DEFAULTS}
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        values["sharpness"] = _each(lambda item: item and item.to_dict(), values["sharpness"])
        if _is_keras(self.optimizer):
            import keras

            values["optimizer"] = keras.optimizers.serialize(self.optimizer)
            # Keras counts on: the same optimizer made once more, to go on with a run, would be another one.
            values["optimizer"]["config"].pop("name", None)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainOptions:
        """Returns the options that `to_dict` wrote.

        Raises:
            ConfigError: If a name or value is not known.
        """
        for name in values:
            if name not in DEFAULTS:
                raise unknown_name("options", name, DEFAULTS)
        arguments = dict(values)
        arguments["sharpness"] = _each(lambda item: item and SharpnessAware.from_dict(item), values.get("sharpness"))
        if isinstance(arguments.get("optimizer"), Mapping):
            import keras

            arguments["optimizer"] = keras.optimizers.deserialize(copy.deepcopy(arguments["optimizer"]))
        return cls(**arguments)

    @property
    def _searches_rate(self) -> bool:
        return self.learning_rate is None and not _is_keras(self.optimizer)


def _plain(value: Any) -> Any:
    """Returns a NumPy scalar as Python's own, which JSON knows too."""
    numpys = type(value).__module__ == "numpy"  # not imported for it: the command line's --help is to be quick
    return value.item() if numpys and not getattr(value, "shape", ()) else value


def _listed(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        return (value,)
    if not value or any(_is_keras(item) for item in value if name == "optimizer"):
        raise ConfigError(name, "a value, or a tuple of names or numbers to search among", value)
    return value


def _alike(name: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns values to search among as values of one type, as KerasTuner wants them.

    Raises:
        ConfigError: If None is among them where it is no setting of its own.
    """
    if name == "sharpness":
        return values
    if None in values:
        raise ConfigError(name, "a tuple of values, without None", values)
    if name not in ("learning_rate", "table_l2", "table_decay", "clip", "plateau", "patience"):
        return values
    numbers = (DEFAULTS["plateau"] if value is True else value for value in values)
    return tuple(int(number) if name == "patience" else float(number) for number in numbers)


def _shown(name: str, value: Any) -> Any:
    """Returns a value of a field as a hyperparameter shows it: settings in words."""
    if name != "sharpness":
        return value
    return "none" if value is None else str(value)


def _each(function: Callable[[Any], Any], value: Any) -> Any:
    return [function(item) for item in value] if isinstance(value, list) else function(value)


def _is_keras(optimizer: Any) -> bool:
    return optimizer is not None and not isinstance(optimizer, (str, tuple))


def _check_optimizer(name: str, value: Any) -> None:
    if isinstance(value, str):
        if value not in OPTIMIZERS:
            raise unknown_name(name, value, OPTIMIZERS)
        return
    import keras

    if not isinstance(value, keras.optimizers.Optimizer):
        raise ConfigError(name, "a name or a keras.optimizers.Optimizer", value)


def _check_table_optimizer(name: str, value: Any) -> None:
    if value not in TABLE_OPTIMIZERS:
        raise unknown_name(name, value, TABLE_OPTIMIZERS)


def _check_sharpness(name: str, value: Any) -> None:
    if not isinstance(value, SharpnessAware):
        raise ConfigError(name, "a SharpnessAware, None, or a tuple of these", value)


def _check_loss_weights(name: str, value: Any) -> None:
    fits = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if fits:
        numbers = [_plain(weight) for weight in value.values()]
        fits = all(isinstance(w, (int, float)) and not isinstance(w, bool) and 0 <= w < math.inf for w in numbers)
    if not fits:
        raise ConfigError(name, "a dict {target: a number of 0 or more}", value)


def _number(allowed: str, holds: Callable[[float], bool], boolean: bool = False) -> Callable[[str, Any], None]:
    def check(name: str, value: Any) -> None:
        number = isinstance(value, (int, float)) and (boolean or not isinstance(value, bool))
        if not number or not math.isfinite(value) or not holds(value):
            raise ConfigError(name, allowed, value)

    return check


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "optimizer": _check_optimizer,
    "learning_rate": _number("a number above 0", lambda v: v > 0),
    "table_optimizer": _check_table_optimizer,
    "table_l2": _number("a number of 0 or more", lambda v: v >= 0),
    "table_decay": _number("a number of 0 or more", lambda v: v >= 0),
    "clip": _number("a number of 0 or more", lambda v: v >= 0),
    "plateau": _number("True, False or a factor from 0 to below 1", lambda v: v is True or 0 <= v < 1, boolean=True),
    "sharpness": _check_sharpness,
    "loss_weights": _check_loss_weights,
    "patience": _number("a whole number of 1 or more", lambda v: v >= 1 and v == int(v)),
}
