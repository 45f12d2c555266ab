"""A search on a real Ray of two local nodes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import pytest

from autorec.data.cache import Cache
from autorec.data.demo import click_log
from autorec.data.encode import encode
from autorec.data.inference import infer
from autorec.data.table import as_source
from autorec.run import Run
from autorec.searchers.oracles import get_oracle
from autorec.searchers.portable import PortableTrainer
from autorec.searchers.ray_cluster import RayCluster
from autorec.searchers.ray_pool import RayPool
from autorec.searchers.remote_process import RemoteProcess
from autorec.searchers.runner import search
from autorec.searchers.trial import TrialTrainer
from autorec.spaces.space import as_space
from autorec.training.options import TrainOptions

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::ResourceWarning:ray.*")]


class Blind(RemoteProcess):
    """On a node without shared storage."""

    def sees(self, cache: str, digest: str) -> bool:
        return False


class Unshared(RayPool):
    kind = Blind


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes of one core each."""
    pytest.importorskip("ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    logging.getLogger("ray").setLevel(logging.ERROR)
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    found.add_node(num_cpus=1)
    yield found
    found.shutdown()


@lru_cache
def cache_of(folder: str) -> Cache:
    source = as_source(click_log(rows=1000, seed=0).frame())
    return encode(source, infer(source, target="click"), Path(folder) / "cache", statistics=None)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return cache_of(str(tmp_path_factory.mktemp("rows")))


def trainer_of(run: Run, cache: Cache, **more: Any) -> TrialTrainer:
    parts = (run, cache.train, cache.validation, cache.layout)
    settings: dict[str, Any] = {"objective": "val_auc", "batch_size": 256, "epochs": 1, **more}
    return TrialTrainer(*parts, as_space("lr"), TrainOptions(), **settings)


def run_search(
    folder: Path,
    cache: Cache,
    address: str | None,
    kind: Any = RayPool,
    emit: Any = len,
    callbacks: Any = (),
    **more: Any,
) -> Any:
    """Returns the rows of a search without the seconds; without an address it is made in this process."""
    with Run(folder) as run:
        trainer = trainer_of(run, cache, emit=emit, callbacks=callbacks)
        pool = None
        if address is not None:
            portable = PortableTrainer.of(trainer, cache.directory)
            where = {"cluster": RayCluster(address), "workers": 2, "objective": "val_auc", "emit": emit}
            pool = kind(run, portable, **where)
        oracle = get_oracle("random", objective="val_auc", seed=1)
        try:
            settings = {"max_trials": 4, "emit": emit, "space_build": trainer.declare, "evaluate": trainer, **more}
            search(run, oracle=oracle, executor=pool, **settings)
        finally:
            if pool is not None:
                pool.close()
        return [{key: value for key, value in row.items() if key != "seconds"} for row in run.trials()]


def test_the_search_is_that_of_one_process_with_shared_storage_and_without(
    tmp_path: Path, cache: Cache, cluster: Any
) -> None:
    shared = run_search(tmp_path / "shared", cache, cluster.address)
    unshared = run_search(tmp_path / "unshared", cache, cluster.address, Unshared)
    assert shared == unshared
    assert {row["status"] for row in shared} == {"completed"}
    for name in ("shared", "unshared"):
        assert len(list((tmp_path / name / "trials").glob("*/model.keras"))) == 4


class UntilLost(keras.callbacks.Callback):
    """Holds a trial until a file is there; a hundred seconds at most."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        end = time.monotonic() + 100
        while not self.file.exists() and time.monotonic() < end:
            time.sleep(0.05)


def test_a_node_that_is_lost_costs_its_trial_one_try(tmp_path: Path, cache: Cache, cluster: Any) -> None:
    heard: list[str] = []
    file = tmp_path / "lost.txt"

    class Losing(RayPool):
        """Loses a node as soon as there is a trial on each."""

        def receive(self, seats: Any, seconds: float) -> Any:
            if all(place.task is not None for place in self._places) and cluster.worker_nodes:
                cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
            return super().receive(seats, seconds)

    def hear(event: dict[str, Any]) -> None:
        if "begun once more" in event.get("text", ""):
            heard.append(event["text"])
            file.touch()

    held = {"callbacks": [UntilLost(file)], "max_trials": 6}
    rows = run_search(tmp_path / "lost", cache, cluster.address, Losing, hear, **held)
    assert len(heard) == 1
    assert rows == run_search(tmp_path / "whole", cache, cluster.address, **held)


SCRIPT = """
import sys
from pathlib import Path
from autorec.data.cache import Cache
from tests.searchers.test_ray_pool import run_search

run_search(Path(sys.argv[1]), Cache.open(sys.argv[2]), sys.argv[3], max_trials=6)
"""


def finished(folder: Path) -> int:
    path = folder / "journal.jsonl"
    return path.read_text().count('"finished"') if path.exists() else 0


def test_a_driver_that_is_killed_is_gone_on_with(tmp_path: Path, cache: Cache, cluster: Any) -> None:
    root, folder = Path(__file__).resolve().parents[2], tmp_path / "killed"
    command = [sys.executable, "-c", SCRIPT, str(folder), str(cache.directory), cluster.address]
    driver, end = subprocess.Popen(command, cwd=root), time.monotonic() + 120
    while not finished(folder) and driver.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    assert 0 < finished(folder) < 6
    rows = run_search(folder, cache, cluster.address, max_trials=6)
    assert rows == run_search(tmp_path / "whole", cache, cluster.address, max_trials=6)
