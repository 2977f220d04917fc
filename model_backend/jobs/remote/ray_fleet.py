"""Keeps workers on a Ray cluster: a process beside the API, which Ray's own ends do not touch.

Started by the supervisor like a worker, with one JSON line on standard input, and replaced like one when it
ends: Ray ends its drivers with the cluster's head. Every later line means "there are pixels to compute"; when
none has come for a while the actors leave, so that an autoscaler may take nodes away. Ray says where workers
run; what they do, the backend and its rows decide, and nothing is kept here. An actor that waits for room is
an autoscaler's order for a node.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import ray

from model_backend import logs
from model_backend.jobs.pulse import Pulse, own_output
from model_backend.jobs.remote.ray_crew import RayCrew
from model_backend.settings import AUTOMATIC, Settings

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at actors
LOOK = 5.0  # seconds between looks at nodes
HEALTHY = 60.0  # seconds; an actor that lived this long was not broken from the start
LONGEST_PAUSE = 30.0  # seconds before an actor is hired in the place of one that keeps dying
PATIENCE = 10.0  # seconds an actor gets to leave, more than its crew gives its workers


@dataclass
class _Hired:
    """An actor, when it began, and until when it is to have left."""

    actor: Any
    began: float
    leaves: float | None = None


class Fleet:
    """The actors of one backend."""

    def __init__(self, settings: Settings, token: str) -> None:
        self._settings, self._token = settings, token
        self._at_work: dict[Any, _Hired] = {}  # by the end of each actor's work
        self._pause, self._hire_at, self._look_at, self._wanted = 0.0, 0.0, 0.0, 0
        self._idle = 60 * settings.ray_idle_minutes or math.inf
        self._needed = time.monotonic()  # at first too: then it is known how fast they are

    def connect(self) -> None:
        """Connect to the cluster, before all else; raises ConnectionError."""
        address = self._settings.ray if self._settings.ray else AUTOMATIC
        ray.init(address=address, namespace="text2earth", log_to_driver=False, logging_level=logging.WARNING)
        self._address = str(ray.util.get_node_ip_address())
        self._url = reachable_url(self._settings, self._address)
        # Two calls at a time: it is told to leave while it works.
        self._actor = ray.remote(RayCrew).options(
            max_restarts=0, max_concurrency=2, **self._settings.ray_resources
        )

    def need(self) -> None:
        """Note that there are pixels to compute; may be called from another thread."""
        self._needed = time.monotonic()

    def tend(self) -> None:
        """Hire who is missing, or let everybody leave, and see who ended; takes a second."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK
            self._count(ray.nodes())
        if now - self._needed > self._idle:
            self._let_go(now)
        else:
            self._hire(now)
        for hired in self._at_work.values():
            if hired.leaves is not None and now > hired.leaves:
                ray.kill(hired.actor)
        if not self._at_work:
            time.sleep(TICK)
            return
        for end in ray.wait(list(self._at_work), timeout=TICK)[0]:
            self._ended(end)

    def _hire(self, now: float) -> None:
        """Hire who is missing; those who are about to leave keep their places until they have."""
        while len(self._at_work) < self._wanted and now >= self._hire_at:
            actor = self._actor.remote(self._url, self._token, self._settings.ray_resources)
            self._at_work[actor.run.remote()] = _Hired(actor, now)

    def _let_go(self, now: float) -> None:
        """Ask all to leave; those that do not, or wait for a place, are ended soon."""
        for hired in self._at_work.values():
            if hired.leaves is None:
                log.info("nothing to compute: a worker on Ray leaves")
                hired.actor.leave.remote()
                hired.leaves = now + PATIENCE

    def _count(self, nodes: list[dict[str, Any]]) -> None:
        """Reckon how many workers there are to be."""
        self._wanted = self._settings.ray_workers or max(1, room(nodes, self._settings.ray_resources))
        if is_cut_off(self._url, nodes, self._address):
            log.warning(
                "Nodes on other computers cannot reach %s. Listen where they can (--host), or set"
                " TEXT2EARTH_PUBLIC_URL.",
                self._url,
            )

    def _ended(self, end: Any) -> None:
        hired = self._at_work.pop(end)
        if hired.leaves is not None:
            return
        healthy = time.monotonic() - hired.began > HEALTHY
        self._pause = 0.0 if healthy else min(LONGEST_PAUSE, max(1.0, 2 * self._pause))
        self._hire_at = time.monotonic() + self._pause
        try:
            ray.get(end)
        except (ray.exceptions.RayError, RuntimeError) as error:
            log.warning("a worker on Ray ended: %s", str(error).strip().splitlines()[-1])


def room(nodes: list[dict[str, Any]], resources: Mapping[str, Any]) -> int:
    """Return how many workers the living nodes of a cluster hold, if nobody else uses them."""
    names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
    needs = {names[name]: amount for name, amount in resources.items() if name in names}
    needs = {name: amount for name, amount in (needs | resources.get("resources", {})).items() if amount}
    if not needs:
        return 1
    return sum(
        min(int(node["Resources"].get(name, 0) / amount) for name, amount in needs.items())
        for node in nodes
        if node["Alive"]
    )


def reachable_url(settings: Settings, address: str) -> str:
    """Return where the nodes reach the backend, which is on the computer of this ``address``."""
    if settings.public_url:
        return settings.public_url
    try:
        everywhere = ipaddress.ip_address(settings.host).is_unspecified
    except ValueError:
        everywhere = False
    host = address if everywhere else settings.host
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def is_cut_off(url: str, nodes: list[dict[str, Any]], address: str) -> bool:
    """Say whether the backend at ``url`` is heard on its own computer alone, and a node is on another one."""
    host = urlsplit(url).hostname or ""
    loopback = host == "localhost" or host.startswith("127.") or host == "::1"
    return loopback and any(node["Alive"] and node["NodeManagerAddress"] != address for node in nodes)


def _listen(supervisor: BinaryIO, fleet: Fleet) -> None:
    """Hear that there are pixels to compute; end this process, and so the actors, with the supervisor."""
    for _ in supervisor:
        fleet.need()
    os._exit(0)


def main() -> None:
    """Run as the supervisor's child."""
    logs.begin("ray")
    pulse = Pulse()
    pulse.start(own_output())
    order = json.loads(sys.stdin.buffer.readline())
    settings = Settings(**order["settings"])
    fleet = Fleet(settings, order["token"])
    threading.Thread(target=_listen, args=(sys.stdin.buffer, fleet), daemon=True).start()
    try:
        fleet.connect()
    except (ConnectionError, RuntimeError, TimeoutError) as error:
        log.warning("There is no Ray cluster at %s (%s): tried again soon.", settings.ray, error)
        os._exit(1)  # not sys.exit: the thread that listens holds standard input
    while True:
        pulse.progress()  # "at work": the cluster is there
        fleet.tend()


if __name__ == "__main__":
    main()
