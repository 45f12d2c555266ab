"""A process that trains trials for the one that runs the search: `python -m autorec.searchers.trial_process PIPE`."""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from autorec.searchers.cores import Share
from autorec.searchers.heap import settled_heap

MODULE = "autorec.searchers.trial_process"
BEAT = 1.0  # seconds between signs of life
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Setting:
    """What such a process is sent first.

    Args:
        packed: What `transport.pack` made of a portable trainer.
        objective: Name of the metric that ranks.
        place: Folder of its own for what trials leave.
        share: The cores it is kept to.
        cache: Folder of the encoded rows, where it is not the trainer's own.
        parent: Number of the process it must not outlive, if that is on this machine and has started it itself.
        seen: Whether the other process sees the files in `place`; they are sent if it does not.
        path: Where modules are looked for beside where this process does.
    """

    packed: bytes
    objective: str
    place: str
    share: Share
    cache: str | None = None
    parent: int | None = None
    seen: bool = True
    path: tuple[str, ...] = ()


@dataclass
class TrialProcess:
    """Trains the jobs that come through a pipe, one behind the other, and sends what happens.

    A message is a pair of a word and its content: `ready`; `event` (of progress); `ended` (a trial); `beat` (alive);
    `broken` (what was sent cannot be loaded: why); `full` (the disk is: an error). It ends with the other process,
    however that ends: the pipe breaks, and where the system can do so it kills this one.

    Args:
        connection: The pipe.
    """

    connection: Connection
    _jobs: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)
    _sending: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Trains until the other process is gone."""
        setting: Setting = self.connection.recv()
        setting.share.keep_to_cores()
        sys.path += [entry for entry in setting.path if entry not in sys.path]
        _end_with(setting.parent)
        for target in (self._listen, self._beat):
            threading.Thread(target=target, daemon=True).start()
        try:
            evaluate = self._load(setting)
        except Exception as error:
            self.send("broken", f"{type(error).__name__}: {error}")
            return
        self.send("ready", None)
        with settled_heap():
            while True:
                self._train(evaluate, setting, self._jobs.get())

    def _load(self, setting: Setting) -> Any:
        from autorec.tensorflow_log import LEVEL, import_quietly

        if os.environ.get(LEVEL) == "3":  # set by the same function in the process of the search
            del os.environ[LEVEL]
        import_quietly()
        import tensorflow as tf

        from autorec.searchers.transport import unpack

        tf.config.threading.set_intra_op_parallelism_threads(setting.share.threads)
        tf.config.threading.set_inter_op_parallelism_threads(setting.share.threads)
        trainer = unpack(setting.packed)
        cache = None if setting.cache is None else Path(setting.cache)
        return trainer.open(Path(setting.place), lambda event: self.send("event", event), cache)

    def _train(self, evaluate: Any, setting: Setting, message: dict[str, Any]) -> None:
        import time

        from autorec.errors import DataError
        from autorec.searchers.job import Job, time_in
        from autorec.searchers.outcome import attempt
        from autorec.searchers.trial_files import TrialFiles
        from autorec.tensorflow_log import traced_often

        job, files, begin = Job.from_message(message), TrialFiles(Path(setting.place)), time.monotonic()
        try:
            with traced_often():
                outcome = attempt(evaluate, job, setting.objective, files.place, time_in(message["end"]))
        except DataError as error:
            if not setting.seen:
                raise  # the disk of this machine alone: the process ends, and its trial is begun elsewhere
            self.send("full", error)
            return
        seconds = time.monotonic() - begin
        _give_memory_back()
        self.send(
            "ended",
            {
                "number": job.number,
                "outcome": outcome,
                "seconds": seconds,
                "hyperparameters": job.hp.get_config(),
                "files": files.left(job.number) if setting.seen else files.content(job.number),
                "memory": _memory(),
            },
        )

    # The pipe

    def send(self, word: str, content: Any) -> None:
        """Sends a message; any thread may."""
        with self._sending:
            self.connection.send((word, content))

    def _listen(self) -> None:
        """Takes jobs; ends the process when the other one is gone."""
        try:
            while True:
                self._jobs.put(self.connection.recv())
        except (EOFError, OSError):
            os._exit(0)

    def _beat(self) -> None:
        pause = threading.Event()
        try:
            while not pause.wait(BEAT):
                self.send("beat", None)
        except OSError:
            os._exit(0)


def _end_with(parent: int | None) -> None:
    """Has the system kill this process when its parent ends, also while it cannot read the pipe."""
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended before that
        os._exit(0)


def _give_memory_back() -> None:
    """Has the C library give freed memory back to the system, where it can."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def _memory() -> int:
    """Returns the bytes of memory that this process holds."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def main() -> None:
    """Trains for the process that has started this one."""
    TrialProcess(Connection(int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
