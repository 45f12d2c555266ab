"""Names of the `tf.distribute` strategies that models are trained under, and the one strategy object of each name."""

from __future__ import annotations

from typing import Any

from autorec.errors import ConfigError, unknown_name

# A strategy is named in a configuration, which is JSON; its object belongs to the process.
STRATEGIES = {"mirrored": "MirroredStrategy", "multi_worker": "MultiWorkerMirroredStrategy"}
_ALLOWED = f"None, {', '.join(repr(name) for name in STRATEGIES)} or an object of {' or '.join(STRATEGIES.values())}"
_objects: dict[str, Any] = {}


def strategy_name(value: Any) -> str:
    """Returns the name of a strategy; an object is kept as the one of its name, from here on.

    Args:
        value: A name, or a `tf.distribute` strategy.

    Raises:
        ConfigError: If it is neither, or another kind of strategy.
    """
    if isinstance(value, str):
        if value not in STRATEGIES:
            raise unknown_name("strategy", value, STRATEGIES)
        return value
    import tensorflow as tf

    for name, kind in STRATEGIES.items():
        if isinstance(value, getattr(tf.distribute, kind)):
            _objects[name] = value
            return name
    received = type(value).__name__ if isinstance(value, tf.distribute.Strategy) else value
    raise ConfigError("strategy", _ALLOWED, received)


def get_strategy(name: str) -> Any:
    """Returns the strategy object of a name: the one that was given to `TrainOptions`, else a new one of all devices.

    Raises:
        ConfigError: If several workers are asked for when TensorFlow has computed already.
    """
    if name not in _objects:
        import tensorflow as tf

        try:
            _objects[name] = getattr(tf.distribute, STRATEGIES[name])()
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                "strategy",
                "a strategy made before anything else is computed",
                name,
                f"Make it at the start of the program: {error}",
            ) from error
    return _objects[name]
