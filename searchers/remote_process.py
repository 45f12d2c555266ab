"""A process that trains trials on a node of a cluster, and the object there that speaks with it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from autorec.data.cache import META
from autorec.files import new_folder
from autorec.searchers.pool import Message
from autorec.searchers.processes import LocalProcess
from autorec.searchers.trial_process import Setting

_FOLDER = "autorec-rows"  # in a node's folder for temporary files


class RemoteProcess:
    """Begins a process on its node and passes messages on; a Ray actor, of which several methods run at a time.

    Where the node sees the run directory, the process reads the encoded rows there and leaves its models there.
    Elsewhere the rows come through Ray's object store, once a node, and models go back with the results.
    """

    def __init__(self) -> None:
        self._process: LocalProcess | None = None
        self._own: Path | None = None

    def sees(self, cache: str, digest: str) -> bool:
        """Returns whether the encoded rows lie on this node too, and are the same."""
        meta = Path(cache) / META
        return meta.is_file() and content_digest(meta) == digest

    def begin(self, setting: Setting, rows: Mapping[str, Any] | None, digest: str) -> None:
        """Begins the process.

        Args:
            setting: What it is sent first; without the rows, its place is here.
            rows: Files of the encoded rows by name, in the object store; None where the node sees them.
            digest: Tells these rows from others.
        """
        if rows is not None:
            _sweep(digest)
            self._own = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}-{os.getpid()}-"))
            cache = self._own / "cache"
            _fetch(rows, digest, cache)
            setting = replace(setting, place=str(self._own / "trials"), cache=str(cache), seen=False)
        Path(setting.place).mkdir(parents=True, exist_ok=True)
        self._process = LocalProcess(setting)

    def send(self, message: dict[str, Any]) -> None:
        """Sends a job."""
        if self._process is not None:
            self._process.send(message)

    def messages(self, seconds: float) -> list[Message]:
        """Returns what has come; waits for a first message."""
        if self._process is None:
            return []
        self._process.connection.poll(seconds)
        return self._process.messages()

    def close(self, digest: str) -> None:
        """Ends the process, and removes what is no longer used on this node."""
        if self._process is not None:
            self._process.close()
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            _forget(digest)


def content_digest(path: Path) -> str:
    """Returns what tells a file's content from another one's."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _fetch(rows: Mapping[str, Any], digest: str, own: Path) -> None:
    """Makes the rows that all processes of this node share those of a folder too; the first process writes them.

    Under one lock: in between, another process might find rows that nobody has, and remove them.
    """
    import ray

    with _locked(digest) as folder:
        if not folder.exists():
            with new_folder(folder) as place:
                for name, reference in rows.items():
                    path = place / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(memoryview(ray.get(reference)))
        _link(folder, own)


def _sweep(digest: str) -> None:
    """Removes what processes of this node have left that are gone: they end at once when the search is killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}-*-*"):
        owner = folder.name.split("-")[2]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    _forget(digest)


def _forget(digest: str) -> None:
    """Removes the shared rows of this node when no process has them any more."""
    with _locked(digest) as folder:
        if folder.exists() and (folder / META).stat().st_nlink == 1:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(digest: str) -> Iterator[Path]:
    folder = Path(tempfile.gettempdir()) / f"{_FOLDER}-{digest}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _link(folder: Path, own: Path) -> None:
    """Makes the files of a folder those of another one too, without a copy."""
    for path in folder.rglob("*"):
        if path.is_file():
            target = own / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
