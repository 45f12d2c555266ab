"""The cores and GPUs of this machine, shared out among processes that train trials at the same time."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# What libraries read as they are loaded: TensorFlow, OpenMP (LightGBM, scikit-learn), linear algebra, Polars, Arrow.
_THREADS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "ARROW_NUM_THREADS",
)
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Share:
    """What one process may use.

    Args:
        threads: Number of threads of each library.
        cores: Numbers of the cores that it is kept to; empty for any.
        gpu: The GPU that it sees, as in `CUDA_VISIBLE_DEVICES`; None leaves what there is.
    """

    threads: int
    cores: tuple[int, ...] = ()
    gpu: str | None = None

    def environment(self) -> dict[str, str]:
        """Returns the environment variables with which such a process has to begin."""
        found = dict.fromkeys(_THREADS, str(self.threads))
        if self.gpu is not None:
            # Memory as it is needed: the process of the search has a little of the same GPU.
            found |= {_VISIBLE: self.gpu, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        return found

    def keep_to_cores(self) -> None:
        """Keeps this process to its cores, where the system can do that."""
        if self.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.cores)


def cores() -> tuple[int, ...]:
    """Returns the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def gpus() -> tuple[str, ...]:
    """Returns the GPUs that TensorFlow sees, as `CUDA_VISIBLE_DEVICES` calls them."""
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    given = [name.strip() for name in os.environ.get(_VISIBLE, "").split(",") if name.strip()]
    return tuple(given[: len(found)]) if given else tuple(str(number) for number in range(len(found)))


def leave_gpu_memory() -> None:
    """Has TensorFlow take the memory of GPUs as it is needed, if it has not begun to use them: others need it too."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        with suppress(RuntimeError):  # it has begun
            tf.config.experimental.set_memory_growth(gpu, True)


def shares(workers: int, of: Sequence[int], gpu: Sequence[str] = ()) -> list[Share]:
    """Returns equal shares; cores that cannot be shared out equally are left to the process of the search.

    Args:
        workers: Number of processes, up to that of the cores and, where there are any, of the GPUs.
        of: Numbers of the cores.
        gpu: Names of the GPUs; each goes to one process.

    Example:
        >>> shares(2, range(5))
        [Share(threads=2, cores=(0, 1), gpu=None), Share(threads=2, cores=(2, 3), gpu=None)]
    """
    each = max(len(of) // workers, 1)
    names = [*gpu, *[None] * workers] if gpu else [None] * workers
    return [Share(each, tuple(of[each * place : each * (place + 1)]), names[place]) for place in range(workers)]


def import_path() -> str:
    """Returns where this process looks for modules, as `PYTHONPATH` tells it to another one."""
    return os.pathsep.join(str(Path(entry).absolute()) if entry else os.getcwd() for entry in sys.path)
