"""The run directory: one search on disk, its journal, its leaderboard, its model files."""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Self

from autorec.errors import ConfigError, DataError
from autorec.files import absolute, write_json

FOREST = "forest"  # name of the baseline that is a model too
_LISTED = ("number", "name", "kind", "status", "score", "mean_score", "seeds", "parent", "fidelity", "cut", "error")


class Run:
    """A directory that holds one search.

    ===========================  ==========================================================================
    file                         content
    ===========================  ==========================================================================
    `config.json`                what was asked for; written aside and renamed
    `journal.jsonl`              what happened, one JSON object a line, only ever appended to
    `trials/0007/`               model files of trial 7, kept for the best trials only
    `lock`                       held by the process that writes; contains its id
    ===========================  ==========================================================================

    Every line of the journal is on disk before `append` returns. A last line cut short by a kill is dropped when the
    run is opened again. Events named here: `search` (objective, direction, seed, searcher, space), `started` and
    `finished` (one each a trial; with `parent` one that repeats another's values), `finals` (numbers of the trials that
    are trained over several seeds), `baseline`, `ensemble`, `refit` and `calibration`; others are kept and ignored.

    Args:
        directory: Made if it is not there.
        read_only: Read without the lock, also while another process writes; nothing is changed on disk.

    Attributes:
        keep_seeds: Whether `retain` keeps all trainings of the best values, not only the best one. False at first.

    Raises:
        ConfigError: If another process holds the run, or it is not there and `read_only`.
        DataError: If a line of the journal other than the last cannot be read.

    Example:
        >>> with Run("runs/clicks") as run:
        ...     run.append({"event": "started", "number": 0, "values": {"dim": 8}, "seed": 1})
        ...     run.append({"event": "finished", "number": 0, "status": "completed", "score": 0.7})
        ...     run.best["number"]
        0
    """

    def __init__(self, directory: str | Path, *, read_only: bool = False) -> None:
        self.directory = absolute(directory)
        self.read_only = read_only
        self.keep_seeds = False
        self._lock: IO[str] | None = None
        self._rows: list[dict[str, Any]] | None = None  # what `trials` returns, until the next event
        if read_only:
            if not self.journal.exists():
                raise ConfigError("directory", "a run directory", str(directory), "It holds no journal.jsonl.")
        else:
            self._make()
        try:
            self._events = self._read()
        except BaseException:
            self.close()
            raise

    @property
    def journal(self) -> Path:
        """Path of the journal."""
        return self.directory / "journal.jsonl"

    def _make(self) -> None:
        if self.directory.exists() and not self.directory.is_dir():
            raise ConfigError("directory", "a directory, or a path where one can be made", str(self.directory))
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
            self.journal.touch()
        except OSError as error:
            raise ConfigError(
                "directory", "a directory that can be written to", str(self.directory), f"{error.strerror}."
            ) from error

    def _take_lock(self) -> IO[str]:
        file = (self.directory / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise ConfigError(
                "directory",
                "a run directory that no other process uses",
                str(self.directory),
                f"Process {holder} holds it.",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return file

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Journal

    def _read(self) -> list[dict[str, Any]]:
        content = self.journal.read_bytes()
        lines = content.split(b"\n")
        events, end = [], 0
        for number, line in enumerate(lines[:-1], start=1):
            try:
                event = json.loads(line)
            except ValueError as error:
                if number < len(lines) - 1:
                    raise DataError(f"not a JSON object, got {line[:80]!r}", file=self.journal, row=number) from error
                break
            events.append(event)
            end += len(line) + 1
        if end < len(content) and not self.read_only:
            os.truncate(self.journal, end)
        return events

    def append(self, event: Mapping[str, Any]) -> None:
        """Adds an event to the journal; it is on disk when this returns.

        Args:
            event: JSON values; NumPy scalars become plain ones, NaN and infinity become None.

        Raises:
            ConfigError: If the run is not open for writing.
            DataError: If it cannot be written, such as on a full disk; the journal stays as it was.
        """
        if self._lock is None:
            raise ConfigError("directory", "a run that is open for writing", str(self.directory))
        plain = _plain(event)
        line = json.dumps(plain, allow_nan=False).encode() + b"\n"
        size = self.journal.stat().st_size
        try:
            with self.journal.open("ab", buffering=0) as file:
                if file.write(line) != len(line):
                    raise OSError("only a part could be written: is the disk full?")
                os.fsync(file.fileno())
        except OSError as error:
            os.truncate(self.journal, size)
            raise DataError(f"the journal cannot be written: {error}", file=self.journal) from error
        self._events.append(plain)
        self._rows = None

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Returns the events in order, all or those called `names`."""
        return [event for event in self._events if not names or event["event"] in names]

    # Configuration

    @property
    def config(self) -> dict[str, Any] | None:
        """The configuration written with `write_config`, or None."""
        path = self.directory / "config.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Writes `config.json`, aside first, so that it is whole at any time."""
        write_json(self.directory / "config.json", _plain(config))

    def check_same(self, key: str, value: object) -> None:
        """Checks that the run's configuration has this value, if it has the key at all.

        Raises:
            ConfigError: If the run was made with another value.
        """
        config = self.config or {}
        if key in config and config[key] != _plain(value):
            raise ConfigError(key, f"{config[key]!r} as in the run {self.directory}", value, "Use another directory.")

    # Trials

    def trials(self) -> list[dict[str, Any]]:
        """Returns one dict for each finished trial, in order of their numbers.

        Keys: number, kind (`trial`), status (`completed` or `failed`), score, metrics, values, fidelity (empty when
        full), seed, best_epoch, epochs, history, seconds, parameters, cut, error, traceback, and

        - parent: number of the trial whose values it takes, None for one of the searcher's own;
        - mean_score, seeds: the mean score of all completed trainings of these values at this fidelity, and their
          number. Trainings that a deadline cut count only where there are no others.
        """
        if self._rows is None:
            started = {event["number"]: event for event in self.events("started")}
            rows = {}
            for event in self.events("finished"):
                row = _row("trial", {**started.get(event["number"], {}), **event})
                rows[row["number"]] = row
            self._rows = _with_means([rows[number] for number in sorted(rows)])
        return [dict(row) for row in self._rows]

    def pending(self) -> list[dict[str, Any]]:
        """Returns the `started` events of trials that never finished."""
        done = {event["number"] for event in self.events("finished")}
        return [event for event in self.events("started") if event["number"] not in done]

    def baselines(self) -> list[dict[str, Any]]:
        """Returns one dict for each baseline, the last one of a name; keys as in `trials`, and name."""
        return list({event["name"]: _row("baseline", event) for event in self.events("baseline")}.values())

    @property
    def ensemble(self) -> dict[str, Any] | None:
        """The row of the ensemble that is the run's model, or None: the last one, if nothing was trained behind it."""
        last = self.events("ensemble", "finished")[-1:]
        return _row("ensemble", last[0]) if last and last[0]["event"] == "ensemble" else None

    @property
    def model_id(self) -> dict[str, Any] | None:
        """What the run's model is: `{"ensemble": its folder}` or `{"trial": number of the best}`; None without one.

        Where it was refitted also `"refit": True`.
        """
        of = self._chosen
        return of if self.refit is None else {**(of or {}), "refit": True}

    @property
    def _chosen(self) -> dict[str, Any] | None:
        """What is chosen by validation: the ensemble or the best trial, refitted or not."""
        if self.ensemble is not None:
            return {"ensemble": self.ensemble["folder"]}
        return None if self.best is None else {"trial": self.best["number"]}

    @property
    def refit(self) -> dict[str, Any] | None:
        """The event of the refit of what is the run's model, or None."""
        last, chosen = self.events("refit")[-1:], self._chosen
        return dict(last[0]) if last and chosen is not None and last[0].get("of") == chosen else None

    @property
    def calibration(self) -> dict[str, Any] | None:
        """The event of the calibration that was made last, if it is of the run's model and was not taken away."""
        last = self.events("calibration")[-1:]
        if not last or last[0]["method"] is None or last[0]["of"] != self.model_id:
            return None
        return dict(last[0])

    @property
    def direction(self) -> str:
        """`max` or `min`: which scores are better."""
        found = [event["direction"] for event in self.events("search") if "direction" in event]
        return found[-1] if found else "max"

    def leaderboard(self, direction: str | None = None) -> list[dict[str, Any]]:
        """Returns the trials, the baselines and the ensemble, best first.

        Rows trained at full fidelity come first, with the baselines among them; rows of each smaller fidelity follow
        as a group of their own, and failed rows with their cause come last. The ensemble that is the run's model stands
        among the first like a baseline. Within a group, values that were trained over several seeds are one entry: they
        stand by their mean score, and the training with the best score of them has the `rank` and stands first. Values
        that were in the finals stand before others, whose one score may be luck. Only trials of the first group that
        has any have a `rank`. Rows are those of `trials` without history and traceback.

        Args:
            direction: `max` or `min`; None takes the search's.
        """
        sign = -1.0 if (direction or self.direction) == "max" else 1.0
        trials = self.trials()
        finals = self._finals(trials)
        entries = _configurations(trials, sign)
        entries.sort(key=lambda rows: (*_group(rows[0], finals), sign * rows[0]["mean_score"]))
        first = entries[0][0]["fidelity"] if entries else None
        board = []
        for rank, rows in enumerate(entries, start=1):
            short = [_short(row) for row in rows]
            short[0]["rank"] = rank if short[0]["fidelity"] == first else None
            board += short
        rest = [_short(row) for row in (*trials, *self.baselines()) if row["status"] != "completed"]
        return self._with_baselines(board, sign) + rest

    def _finals(self, trials: Iterable[Mapping[str, Any]]) -> set[int]:
        """Returns the numbers of the trials that are or were in the finals.

        Those were trained again in full; what is trained again because an ensemble leans on it need not be good alone,
        and no event names it.
        """
        events = self.events("finals")
        named = {number for event in events for number in event["numbers"]}
        full = [row for row in trials if not row["fidelity"]]
        own = {row["number"] for row in full if row["parent"] is None}
        again = {row["parent"] for row in full if row["parent"] is not None}
        return {*(events[-1]["numbers"] if events else ()), *(again & named), *(again - own)}

    def _with_baselines(self, board: list[dict[str, Any]], sign: float) -> list[dict[str, Any]]:
        """Puts each baseline before the first ranked row of full fidelity that it is better than."""
        made = [] if self.ensemble is None else [self.ensemble]
        done = [_short(row) for row in (*self.baselines(), *made) if row["status"] == "completed"]
        done = [row for row in done if row["score"] is not None]
        for baseline in sorted(done, key=lambda row: sign * row["score"]):
            ranked = [place for place, row in enumerate(board) if row["rank"] is not None and not row["fidelity"]]
            worse = (place for place in ranked if sign * board[place]["mean_score"] > sign * baseline["score"])
            full = sum(not row["fidelity"] for row in board)
            board.insert(next(worse, full), baseline)
        return board

    @property
    def best(self) -> dict[str, Any] | None:
        """The first trial of the leaderboard, as in `trials`, or None.

        Of values that were trained over several seeds it is the training with the best score: on equal terms the one
        model whose weights validated best is kept.
        """
        number = next((row["number"] for row in self.leaderboard() if row["rank"] == 1), None)
        return next((row for row in self.trials() if row["number"] == number), None)

    # Model files

    def trial_directory(self, number: int) -> Path:
        """Returns where the files of a trial are (`trials/0007`); it may not exist."""
        return self.directory / "trials" / f"{number:04d}"

    def model_directory(self, row: Mapping[str, Any]) -> Path:
        """Returns where the model of a row is: of a trial, or of the forest, a baseline that is a model too."""
        return self.directory / FOREST if row["number"] is None else self.trial_directory(row["number"])

    def retain(self, keep: int, also: Iterable[int] = ()) -> None:
        """Removes the files of all trials but the `keep` best completed ones and those in `also`.

        Of values that were trained over several seeds only the best training counts, unless `keep_seeds` is set.
        """
        entries: dict[tuple[int, str], list[int]] = {}
        for row in self.leaderboard():
            if row["kind"] == "trial" and row["status"] == "completed":
                entry = (origin(row), json.dumps(row["fidelity"], sort_keys=True))
                entries.setdefault(entry, []).append(row["number"])
        best = [numbers if self.keep_seeds else numbers[:1] for numbers in list(entries.values())[:keep]]
        kept = {self.trial_directory(number).name for number in (*sum(best, []), *also)}
        for folder in (self.directory / "trials").glob("*"):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def _row(kind: str, event: Mapping[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "number": None,
        "score": None,
        "metrics": {},
        "values": {},
        "fidelity": {},
        "cut": False,
        "error": None,
        "parent": None,
        "mean_score": None,
        "seeds": None,
    }
    more: dict[str, Any] = dict.fromkeys(("seed", "best_epoch", "epochs", "seconds", "parameters", "traceback"))
    skipped = ("event", "space", "seed_state", "asked")
    known = {key: value for key, value in event.items() if key not in skipped}
    return {**empty, **more, "history": [], **known, "kind": kind}


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    first = {"rank": None, **{key: row.get(key) for key in _LISTED}}
    return {**first, **{k: v for k, v in row.items() if k not in (*first, "history", "traceback")}}


def origin(row: Mapping[str, Any]) -> int:
    """Returns the number of the searcher's trial whose values a trial was trained with."""
    return int(row["number"] if row.get("parent") is None else row["parent"])


def _configurations(rows: Iterable[dict[str, Any]], sign: float = 1.0) -> list[list[dict[str, Any]]]:
    """Returns the completed trials, those of the same values and fidelity together, uncut ones first, best first."""
    found: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] == "completed":
            found.setdefault((origin(row), json.dumps(row["fidelity"], sort_keys=True)), []).append(row)
    return [sorted(same, key=lambda row: (row["cut"], sign * row["score"])) for same in found.values()]


def _with_means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for same in _configurations(rows):
        counted = [row["score"] for row in same if row["cut"] == same[0]["cut"]]
        for row in same:
            row |= {"mean_score": statistics.fmean(counted), "seeds": len(counted)}
    return rows


def _group(row: Mapping[str, Any], finals: set[int]) -> tuple[Any, ...]:
    fidelity = row["fidelity"]
    if not fidelity:
        return (-math.inf, origin(row) not in finals)
    limits = (float(fidelity.get(name, math.inf)) for name in ("rows", "epochs", "vocabulary", "dim"))
    return (0.0, *(-limit for limit in limits))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
