"""Processes that take turns: each waits until it is told to run, so that no two of them are measured at a time.

Needs the standard library alone: peers run in environments of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Worker:
    """A process that answers one JSON line to each JSON line, and waits in between.

    Args:
        python: The interpreter.
        module: Module that ends in `serve`.
        **settings: What the module is started with.

    Raises:
        RuntimeError: If the process ends without an answer; its own message is on the standard error.
    """

    def __init__(self, python: str | Path, module: str, **settings: Any) -> None:
        self.name = json.dumps(settings)
        self._process = subprocess.Popen(
            [str(python), "-m", module, self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.ready = self._answer()

    def ask(self, **message: Any) -> dict[str, Any]:
        """Sends a message and returns the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends the process and waits until its memory is free."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended with status {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


def serve(prepare: Callable[..., tuple[Mapping[str, Any], Callable[..., Mapping[str, Any]]]]) -> None:
    """Answers the lines of the standard input until it ends: the other side of a `Worker`.

    Args:
        prepare: Takes the settings; returns the first answer and the function that answers messages.
    """
    answers = os.fdopen(os.dup(1), "w")  # what libraries print on the standard output is no answer
    os.dup2(2, 1)

    def say(answer: Mapping[str, Any]) -> None:
        answers.write(json.dumps(dict(answer)) + "\n")
        answers.flush()

    first, answer = prepare(**json.loads(sys.argv[1]))
    say(first)
    for line in sys.stdin:
        say(answer(**json.loads(line)))
    os._exit(0)  # not through the libraries' own ends, which take seconds


def in_turn(workers: Mapping[str, Worker], rounds: int, **message: Any) -> dict[str, list[float]]:
    """Asks all workers one after the other, `rounds` times; returns the `seconds` of each."""
    found: dict[str, list[float]] = {name: [] for name in workers}
    for number in range(rounds):
        # Each second round runs backwards: what lasts through a round then hits no worker more than another.
        for name in list(workers)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(workers[name].ask(**message)["seconds"])
    return found
