"""The Ray actor: a crew of workers on the share of a node that Ray gave it.

Imported on the nodes, where Text2Earth is installed as on the backend's computer.
"""

from __future__ import annotations

from typing import Any

from model_backend import logs
from model_backend.jobs.remote.remote_crew import RemoteCrew, own_folder


class RayCrew:
    """One actor: its workers leave with it, by whatever death."""

    def __init__(self, url: str, token: str, resources: dict[str, Any]) -> None:
        logs.begin("crew")
        # As many threads everywhere: bits depend on it, and so does who may share a scene.
        threads = max(1, int(resources.get("num_cpus", 1)))
        self._crew = RemoteCrew(url, token, devices_of(resources), own_folder(), threads)

    def run(self) -> None:
        """Work until ``leave``, or until Ray ends this process."""
        self._crew.run()

    def leave(self, if_idle: bool) -> bool:
        """Have ``run`` end, or have it end if no worker computes, and say whether it will.

        What is being made goes back to the queue.
        """
        if if_idle and self._crew.computes():
            return False
        self._crew.stop()
        return True


def devices_of(resources: dict[str, Any]) -> list[str]:
    """Return the devices that Ray shows an actor: a worker for each whole GPU, else for a share of one."""
    gpus = resources.get("num_gpus", 0)
    if gpus >= 1:
        return [f"cuda:{number}" for number in range(int(gpus))]
    return ["cuda" if gpus else "cpu"]
