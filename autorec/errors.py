"""The errors AutoRec raises: what went wrong, where, what is allowed and what was received."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable


class AutoRecError(Exception):
    """Base class of every error that AutoRec raises on purpose."""


class DataError(AutoRecError, ValueError):
    """Data that cannot be used, with the place where it was found.

    Args:
        message: What is wrong, what is allowed and what was received.
        file: File or kind of object the data came from.
        row: Row number, counted from 0 in a table and from 1 in a text file's lines.
        column: Column name.
    """

    def __init__(
        self,
        message: str,
        *,
        file: object | None = None,
        row: int | None = None,
        column: str | None = None,
    ) -> None:
        self.message = message
        self.file = None if file is None else str(file)
        self.row = row
        self.column = column
        places = [
            f"{word} {value!r}" if isinstance(value, str) else f"{word} {value}"
            for word, value in (("file", self.file), ("row", row), ("column", column))
            if value is not None
        ]
        super().__init__(f"{', '.join(places)}: {message}" if places else message)


class ConfigError(AutoRecError, ValueError):
    """An argument that cannot be used.

    Args:
        argument: The argument's name as the user typed it.
        allowed: What is allowed, in words.
        received: What was received (shown with `repr`).
        hint: One more sentence, for example the nearest names.
    """

    def __init__(self, argument: str, allowed: str, received: object, hint: str = "") -> None:
        self.argument = argument
        self.allowed = allowed
        self.received = received
        text = f"`{argument}` must be {allowed}, got {received!r}."
        super().__init__(f"{text} {hint}" if hint else text)


class MissingExtraError(AutoRecError, ImportError):
    """A package of an optional extra is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(f"{purpose} needs the package {package!r}. Install it with: pip install 'autorec[{extra}]'.")


def require(package: str, extra: str, purpose: str) -> None:
    """Checks that a package of an optional extra is installed.

    Args:
        package: Name it is imported by.
        extra: The extra of AutoRec that brings it.
        purpose: What needs it, as the start of a sentence.

    Raises:
        MissingExtraError: If it is not; says how to install it.
    """
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(package, extra, purpose)


class TrialFailed(AutoRecError):
    """A trial that cannot give a score; it becomes a row of the leaderboard with its cause."""


class SearchAborted(AutoRecError):
    """A search that cannot go on; names the first cause."""


def nearest(word: object, allowed: Iterable[str]) -> str:
    """Returns the sentence ``Did you mean 'x'?`` for a mistyped name, or an empty string."""
    close = difflib.get_close_matches(str(word), list(allowed), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


def unknown_name(argument: str, received: object, allowed: Iterable[str]) -> ConfigError:
    """Returns the error for a name that is not one of `allowed`, with the nearest names."""
    names = list(allowed)
    return ConfigError(argument, f"one of {names}", received, nearest(received, names))
