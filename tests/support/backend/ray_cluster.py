"""A Ray cluster on this computer whose autoscaler starts and ends nodes, as one in a cloud does.

For a network of its own (``alone``) alone: the parts of a cluster listen on every address. Nodes and the head
are killed as by a power cut. It is Ray's own autoscaler with Ray's own provider for tests, whose nodes are
processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from tests.support.backend.service import Backend

MOST = 2  # nodes
RESOURCES = json.dumps({"num_cpus": 1})  # of a worker
IDLE = 6.0  # seconds after which a node goes
VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # after which nodes and drivers give a dead head up
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_FAKE_CLUSTER": "1",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "AUTOSCALER_HEARTBEAT_TIMEOUT_S": "10",  # after which a silent node is replaced
}


class RayCluster:
    """A head without room for workers, and nodes of one processor each while somebody waits for them."""

    def __init__(self, folder: Path) -> None:
        # In a network of its own, and yet not always the same: Ray looks at processes of others, too.
        self._port = 20_000 + os.getpid() % 10_000
        self._config, self._log = folder / "autoscaling.json", folder / "ray.log"
        self._config.write_text(json.dumps(self._autoscaling()))
        self._scratch = tempfile.mkdtemp(prefix="ray-")  # short: paths of sockets
        self.start_head()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start_head(self) -> None:
        """Start the head, where the last one was."""
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
        command += ["--node-ip-address=127.0.0.1", f"--port={self._port}", "--num-cpus=0"]
        command += ["--include-dashboard=false", f"--temp-dir={self._scratch}"]
        with self._log.open("a") as log:
            self._head = psutil.Popen(
                [*command, f"--autoscaling-config={self._config}"],
                env=os.environ | VARIABLES,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def backend(self, data_dir: Path, model: Path, workers: int, *flags: str, **settings: object) -> Backend:
        """Start a backend that may have so many workers here, each of them a processor and a thread."""
        variables = {key: text for key, text in os.environ.items() if key.startswith(("RAY_", "XDG_"))}
        ray = {"ray": self.address, "ray_workers": workers, "ray_resources": RESOURCES}
        flags = ("--model", str(model), *flags)
        return Backend(data_dir, *flags, variables=variables, threads=1, **ray, **settings).start()

    def nodes(self) -> list[psutil.Process]:
        """Return the node managers of the nodes that the autoscaler started."""
        raylets = (one for one in self.processes() if _words(one)[:1] and _words(one)[0].endswith("/raylet"))
        return [one for one in raylets if _parent(one) not in (None, self._head.pid)]

    def actors(self) -> list[psutil.Process]:
        """Return the processes of the actors."""
        return [one for one in self.processes() if " ".join(_words(one)).startswith("ray::RayCrew")]

    def workers(self) -> list[psutil.Process]:
        """Return the processes of the workers that the actors have started."""
        return [one for one in self.processes() if "model_backend.jobs.worker" in _words(one)]

    def kill_head(self) -> None:
        """Kill the head, with all nodes."""
        for one in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self._head.wait()

    def close(self) -> None:
        self.kill_head()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def processes(self) -> list[psutil.Process]:
        """Return all processes of the cluster: the head's, which the autoscaler and so the nodes are of."""
        return [self._head, *self._head.children(recursive=True)]

    def _autoscaling(self) -> dict[str, Any]:
        nothing: dict[str, Any] = {
            "auth": {}, "docker": {}, "file_mounts": {}, "file_mounts_sync_continuously": False,
            "initialization_commands": [], "setup_commands": [], "head_setup_commands": [],
            "worker_setup_commands": [], "head_start_ray_commands": [], "worker_start_ray_commands": [],
            "cluster_synced_files": [], "rsync_exclude": [], "rsync_filter": [],
        }  # fmt: skip
        return nothing | {
            "cluster_name": "text2earth",
            "max_workers": MOST,
            "upscaling_speed": MOST,
            "idle_timeout_minutes": IDLE / 60,
            "provider": {
                "type": "fake_multinode",
                "use_node_id_as_ip": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
                "gcs_address": self.address,
            },
            "head_node_type": "ray.head.default",
            "available_node_types": {
                "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
                "node": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": MOST},
            },
        }


def cache(folder: Path) -> dict[str, str]:
    """Return variables by which nodes keep what they fetch in a folder."""
    return {"XDG_CACHE_HOME": str(folder)}


def _words(process: psutil.Process) -> list[str]:
    try:
        found: list[str] = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
    return found


def _parent(process: psutil.Process) -> int | None:
    try:
        found: int | None = process.ppid()
    except psutil.NoSuchProcess:
        return None
    return found
