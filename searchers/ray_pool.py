"""Trials in processes of a Ray cluster."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from autorec.data.cache import META
from autorec.run import Run
from autorec.searchers.cores import Share
from autorec.searchers.job import Job
from autorec.searchers.pool import Message, Pool
from autorec.searchers.portable import PortableTrainer
from autorec.searchers.processes import WORKING
from autorec.searchers.ray_cluster import RayCluster
from autorec.searchers.remote_process import RemoteProcess, content_digest
from autorec.searchers.transport import pack
from autorec.searchers.trial_process import Setting

_WAIT = 1.0  # seconds that a node waits for a message before it says that there is none
_CLOSING = 2.0  # seconds that it has to clean up


class RaySeat:
    """A `RemoteProcess`, seen from the process of the search.

    Calls return at once; what they come to is looked at when it is there.

    Args:
        actor: The Ray actor.
        setting: What its process is sent first.
        cache: Folder of the encoded rows here.
        digest: Tells these rows from others.
        rows: Returns the files of the rows in the object store.
    """

    def __init__(
        self, actor: Any, setting: Setting, cache: str, digest: str, rows: Callable[[], dict[str, Any]]
    ) -> None:
        self._actor, self._setting, self._digest, self._rows = actor, setting, digest, rows
        self.placed = False  # whether a node has taken it
        self._begun = False
        self.call = actor.sees.remote(cache, digest)

    def answer(self) -> list[Message]:
        """Takes what the last call came to, and makes the next one."""
        import ray

        try:
            found = ray.get(self.call)
        except ray.exceptions.RayActorError as error:
            return [("died", f"its node or its process there was lost ({type(error).__name__})")]
        except ray.exceptions.RayError as error:
            return [("died", f"its node failed: {str(error).strip().splitlines()[-1]}")]
        if not self.placed:
            self.placed = True
            rows = None if found else self._rows()
            self.call = self._actor.begin.remote(self._setting, rows, self._digest)
            return []
        messages = found if self._begun else []
        self._begun = True
        self.call = self._actor.messages.remote(_WAIT)
        return list(messages)

    def send(self, message: dict[str, Any]) -> None:
        """Sends a job."""
        self._actor.send.remote(message)

    def leave(self) -> Any | None:
        """Asks the process to end and its node to clean up; returns the call, None where no node has taken it."""
        return self._actor.close.remote(self._digest) if self.placed else None

    def kill(self) -> None:
        """Ends the actor at once."""
        import ray

        ray.kill(self._actor)

    def close(self) -> None:
        """Ends the process and its actor."""
        close_all([self])


def close_all(seats: Sequence[RaySeat]) -> None:
    """Ends processes and their actors; their nodes clean up side by side."""
    import ray

    calls = [call for call in (seat.leave() for seat in seats) if call is not None]
    if calls:
        ray.wait(calls, num_returns=len(calls), timeout=_CLOSING)
    for seat in seats:
        seat.kill()


class RayPool(Pool[RaySeat]):
    """Trains trials on the nodes of a Ray cluster, each in a process of its own.

    Where a node sees the run directory, it reads the encoded rows there; elsewhere they come through the object store.
    Nodes need this package, and the modules that a space or a callback comes from. A node that is lost costs the
    trials on it one try.

    Args:
        run: Open for writing.
        trainer: A `PortableTrainer`.
        cluster: The cluster; it is connected here.
        workers: Number of trials at a time; None is what the cluster has room for.
        objective: Name of the metric that ranks.
        emit: Receives events.
        costs: See `Pool`. Latencies are measured on this machine, beside whatever it does.

    Raises:
        MissingExtraError: If Ray is not installed.
        ConfigError: If the cluster does not answer or has no room for a trial, or the space cannot be sent.
    """

    kind: ClassVar[type] = RemoteProcess  # what holds a process on its node

    def __init__(
        self,
        run: Run,
        trainer: PortableTrainer,
        *,
        cluster: RayCluster,
        workers: int | None,
        objective: str,
        emit: Callable[[dict[str, Any]], None],
        costs: Callable[[Job], dict[str, Any] | None] | None = None,
    ) -> None:
        self._packed = pack(trainer, trainer.GIVEN)
        self._connected = cluster.connect()
        super().__init__(run, workers or cluster.room(), emit, costs)
        self._cluster, self._objective = cluster, objective
        self._cache = Path(trainer.cache)
        self._digest = content_digest(self._cache / META)
        self._stored: dict[str, Any] = {}
        self._working = run.directory.absolute() / WORKING
        shutil.rmtree(self._working, ignore_errors=True)

    def open(self, slot: int) -> RaySeat:
        """Asks the cluster for a process."""
        import ray

        actor: Any = ray.remote(**self._cluster.options())(self.kind).remote()
        setting = Setting(
            self._packed,
            self._objective,
            str(self._working / uuid.uuid4().hex),
            Share(self._cluster.cpus, gpu=None if self._cluster.gpus else "-1"),
            path=tuple(entry or os.getcwd() for entry in sys.path),
        )
        return RaySeat(actor, setting, str(self._cache), self._digest, self._rows)

    def receive(self, seats: Sequence[RaySeat], seconds: float) -> list[tuple[RaySeat, Message]]:
        """Returns what the processes have sent."""
        import ray

        calls = {seat.call: seat for seat in seats}
        ready, _ = ray.wait(list(calls), num_returns=1, timeout=seconds)
        more, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
        return [(calls[call], message) for call in {*ready, *more} for message in calls[call].answer()]

    def _rows(self) -> dict[str, Any]:
        """Puts the encoded rows into the object store, once, when a node needs them."""
        import ray

        if not self._stored:
            for path in sorted(path for path in self._cache.rglob("*") if path.is_file()):
                content = np.fromfile(path, np.uint8) if not path.stat().st_size else np.memmap(path, np.uint8, "r")
                self._stored[str(path.relative_to(self._cache))] = ray.put(np.asarray(content))
        return self._stored

    def close(self) -> None:
        """Ends all processes, and the connection if it was made here."""
        import ray

        close_all([place.seat for place in self._places])
        self._places = []
        self._stored = {}
        shutil.rmtree(self._working, ignore_errors=True)
        if self._connected:
            ray.shutdown()
