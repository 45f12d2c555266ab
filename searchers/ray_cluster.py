"""A Ray cluster: where it is, what each trial takes of it, and the connection."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autorec.errors import ConfigError, require

_PORT = 6379
_ANSWER = 5.0  # seconds in which an address has to answer
# Ray reads these as it is loaded: no reports to its makers, and GPUs are its own business.
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(frozen=True)
class RayCluster:
    """Where trials are trained, and what each of them takes.

    Args:
        address: Address of the cluster's head, `host:port`; None takes the cluster that this process is connected to,
            that of `RAY_ADDRESS`, or one that runs on this machine, and without any begins one here for the search.
        cpus: Cores of a trial, 1 or more. Default 1.
        gpus: GPUs of a trial, 0 or more. Default 0.
        resources: Other resources of a trial by name, as Ray counts them.

    Raises:
        ConfigError: If an argument is out of its range.

    Example:
        >>> rec.search(frame, target="click", workers=16, executor=RayCluster("10.0.0.1:6379", cpus=4))
    """

    address: str | None = None
    cpus: int = 1
    gpus: int = 0
    resources: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("cpus", 1), ("gpus", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(name, f"a whole number of {least} or more", value)
        if self.address is not None and not isinstance(self.address, str):
            raise ConfigError("ray_address", "an address as text, such as '10.0.0.1:6379'", self.address)

    def connect(self) -> bool:
        """Connects this process to the cluster.

        Returns:
            Whether it has to be disconnected: it was not connected before.

        Raises:
            MissingExtraError: If Ray is not installed.
            ConfigError: If the address does not answer, or no node has what a trial takes.
        """
        require("ray", "ray", "`executor='ray'`")
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        import ray

        connected = not ray.is_initialized()
        if connected:
            self._init()
        try:
            self._check_room()
        except ConfigError:
            if connected:
                ray.shutdown()
            raise
        return connected

    def _init(self) -> None:
        import ray

        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        address = self.address or os.environ.get("RAY_ADDRESS")
        if address is not None and address not in ("auto", "local"):
            _check_answers(address)
        try:
            if address == "local":
                raise ConnectionError
            ray.init(address=address or "auto", **quiet)
        except ConnectionError as error:
            if address not in (None, "local"):
                raise _no_answer(str(address), f"{error}") from error
            ray.init(address="local", include_dashboard=False, **quiet)

    def _check_room(self) -> None:
        nodes = [node["Resources"] for node in self._alive()]
        if not any(all(node.get(name, 0) >= count for name, count in self.takes().items()) for node in nodes):
            shown = [{name: node[name] for name in ("CPU", "GPU", *self.resources) if name in node} for node in nodes]
            raise ConfigError(
                "executor", f"resources of a trial that a node of the cluster has, such as {shown[:5]}", self.takes()
            )

    def room(self) -> int:
        """Returns how many trials the nodes can train at a time, 1 or more."""
        return max(1, sum(self._room_on(node["Resources"]) for node in self._alive()))

    def _room_on(self, resources: Mapping[str, float]) -> int:
        return min(int(resources.get(name, 0) // count) for name, count in self.takes().items() if count)

    def takes(self) -> dict[str, float]:
        """Returns what a trial takes, by Ray's names."""
        return {"CPU": self.cpus, "GPU": self.gpus, **self.resources}

    def options(self) -> dict[str, Any]:
        """Returns the options of an actor that trains trials."""
        return {
            "num_cpus": self.cpus,
            "num_gpus": self.gpus,
            "resources": dict(self.resources),
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": 4,
            "scheduling_strategy": "SPREAD",
        }

    def _alive(self) -> list[dict[str, Any]]:
        import ray

        nodes: Any = ray.nodes  # untyped
        return [node for node in nodes() if node["Alive"]]


def _check_answers(address: str) -> None:
    """Tries an address, since Ray itself would wait for it for long.

    Raises:
        ConfigError: If nothing answers there.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdigit():
        host, port = address.rpartition("//")[2], str(_PORT)
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _no_answer(address, f"{error}") from error


def _no_answer(address: str, cause: str) -> ConfigError:
    return ConfigError(
        "ray_address",
        "the address of a Ray cluster that answers",
        address,
        f"{cause}. `ray start --head` on its first machine begins one and shows its address.",
    )
