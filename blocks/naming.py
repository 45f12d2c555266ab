"""Names of hyperparameters: a prefix for each block of a build, counted afresh in each."""

from __future__ import annotations

import re
from typing import Any
from weakref import WeakKeyDictionary

_COUNTS: WeakKeyDictionary[Any, dict[str, int]] = WeakKeyDictionary()


def snake_case(name: str) -> str:
    """Returns `CrossNetwork` as `cross_network`, `MLP` as `mlp`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def new_build(hp: Any) -> None:
    """Begins a build: the next prefixes given out for `hp` have no number again."""
    _COUNTS[hp] = {}


def prefix(hp: Any, base: str) -> str:
    """Returns `base`, then `base_1`, `base_2`, ... for repeats within a build on `hp`."""
    counts = _COUNTS.setdefault(hp, {})
    number = counts.get(base, 0)
    counts[base] = number + 1
    return f"{base}_{number}" if number else base
