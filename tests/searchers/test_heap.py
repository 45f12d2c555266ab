"""What was in memory before a search is not gone over again."""

from __future__ import annotations

import gc
import weakref

import pytest

from autorec.searchers.heap import settled_heap


class Node:
    """An object in a circle of its own."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_there_is_left_out_and_what_comes_is_collected() -> None:
    before = Node()
    with settled_heap():
        assert not any(item is before for item in gc.get_objects())
        circle = weakref.ref(Node())
        gc.collect()
        assert circle() is None
    assert any(item is before for item in gc.get_objects())


def test_what_was_garbage_before_goes_first() -> None:
    gc.disable()
    circle = weakref.ref(Node())
    with settled_heap():
        assert circle() is None
    gc.enable()


def test_it_ends_with_an_error_too_and_leaves_what_another_froze() -> None:
    with pytest.raises(ZeroDivisionError), settled_heap():
        raise ZeroDivisionError
    assert gc.get_freeze_count() < 10_000
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with settled_heap():
            pass
        assert gc.get_freeze_count() >= frozen > 10_000
    finally:
        gc.unfreeze()
