"""Trials in processes of this machine, each with its share of the cores."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import Any

from autorec.run import Run
from autorec.searchers.cores import Share, import_path
from autorec.searchers.job import Job
from autorec.searchers.pool import Message, Pool
from autorec.searchers.transport import pack
from autorec.searchers.trial_process import MODULE, Setting

WORKING = ".working"  # folder of a run in which processes leave what trials are not done with
_DYING = 5.0  # seconds until a process whose pipe has broken is gone


class LocalProcess:
    """A process of this machine that trains trials.

    Args:
        setting: What it is sent first.
    """

    placed = True

    def __init__(self, setting: Setting) -> None:
        self.connection, theirs = Pipe()
        self._place = Path(setting.place)
        # A group of its own: Ctrl-C in a terminal is for the process of the search, which then ends this one.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={**os.environ, **setting.share.environment(), "PYTHONPATH": import_path()},
            process_group=0,
        )
        theirs.close()
        self._send(setting)

    def send(self, message: dict[str, Any]) -> None:
        """Sends a job."""
        self._send(message)

    def _send(self, what: Any) -> None:
        with suppress(OSError):  # it is gone, which `messages` tells
            self.connection.send(what)

    def messages(self) -> list[Message]:
        """Returns what has come, without waiting; `died` with the cause at the end."""
        found: list[Message] = []
        try:
            while self.connection.poll():
                found.append(self.connection.recv())
        except (EOFError, OSError):
            found.append(("died", self._cause()))
        return found

    def _cause(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_DYING)
        status = self.process.returncode
        if status is None:
            return "its process does not answer"
        if status >= 0:
            return f"its process ended with status {status}"
        name = signal.Signals(-status).name
        more = ", as when memory runs out" if -status == signal.SIGKILL else ""
        return f"its process was killed by {name}{more}"

    def halt(self, halted: bool) -> None:
        """Halts it, or lets it go on."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP if halted else signal.SIGCONT)

    def close(self) -> None:
        """Ends it at once, with what it has not delivered."""
        self.process.kill()
        self.process.wait()
        self.connection.close()
        shutil.rmtree(self._place, ignore_errors=True)


class Processes(Pool[LocalProcess]):
    """Trains trials in processes of this machine.

    They are begun anew, not forked, and import what they need; the script that runs the search is not run again. Each
    has its share of the cores and at most one GPU, opens the encoded rows by memory map, and ends with this process.

    Args:
        run: Open for writing.
        trainer: A `PortableTrainer`.
        objective: Name of the metric that ranks.
        shares: What each process may use; as many processes.
        emit: Receives events.
        costs: See `Pool`; what runs beside the measurement of a latency is halted, see `quiet`.

    Raises:
        ConfigError: If the space or a callback cannot be sent to another process.

    Example:
        >>> pool = Processes(run, PortableTrainer.of(trainer, cache), objective="val_auc", shares=shares(2, cores()))
        >>> search(run, oracle=oracle, space_build=trainer.declare, evaluate=trainer, executor=pool)
    """

    def __init__(
        self,
        run: Run,
        trainer: Any,
        *,
        objective: str,
        shares: Sequence[Share],
        emit: Callable[[dict[str, Any]], None],
        costs: Callable[[Job], dict[str, Any] | None] | None = None,
    ) -> None:
        super().__init__(run, len(shares), emit, costs)
        self._packed = pack(trainer, trainer.GIVEN)
        self._objective, self._shares = objective, list(shares)
        self._working = run.directory.absolute() / WORKING
        self._opened = 0
        shutil.rmtree(self._working, ignore_errors=True)  # of a search that was killed

    def open(self, slot: int) -> LocalProcess:
        """Begins a process with the share of a slot."""
        self._opened += 1
        place = self._working / f"{os.getpid()}-{self._opened}"
        place.mkdir(parents=True)
        return LocalProcess(Setting(self._packed, self._objective, str(place), self._shares[slot], parent=os.getpid()))

    def receive(self, seats: Sequence[LocalProcess], seconds: float) -> list[tuple[LocalProcess, Message]]:
        """Returns what the processes have sent."""
        wait([seat.connection for seat in seats], seconds)
        return [(seat, message) for seat in seats for message in seat.messages()]

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Halts the processes for as long as something is measured in this one."""
        seats = [place.seat for place in self._places]
        for seat in seats:
            seat.halt(True)
        try:
            yield
        finally:
            for seat in seats:
                seat.halt(False)

    def close(self) -> None:
        """Ends all processes at once."""
        super().close()
        shutil.rmtree(self._working, ignore_errors=True)
