"""What a trial takes of a Ray cluster, and an address that does not answer."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from autorec.errors import ConfigError
from autorec.searchers import ray_cluster as module
from autorec.searchers.ray_cluster import RayCluster


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"cpus": 0}, "cpus"), ({"cpus": True}, "cpus"), ({"gpus": -1}, "gpus"), ({"address": 6379}, "ray_address")],
)
def test_arguments_out_of_range_are_named(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=f"`{name}` must be"):
        RayCluster(**arguments)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_that_does_not_answer_is_an_error_within_seconds(address: str) -> None:
    pytest.importorskip("ray")
    address, begin = address.format(closed_port()), time.monotonic()
    with pytest.raises(ConfigError, match=f"`ray_address` must be .* that answers, got '{address}'.*ray start --head"):
        RayCluster(address).connect()
    assert time.monotonic() - begin < 10


def test_an_address_of_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port()}")
    with pytest.raises(ConfigError, match="that answers"):
        RayCluster().connect()


NODES = [
    {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}},
    {"Alive": True, "Resources": {"CPU": 3.0}},
    {"Alive": False, "Resources": {"CPU": 64.0}},
]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RayCluster, "_alive", lambda self: [node for node in NODES if node["Alive"]])


@pytest.mark.parametrize(("takes", "room"), [({}, 7), ({"cpus": 2}, 3), ({"cpus": 2, "gpus": 1}, 1), ({"cpus": 4}, 1)])
def test_a_cluster_has_room_for_whole_trials_on_each_node(nodes: None, takes: dict[str, int], room: int) -> None:
    assert RayCluster(**takes).room() == room


def test_a_trial_that_no_node_can_hold_is_refused(nodes: None) -> None:
    with pytest.raises(ConfigError, match=r"resources of a trial that a node of the cluster has, such as .*'CPU': 4"):
        RayCluster(cpus=5)._check_room()
    with pytest.raises(ConfigError, match="'TPU': 1"):
        RayCluster(resources={"TPU": 1})._check_room()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str, extra: str, purpose: str) -> None:
        raise ImportError(f"{package} {extra} {purpose}")

    monkeypatch.setattr(module, "require", missing)
    with pytest.raises(ImportError, match="ray ray `executor='ray'`"):
        RayCluster().connect()
