"""Searches killed at random moments and gone on with: is the result the undisturbed one, was anything trained twice?"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import Cells, arguments, finish

METHOD = 1
KILLS = 20
ROWS, TRIALS, EPOCHS = 20_000, 8, 2


def work(directory: Path) -> None:
    """Runs (or resumes) the search; writes a line to `trained.log` at the start of each training."""
    from autorec.data.demo import click_log
    from autorec.recommender import CTRRecommender

    def listen(event: dict[str, Any]) -> None:
        if event["event"] == "trial_started":
            with (directory / "trained.log").open("a") as file:
                file.write(f"{event['number']}\n")

    recommender = CTRRecommender(space="deepfm", directory=directory / "run")
    recommender.search(
        click_log(rows=ROWS), target="click", searcher="greedy", max_trials=TRIALS, epochs=EPOCHS, progress=listen
    )


def start(directory: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.resume", "--work", str(directory)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def leaderboard(directory: Path) -> list[dict[str, Any]]:
    from autorec.run import Run

    rows = Run(directory / "run", read_only=True).leaderboard()
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def finished(directory: Path) -> set[int]:
    """Returns the numbers of the trials whose end is in the journal, as a process that resumes would see them."""
    from autorec.run import Run

    if not (directory / "run" / "journal.jsonl").exists():
        return set()
    return {row["number"] for row in Run(directory / "run", read_only=True).trials()}


def trained(directory: Path) -> list[int]:
    path = directory / "trained.log"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def disturbed(folder: Path, moment: float, expected: list[dict[str, Any]]) -> dict[str, Any]:
    process = start(folder)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done, before = finished(folder), len(trained(folder))
    if start(folder).wait() != 0:
        raise RuntimeError(f"the resumed search in {folder} failed")
    again = trained(folder)[before:]
    return {
        "moment": moment,
        "finished_before": len(done),
        "equal": leaderboard(folder) == expected,
        "retrained": sum(number in done for number in again),
    }


def main() -> None:
    options = arguments(__doc__ or "", work={"default": None, "help": "directory (for the benchmark itself)"})
    if options.work:
        work(Path(options.work))
        return
    cells = Cells("resume", METHOD, options.quick)
    kills = 2 if options.quick else KILLS
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "whole").mkdir()
        begin = time.perf_counter()
        if start(root / "whole").wait() != 0:
            raise RuntimeError("the undisturbed search failed")
        length, expected = time.perf_counter() - begin, leaderboard(root / "whole")
        found = []
        for kill in range(kills):
            moment = random.Random(kill).uniform(0.3, 1.0) * length
            (root / f"kill{kill}").mkdir()
            found.append(
                cells.get({"kill": kill}, 0, lambda kill=kill, at=moment: disturbed(root / f"kill{kill}", at, expected))
            )
    print(json.dumps(found, indent=1))
    figures = {
        "equal_of_20": round(sum(row["equal"] for row in found) * KILLS / kills),
        "retrained_finished_trials": sum(row["retrained"] for row in found),
        "trials_finished_before_the_kills": sum(row["finished_before"] for row in found),
    }
    finish("resume", figures, options.quick, kills=kills)


if __name__ == "__main__":
    main()
