"""The processes and devices that train one model together."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from autorec.errors import ConfigError
from autorec.training.strategies import get_strategy

_HEAD = 256  # bytes that are sent at once; longer values take a second message
_LENGTH = 8  # of them hold the length


class Workers:
    """The workers (processes) and replicas (devices) of a strategy; without one, this process alone.

    Every worker runs the same program. Sums over the replicas are equal on all of them bit for bit, and so are the
    weights. What depends on a clock or a machine is decided by the first worker, the chief, and sent to the others.

    Args:
        strategy: A `tf.distribute` strategy, or None.

    Example:
        >>> workers = get_workers("multi_worker")
        >>> workers.from_chief(time.monotonic() > deadline)  # the same on each worker
    """

    def __init__(self, strategy: Any = None) -> None:
        self.strategy = strategy
        self.replicas = 1 if strategy is None else int(strategy.num_replicas_in_sync)
        self.count, self.index = _task(strategy)
        self.local = self.replicas // self.count  # replicas of this worker
        self._sum: Any = None if self.count == 1 else _sum(strategy, self.local)

    @property
    def chief(self) -> bool:
        """Whether this worker is the one that decides and writes."""
        return self.index == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Returns the context within which a model is built and compiled."""
        return nullcontext() if self.strategy is None else self.strategy.scope()

    def from_chief(self, value: Any) -> Any:
        """Returns the chief's value on each worker; every worker has to call it at the same place.

        Args:
            value: JSON values; only the chief's matters.
        """
        if self.count == 1:
            return value
        content = json.dumps(value, default=_plain).encode() if self.chief else b""
        first = self._send(len(content).to_bytes(_LENGTH, "big") + content[: _HEAD - _LENGTH], _HEAD)
        length = int.from_bytes(first[:_LENGTH], "big")
        found = first[_LENGTH : _LENGTH + length]
        if length > len(found):
            found += self._send(content[_HEAD - _LENGTH :], length - len(found))
        return json.loads(found)

    def _send(self, content: bytes, length: int) -> bytes:
        numbers = np.zeros(length, np.int32)
        if self.chief:
            numbers[: len(content)] = np.frombuffer(content, np.uint8)
        return bytes(np.asarray(self._sum(numbers), np.uint8))

    def check_equal(self, name: str, value: Any) -> None:
        """Checks that all workers have the same value.

        Raises:
            ConfigError: On each worker, if one has another.
        """
        differs = self.from_chief(value) != json.loads(json.dumps(value, default=_plain))
        if self.count > 1 and int(self._sum(np.array([differs], np.int32))[0]):
            raise ConfigError(name, f"the same on all {self.count} workers", "values that differ")

    def check_batch_size(self, batch_size: int) -> None:
        """Checks that the replicas can share a batch.

        Raises:
            ConfigError: If they do not divide it.
        """
        if batch_size % self.replicas:
            raise ConfigError(
                "batch_size",
                f"a multiple of the {self.replicas} replicas of {type(self.strategy).__name__}",
                batch_size,
            )

    def round_up(self, batch_size: int) -> int:
        """Returns the smallest batch size from `batch_size` on that the replicas can share."""
        return -(-batch_size // self.replicas) * self.replicas


def get_workers(name: str | None) -> Workers:
    """Returns the workers of a strategy's name (see `strategies.STRATEGIES`), or for None this process alone."""
    return _workers(None if name is None else get_strategy(name))


_workers = cache(Workers)  # one of each strategy: its sum is compiled once


def _task(strategy: Any) -> tuple[int, int]:
    """Returns the number of workers and which of them this process is; 0 is the chief."""
    resolver: Any = getattr(strategy, "cluster_resolver", None)
    tasks = {} if resolver is None else resolver.cluster_spec().as_dict()
    workers = [(kind, index) for kind in ("chief", "worker") for index in range(len(tasks.get(kind, ())))]
    if len(workers) < 2:
        return 1, 0
    return len(workers), workers.index((resolver.task_type, resolver.task_id))


def _sum(strategy: Any, local: int) -> Any:
    """Returns a function that sums int32 numbers over the workers."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)
    def run(numbers: Any) -> Any:
        results = strategy.run(one, args=(numbers,))
        return strategy.experimental_local_results(results)[0]

    def one(numbers: Any) -> Any:
        context = tf.distribute.get_replica_context()
        first = tf.cast(tf.equal(context.replica_id_in_sync_group % local, 0), tf.int32)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, numbers * first)

    return run


def _plain(value: Any) -> Any:
    """Returns a NumPy scalar or array as JSON knows it."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"not a JSON value: {value!r}")
    return value.tolist()
