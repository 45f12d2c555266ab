"""Executors by name: in this process, in several of this machine, on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autorec.errors import ConfigError, nearest, require
from autorec.run import Run
from autorec.searchers.cores import Share, cores, gpus, leave_gpu_memory, shares
from autorec.searchers.executor import Executor
from autorec.searchers.portable import PortableTrainer
from autorec.searchers.processes import Processes
from autorec.searchers.ray_cluster import RayCluster
from autorec.searchers.ray_pool import RayPool
from autorec.searchers.transport import pack
from autorec.searchers.trial import TrialTrainer

EXECUTORS = ("processes", "ray")


@dataclass(frozen=True)
class Execution:
    """How many trials are trained at a time, and where.

    Args:
        workers: Trials at a time, 1 or more; None is 1, on a Ray cluster what it has room for.
        executor: `"processes"` of this machine, `"ray"`, or a `RayCluster`; None is this process for one trial at a
            time, and processes for more.
        ray_address: Address of a Ray cluster, for `"ray"`.
        strategy: `options.strategy` of the search: workers that train one model together train one trial at a time.

    Raises:
        ConfigError: If an argument is not allowed, or they do not fit each other.
        MissingExtraError: If Ray is asked for and is not installed.
    """

    workers: int | None = None
    executor: str | RayCluster | None = None
    ray_address: str | None = None
    strategy: Any = None

    def __post_init__(self) -> None:
        workers, executor = self.workers, self.executor
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise ConfigError("workers", "a whole number of 1 or more", workers)
        if not isinstance(executor, RayCluster) and executor not in (None, *EXECUTORS):
            raise ConfigError("executor", f"one of {[*EXECUTORS]}, a RayCluster or None", executor, _hint(executor))
        if self.ray_address is not None and executor != "ray":
            raise ConfigError("ray_address", "left out without `executor='ray'`", self.ray_address)
        if self.strategy is not None and self.kind is not None:
            raise ConfigError(
                "workers" if executor is None else "executor",
                "left out where `options.strategy` is given",
                workers if executor is None else executor,
                "A strategy has several processes or devices train each model together.",
            )
        if self.kind == "ray":
            require("ray", "ray", "`executor='ray'`")
        if self.kind == "processes":
            self._check_cores()

    @property
    def kind(self) -> str | None:
        """`processes`, `ray`, or None for this process."""
        if self.executor is None:
            return "processes" if (self.workers or 1) > 1 else None
        return "ray" if isinstance(self.executor, RayCluster) else self.executor

    def _check_cores(self) -> None:
        most = len(cores())
        if (self.workers or 1) > most:
            raise ConfigError("workers", f"at most {most}, the cores that this process may use", self.workers)

    def check(self, space: Any, callbacks: Any) -> None:
        """Checks that a space and callbacks can be sent to another process, before anything is read.

        Raises:
            ConfigError: If one of them cannot.
        """
        if self.kind is None:
            return
        pack(PortableTrainer("", space, callbacks, {}), PortableTrainer.GIVEN)
        if self.kind == "processes":
            leave_gpu_memory()

    def begin(
        self, run: Run, trainer: TrialTrainer, cache: Path, emit: Callable[[dict[str, Any]], None]
    ) -> Executor | None:
        """Returns the executor of a search, whose processes begin to load what they need; None for this process.

        Args:
            run: Open for writing.
            trainer: Trains the trials; its precision is settled.
            cache: Folder of the rows that it trains with.
            emit: Receives events.

        Raises:
            ConfigError: If there are fewer GPUs than workers, or the Ray cluster does not answer.
        """
        if self.kind is None:
            return None
        portable = PortableTrainer.of(trainer, cache)
        settings: dict[str, Any] = {"objective": trainer.objective, "emit": emit, "costs": trainer.costs}
        if self.kind == "ray":
            cluster = self.executor if isinstance(self.executor, RayCluster) else RayCluster(self.ray_address)
            pool: Processes | RayPool = RayPool(run, portable, cluster=cluster, workers=self.workers, **settings)
        else:
            pool = Processes(run, portable, shares=self._shares(emit), **settings)
        trainer.quiet = pool.quiet
        try:
            pool.begin()
        except BaseException:
            pool.close()
            raise
        return pool

    def _shares(self, emit: Callable[[dict[str, Any]], None]) -> list[Share]:
        """Returns what each process may use; says which cores none of them has."""
        found = shares(self.workers or 1, cores(), self._gpus())
        idle = len(cores()) - sum(len(share.cores) for share in found)
        if idle:
            each = f"{self.workers} workers have {found[0].threads} of the {len(cores())} cores each"
            text = f"{each}; {idle} have no trial"
            emit({"event": "message", "text": text})
        return found

    def _gpus(self) -> tuple[str, ...]:
        found, workers = gpus(), self.workers or 1
        if found and workers > len(found):
            raise ConfigError(
                "workers",
                f"at most {len(found)}, the GPUs that TensorFlow sees",
                workers,
                "With CUDA_VISIBLE_DEVICES=-1 trials are trained on the cores.",
            )
        return found


def _hint(executor: Any) -> str:
    return nearest(executor, EXECUTORS) if isinstance(executor, str) else ""
