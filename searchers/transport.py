"""What a process needs to train trials, on its way there: a user's space and callbacks as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cloudpickle
import keras

from autorec.errors import ConfigError, SearchAborted

_ADVICE = (
    "A function or class of the script or notebook itself travels with all that it uses; one of another module is "
    "imported anew, so that module has to be where Python finds it. Put it there, or leave out `workers`."
)


def pack(what: Any, names: tuple[str, ...] = ()) -> bytes:
    """Returns an object as bytes for another process of the same program; nothing of this is kept on disk.

    Functions and classes of `__main__`, lambdas too, are sent by what they are, all others by their names. Layers of
    `__main__` that Keras knows by name are known there too.

    Args:
        what: The object.
        names: Attributes of it that come from the user, one of which is named if it is the one that cannot be sent.

    Raises:
        ConfigError: If it holds something that cannot be sent.
    """
    try:
        return cloudpickle.dumps((what, _own_layers()))
    except Exception as error:
        culprit = next((name for name in names if not _can_be_sent(getattr(what, name))), "space")
        raise ConfigError(
            culprit,
            "something that can be sent to another process where `workers` or `executor` is given",
            getattr(what, culprit, what),
            f"It holds what cannot be: {type(error).__name__}: {error}. Make that inside of its functions.",
        ) from error


def unpack(content: bytes) -> Any:
    """Returns what `pack` packed."""
    what, layers = cloudpickle.loads(content)
    for name, layer in layers.items():
        package, _, own = name.rpartition(">")
        keras.saving.register_keras_serializable(package or "Custom", own)(layer)
    return what


def cannot_load(cause: str) -> SearchAborted:
    """Returns the error of a search whose processes cannot load what they were sent."""
    return SearchAborted(f"the processes that train trials cannot load the space or the callbacks: {cause}. {_ADVICE}")


def _own_layers() -> dict[str, Callable[..., Any]]:
    known = keras.saving.get_custom_objects()
    return {name: layer for name, layer in known.items() if getattr(layer, "__module__", None) == "__main__"}


def _can_be_sent(what: Any) -> bool:
    try:
        cloudpickle.dumps(what)
    except Exception:
        return False
    return True
