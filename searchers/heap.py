"""What was in memory before a search, kept out of its garbage collections."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_SOME = 10_000  # objects; newer versions of Python keep a few out by themselves


@contextmanager
def settled_heap() -> Iterator[None]:
    """Keeps the objects that are there now out of garbage collections within.

    Each trial ends in a collection, which frees its model. It goes over all objects there are, and TensorFlow and Keras
    alone have 400,000 of them: a quarter of a second, as long as a small model trains. Nothing that is there when a
    search begins can become a trial's garbage.

    Where something is kept out already, as servers do before they fork, nothing is changed.
    """
    if gc.get_freeze_count() > _SOME:
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
