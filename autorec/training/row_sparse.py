"""An optimizer whose step costs what the batch's rows cost, however large the tables are."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any

import keras
import tensorflow as tf

from autorec.errors import ConfigError, unknown_name
from autorec.training.rows import DenseRows, SparseRows, update_rows

RULES = ("adam", "adagrad", "rowwise_adagrad")
# Adagrad's steps shrink as 1/sqrt(n) from the rate on; ten times Adam's lets rare rows get as far.
_SCALES = {"adam": 1.0, "adagrad": 10.0, "rowwise_adagrad": 10.0}
_SLOTS = {"adam": ("momentum", "velocity"), "adagrad": ("accumulator",), "rowwise_adagrad": ("accumulator",)}

_NOT_BELOW_0 = ("a number of 0 or more", lambda value: value >= 0)
_POSITIVE = ("a number above 0", lambda value: value > 0)
_DECAY = ("a number from 0 to below 1", lambda value: 0 <= value < 1)
_NUMBERS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "table_l2": _NOT_BELOW_0,
    "table_decay": _NOT_BELOW_0,
    "table_scale": _POSITIVE,
    "beta_1": _DECAY,
    "beta_2": _DECAY,
    "epsilon": _POSITIVE,
}


@keras.saving.register_keras_serializable(package="autorec")
class RowSparse(keras.optimizers.Optimizer):
    """Updates embedding tables by a rule that touches only the rows in the batch, all else by a Keras optimizer.

    Keras's own optimizers read and write every row of a table and of its moments at each step. Here, with `g` the sum
    of a row's gradients over the batch plus `table_l2` times the row, and `rate` the learning rate times
    `table_scale`, the rows of the batch change by

    - `adam` (lazy Adam): `m += (1 - b1)(g - m)`, `v += (1 - b2)(g^2 - v)`,
      `row -= rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)`, `t` counting all steps;
    - `adagrad`: `a += g^2`, `row -= rate g / (sqrt(a) + epsilon)`, element by element;
    - `rowwise_adagrad`: the same with one `a` a row, which adds the mean of `g^2` over the row;

    and, under each rule, by `-rate table_decay row` as the row was. Other rows and their moments stay as they are, so
    that a row that is in every batch moves as under the usual rule and a rare one does not drift on between its
    batches. Tables are the variables that `autorec.blocks.tables.add_table` made; there may be none. The learning rate
    is that of `optimizer`, a schedule too; clipping and weight decay set on `optimizer` act on the dense part alone. A
    gradient that arrives dense, as an embeddings regularizer makes it, touches the rows in which it is not 0. A large
    table is not for `jit_compile=True`, which Keras's default, `"auto"`, is on a GPU.

    Args:
        optimizer: Of the dense part: a Keras optimizer or its name.
        rule: Of the tables: `"adam"`, `"adagrad"` or `"rowwise_adagrad"`.
        table_l2: Weight of the lazy L2, 0 or more: `table_l2 / 2` times the squared norm of each of the batch's rows
            is added to the loss, once a batch.
        table_decay: Lazy decoupled weight decay, 0 or more: the rows of the batch shrink by `rate table_decay` of
            themselves, once a batch and past the moments.
        table_scale: Positive factor of the tables' learning rate; None is 1 for `adam` and 10 for the others.
        beta_1: Decay `b1` of the first moment, in [0, 1).
        beta_2: Decay `b2` of the second moment, in [0, 1).
        epsilon: Positive number beside the root.

    Raises:
        ConfigError: If a value is not allowed, or `optimizer` is not Keras's, averages weights, accumulates gradients
            or scales losses; in the first step, if XLA is to compile that of a large table.

    Example:
        >>> model.compile(optimizer=RowSparse("adam", table_l2=1e-6), loss=loss, jit_compile=False)

    Source: Duchi, Hazan, Singer, Adaptive Subgradient Methods, JMLR 2011; Kingma, Ba, Adam, ICLR 2015; row-wise
    Adagrad as in Naumov et al., Deep Learning Recommendation Model, 2019; Loshchilov, Hutter, Decoupled Weight Decay
    Regularization, ICLR 2019.
    """

    def __init__(
        self,
        optimizer: Any = "adam",
        rule: str = "adam",
        table_l2: float = 0.0,
        table_decay: float = 0.0,
        table_scale: float | None = None,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str = "row_sparse",
    ) -> None:
        if rule not in RULES:
            raise unknown_name("rule", rule, RULES)
        _check(table_l2=table_l2, table_decay=table_decay, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
        if table_scale is not None:
            _check(table_scale=table_scale)
        inner = _inner(optimizer)
        super().__init__(learning_rate=lambda: inner.learning_rate, name=name)
        self.inner = inner
        self.rule = rule
        self.table_l2 = float(table_l2)
        self.table_decay = float(table_decay)
        self.table_scale = _SCALES[rule] if table_scale is None else float(table_scale)
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)
        self._slots: dict[int, list[Any]] = {}

    @property
    def learning_rate(self) -> Any:
        """The learning rate of both parts; setting it moves both."""
        return self.inner.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner.learning_rate = value

    @property
    def variables(self) -> list[Any]:
        """State of both parts."""
        return [*self._variables, *self.inner.variables]

    def build(self, variables: Any) -> None:
        """Makes the tables' moments, and those of the inner optimizer for all else."""
        if self.built:
            return
        super().build(variables)
        slots = {}
        for index, variable in enumerate(variables):
            if is_table(variable):
                slots[index] = [self._add_slot(variable, slot) for slot in _SLOTS[self.rule]]
        self._slots = slots
        self.inner.build([variable for index, variable in enumerate(variables) if index not in slots])
        if not tf.distribute.has_strategy():
            # Keras goes through a merge of replicas also where there is one; of a nested optimizer that keeps each
            # traced graph for ever.
            self.inner.__dict__["_backend_update_step"] = partial(_update_each, self.inner)

    def _add_slot(self, table: Any, name: str) -> Any:
        if self.rule != "rowwise_adagrad":
            return self.add_variable_from_reference(table, name=name)
        return self.add_variable((table.shape[0], 1), dtype=table.dtype, name=f"{table.path.replace('/', '_')}_{name}")

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        pairs: dict[bool, list[tuple[Any, Any]]] = {True: [], False: []}
        for gradient, variable in zip(grads, trainable_variables):
            pairs[self._get_variable_index(variable) in self._slots].append((gradient, variable))
        if pairs[True]:
            super()._backend_update_step(*zip(*pairs[True]), learning_rate)
        if pairs[False]:
            self.inner.apply(*zip(*pairs[False]))
        else:
            self.inner.iterations.assign_add(1)  # its schedule goes on

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a table's rows in the batch."""
        update_rows(variable, gradient, lambda rows: self._update_rows(rows, variable, learning_rate))

    def _update_rows(self, rows: SparseRows | DenseRows, variable: Any, learning_rate: Any) -> None:
        slots = [slot.value for slot in self._slots[self._get_variable_index(variable)]]
        old = rows.read(variable)
        summed = rows.gradient
        if self.table_l2:
            summed += self.table_l2 * old
        rate = tf.cast(learning_rate, variable.dtype) * self.table_scale
        rule = self._adam if self.rule == "adam" else self._adagrad
        step, factor = rule(rows, summed, slots)
        if self.table_decay:
            step += self.table_decay / factor * old
        rows.add(variable, old, step, -rate * factor)

    def _adam(self, rows: SparseRows | DenseRows, gradient: Any, slots: list[Any]) -> tuple[Any, Any]:
        moments = []
        for slot, target, decay in zip(slots, (gradient, tf.square(gradient)), (self.beta_1, self.beta_2)):
            old = rows.read(slot)
            moments.append(rows.add(slot, old, target - old, 1.0 - decay))
        count = tf.cast(self.iterations.value + 1, gradient.dtype)
        factor = tf.sqrt(1.0 - self.beta_2**count) / (1.0 - self.beta_1**count)
        return moments[0] / (tf.sqrt(moments[1]) + self.epsilon), factor

    def _adagrad(self, rows: SparseRows | DenseRows, gradient: Any, slots: list[Any]) -> tuple[Any, Any]:
        square = tf.square(gradient)
        if self.rule == "rowwise_adagrad":
            square = tf.reduce_mean(square, axis=1, keepdims=True)
        accumulated = rows.add(slots[0], rows.read(slots[0]), square, 1.0)
        return gradient / (tf.sqrt(accumulated) + self.epsilon), 1.0

    def save_own_variables(self, store: Any) -> None:
        """Saves the tables' part; Keras saves the inner optimizer beside it."""
        for index, variable in enumerate(self._variables):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Loads what `save_own_variables` saved."""
        if len(store.keys()) != len(self._variables):
            raise ConfigError("optimizer", f"built for {len(store.keys())} variables as saved", len(self._variables))
        for index, variable in enumerate(self._variables):
            variable.assign(store[str(index)])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "optimizer": keras.optimizers.serialize(self.inner),
            "rule": self.rule,
            "table_l2": self.table_l2,
            "table_decay": self.table_decay,
            "table_scale": self.table_scale,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "name": self.name,
        }


def _update_each(optimizer: Any, grads: Any, variables: Any, learning_rate: Any) -> None:
    """Updates variables one by one."""
    for gradient, variable in zip(grads, variables):
        inside = variable.value if isinstance(variable, keras.Variable) else variable
        optimizer.update_step(gradient, inside, learning_rate)


def is_table(variable: Any) -> bool:
    """Returns whether a Keras variable is an embedding table."""
    return bool(getattr(variable, "is_table", False))


def check_inner(optimizer: Any) -> None:
    """Checks that a Keras optimizer can have the dense part beside tables with a rule of their own.

    Raises:
        ConfigError: If it cannot.
    """
    if isinstance(optimizer, (RowSparse, keras.optimizers.LossScaleOptimizer)):
        raise ConfigError("optimizer", "an optimizer that wraps no other", type(optimizer).__name__)
    for name in ("use_ema", "gradient_accumulation_steps", "loss_scale_factor"):
        value = getattr(optimizer, name)
        if value:
            hint = "" if name == "use_ema" else "`TrainOptions(table_optimizer='dense')` takes it."
            raise ConfigError(f"optimizer.{name}", "left out where tables have a rule of their own", value, hint)


def _check(**numbers: Any) -> None:
    for name, value in numbers.items():
        allowed, holds = _NUMBERS[name]
        if isinstance(value, bool) or not isinstance(value, Real) or not (math.isfinite(value) and holds(value)):
            raise ConfigError(name, allowed, value)


def _inner(optimizer: Any) -> Any:
    """Returns the Keras optimizer of the dense part."""
    try:
        inner = keras.optimizers.get(optimizer)
    except (ValueError, TypeError) as error:
        raise ConfigError("optimizer", "a name or a keras.optimizers.Optimizer", optimizer) from error
    check_inner(inner)
    return inner
