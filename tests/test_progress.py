"""What a search shows: plain lines, and a live line in a terminal."""

from __future__ import annotations

import io

import pytest

from autorec.progress import ProgressPrinter

EVENTS = [
    {"event": "message", "text": "going on in runs/a: 3 trials are done", "done": 3, "best": 0.7},
    {"event": "encode", "rows": 1000, "of": 2000},
    {"event": "encoded", "train": 1800, "validation": 200, "seconds": 0.25},
    {"event": "baseline", "name": "prior", "score": 0.5, "seconds": 0.01},
    {"event": "baseline", "name": "lightgbm", "score": None, "seconds": 0.0, "error": "no time was left"},
    {"event": "trial_started", "number": 3, "values": {}, "remaining": 60.4},
    {"event": "epoch", "number": 3, "epoch": 2, "remaining": 50.0},
    {
        "event": "trial_finished",
        "number": 3,
        "status": "completed",
        "score": 0.75,
        "seconds": 9.0,
        "best": 0.75,
        "remaining": 40.0,
    },
    {"event": "trial_finished", "number": 4, "status": "failed", "error": "ValueError: [x]\nmore", "seconds": 1.0},
    {"event": "of_a_later_version"},
    {"event": "done", "text": "all trials are done"},
]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, *events: dict[str, object]) -> str:
    printer = ProgressPrinter(stream)
    for event in events or EVENTS:
        printer(event)
    return stream.getvalue()


def test_elsewhere_than_in_a_terminal_each_step_is_one_plain_line() -> None:
    assert shown(io.StringIO()).splitlines() == [
        "going on in runs/a: 3 trials are done",
        "encoded 1,800 training and 200 validation rows in 0.2 s",
        "baseline prior: 0.50000 in 0.0 s",
        "baseline lightgbm: failed, no time was left",
        "trial 3: 0.75000 in 9.0 s (best 0.75000, 40 s left)",
        "trial 4: failed, ValueError: [x]",
        "all trials are done",
    ]


def test_a_terminal_shows_what_runs_what_is_done_the_best_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    text = shown(Terminal(), EVENTS[0], EVENTS[5], EVENTS[-1])
    assert "trial 3 running (training); 3 done, best 0.70000, 60 s left" in text


def test_a_terminal_gets_its_cursor_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    printer = ProgressPrinter(stream)
    printer(EVENTS[5])
    printer.close()
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


@pytest.mark.parametrize(
    ("count", "text"),
    [(2, "trials 0 (training), 1 (epoch 3) running; 0 done"), (5, "5 trials running; 0 done")],
)
def test_trials_that_run_at_the_same_time_are_told_together(count: int, text: str) -> None:
    printer = ProgressPrinter(io.StringIO())
    for number in range(count):
        printer._running({"number": number}, "training")
    assert printer._running({"number": 1}, "epoch 3").startswith(text)


def test_a_trial_that_ended_is_no_longer_told() -> None:
    printer = ProgressPrinter(io.StringIO())
    for number in range(2):
        printer._running({"number": number}, "training")
    printer({"event": "trial_finished", "number": 0, "status": "failed", "error": "x", "seconds": 1.0})
    assert printer._running({"number": 1}, "epoch 2").startswith("trial 1 running (epoch 2); 1 done")
