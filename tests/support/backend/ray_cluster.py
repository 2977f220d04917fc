"""A Ray cluster of several nodes on this computer, and a backend with workers on it.

For a network of its own (``alone``) alone: the parts of a cluster listen on every address. Nodes and the head
are killed as by a power cut.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # after which nodes and drivers give a dead head up
    "RAY_DISABLE_IMPORT_WARNING": "1",
}

import psutil
from ray.cluster_utils import Cluster

PORT = 6399  # of the head, so that another one is found where it was
HEAD = {"num_cpus": 0, "gcs_server_port": PORT, "include_dashboard": False}


class RayCluster:
    """A head without room for workers, and nodes of one processor each."""

    def __init__(self) -> None:
        self._cluster = Cluster(initialize_head=True, head_node_args=HEAD)
        self.nodes: list[Any] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{PORT}"

    def add_node(self) -> None:
        self.nodes.append(self._cluster.add_node(num_cpus=1, wait=False))

    def kill_node(self) -> None:
        self._cluster.remove_node(self.nodes.pop(0), allow_graceful=False)

    def kill_head(self) -> None:
        """Kill the head; nodes of a cluster without one end too."""
        self._cluster.remove_node(self._cluster.head_node, allow_graceful=False)
        while self.nodes:
            self.kill_node()

    def start_head(self) -> None:
        self._cluster.add_node(wait=False, **HEAD)

    def actors(self) -> list[psutil.Process]:
        """Return the processes of the actors."""
        return [one for one in psutil.process_iter() if _title(one).startswith("ray::RayCrew")]

    def workers(self) -> list[psutil.Process]:
        """Return the processes of the workers that the actors have started."""
        children = (child for actor in self.actors() for child in _children(actor))
        return [child for child in children if "model_backend.jobs.worker" in _title(child)]

    def close(self) -> None:
        self._cluster.shutdown()


def cache(folder: Path) -> dict[str, str]:
    """Return variables by which nodes keep what they fetch in a folder."""
    return {"XDG_CACHE_HOME": str(folder)}


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []
