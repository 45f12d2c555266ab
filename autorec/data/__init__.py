"""Data: from a table on disk or in memory to batches of encoded rows.

The public names load on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "Feature": "autorec.data.schema",
    "LongTarget": "autorec.data.long_target",
    "Schema": "autorec.data.schema",
    "avazu": "autorec.data.loaders",
    "click_log": "autorec.data.demo",
    "criteo": "autorec.data.loaders",
    "frappe": "autorec.data.loaders",
    "movielens_100k": "autorec.data.loaders",
    "movielens_1m": "autorec.data.loaders",
}
__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'autorec.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
