"""The check that the harnesses for blocks and searchers are made of."""

from __future__ import annotations


def expect(holds: object, fact: str) -> None:
    """Raises an AssertionError that states the fact, unless it holds; also under `python -O`, which drops `assert`."""
    if not holds:
        raise AssertionError(fact)
