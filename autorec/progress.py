"""What a search shows while it runs: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console

_LISTED = 4  # trials that run at a time are told one by one up to so many


class ProgressPrinter:
    """Turns the events of a search into lines.

    In a terminal the line of what is going on is rewritten in place; elsewhere each finished step is one line.

    Args:
        stream: Where to write; standard error by default, so that standard output stays clean.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._status: Any = None
        self._shown = 0.0
        self._best = "none yet"
        self._done = 0
        self._doing: dict[int, str] = {}  # by the number of a trial that runs

    def __call__(self, event: Mapping[str, Any]) -> None:
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler is not None:
            handler(event)

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False)

    def _now(self, text: str) -> None:
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        if time.monotonic() - self._shown > 0.1:
            self._status.update(text)
            self._shown = time.monotonic()

    def _on_message(self, event: Mapping[str, Any]) -> None:
        self._done = event.get("done", self._done)
        self._note_best(event.get("best"))
        self._line(event["text"])

    def _on_encode(self, event: Mapping[str, Any]) -> None:
        of = f" of {event['of']:,}" if event.get("of") else ""
        self._now(f"encoding: {event['rows']:,}{of} rows")

    def _on_statistics(self, event: Mapping[str, Any]) -> None:
        self._now("target and count statistics")

    def _on_trees(self, event: Mapping[str, Any]) -> None:
        self._now("trees")

    def _on_encoded(self, event: Mapping[str, Any]) -> None:
        self._line(
            f"encoded {event['train']:,} training and {event['validation']:,} validation rows"
            f" in {event['seconds']:.1f} s"
        )

    def _on_trial_started(self, event: Mapping[str, Any]) -> None:
        self._now(self._running(event, "training"))

    def _on_epoch(self, event: Mapping[str, Any]) -> None:
        self._now(self._running(event, f"epoch {event['epoch']}"))

    def _running(self, event: Mapping[str, Any], doing: str) -> str:
        left = event.get("remaining")
        tail = "" if left is None else f", {max(left, 0):.0f} s left"
        self._doing[event["number"]] = doing
        return f"{self._trials()}; {self._done} done, best {self._best}{tail}"

    def _trials(self) -> str:
        if len(self._doing) > _LISTED:
            return f"{len(self._doing)} trials running"
        shown = [f"{number} ({what})" for number, what in sorted(self._doing.items())]
        if len(shown) > 1:
            return f"trials {', '.join(shown)} running"
        return "".join(f"trial {number} running ({what})" for number, what in self._doing.items())

    def _on_trial_finished(self, event: Mapping[str, Any]) -> None:
        self._done += 1
        self._doing.pop(event["number"], None)
        if event["status"] != "completed":
            self._line(f"trial {event['number']}: failed, {event.get('error', '')}".splitlines()[0])
            return
        self._note_best(event.get("best"))
        left = event.get("remaining")
        tail = "" if left is None else f", {max(left, 0):.0f} s left"
        self._line(
            f"trial {event['number']}: {event['score']:.5f} in {event['seconds']:.1f} s (best {self._best}{tail})"
        )

    def _note_best(self, best: float | None) -> None:
        if best is not None:
            self._best = f"{best:.5f}"

    def _on_baseline(self, event: Mapping[str, Any]) -> None:
        score = event.get("score")
        if score is None:
            self._line(f"baseline {event['name']}: failed, {event.get('error', '')}".splitlines()[0])
            return
        self._line(f"baseline {event['name']}: {score:.5f} in {event['seconds']:.1f} s")

    def _on_done(self, event: Mapping[str, Any]) -> None:
        self.close()
        self._line(event["text"])

    def close(self) -> None:
        """Ends the live line."""
        if self._status is not None:
            self._status.stop()
            self._status = None
