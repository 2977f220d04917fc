"""Keeps workers on a Ray cluster: a process beside the API, which Ray's own ends do not touch.

Started by the supervisor like a worker, with one JSON line on standard input, and replaced like one when it
ends: Ray ends its drivers with the cluster's head. Every later line says how many blocks there are to
compute: for more than are at work actors are hired, and those that have not been needed for a while leave,
so that an autoscaler may take nodes away. Ray says where workers run; what they do, the backend and its rows
decide, and nothing is kept here. An actor that waits for room is an autoscaler's order for a node.
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
from model_backend.jobs.remote.needs import Needs
from model_backend.jobs.remote.ray_crew import RayCrew, devices_of
from model_backend.settings import AUTOMATIC, Settings

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at actors
LOOK = 5.0  # seconds between looks at nodes, and at who may leave
NOW = 5.0  # seconds that what was needed is taken for what is needed
WITHDRAWN = 30.0  # seconds after which an actor that is not there yet, and not needed any more, is called off
HEALTHY = 60.0  # seconds; an actor that lived this long was not broken from the start
LONGEST_PAUSE = 30.0  # seconds before an actor is hired in the place of one that keeps dying
PATIENCE = 10.0  # seconds an actor gets to leave, more than its crew gives its workers


@dataclass
class _Hired:
    """An actor, what is ready when it is there, when it was hired, and until when it is to have left."""

    actor: Any
    there: Any
    began: float
    leaves: float | None = None

    def is_there(self) -> bool:
        """Say whether it has a place, and is in touch with the backend."""
        return bool(ray.wait([self.there], timeout=0)[0])


class Fleet:
    """The actors of one backend."""

    def __init__(self, settings: Settings, token: str) -> None:
        self._settings, self._token = settings, token
        self._at_work: dict[Any, _Hired] = {}  # by the end of each actor's work
        self._pause, self._hire_at, self._look_at, self._most = 0.0, 0.0, 0.0, 0
        self._workers_each = len(devices_of(settings.ray_resources))
        self._idle = 60 * settings.ray_idle_minutes
        self._needs = Needs(max(self._idle, WITHDRAWN))

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

    def need(self, blocks: int) -> None:
        """Note that there are so many blocks to compute; may be called from another thread."""
        self._needs.note(math.ceil(blocks / self._workers_each))

    def tend(self) -> None:
        """Hire who is missing, have those leave who are not needed, and see who ended; takes a second."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK
            self._count(ray.nodes())
            if self._idle:
                self._let_go(now)
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
        wanted = min(self._most, self._needs.most(min(NOW, self._idle))) if self._idle else self._most
        while len(self._at_work) < wanted and now >= self._hire_at:
            actor = self._actor.remote(self._url, self._token, self._settings.ray_resources)
            self._at_work[actor.run.remote()] = _Hired(actor, actor.__ray_ready__.remote(), now)

    def _let_go(self, now: float) -> None:
        """Have those leave who are not needed any more and compute nothing; the latest ones first."""
        staying = [hired for hired in self._at_work.values() if hired.leaves is None]
        needed, needed_now = self._needs.most(self._idle), self._needs.most(WITHDRAWN)
        for hired in reversed(staying.copy()):
            if not hired.is_there():
                if len(staying) <= needed_now:
                    continue
                hired.leaves = now
            else:
                if len(staying) <= needed or not self._leaves(hired, needed > 0):
                    continue
                log.info("nothing to compute: a worker on Ray leaves")
                hired.leaves = now + PATIENCE
            staying.remove(hired)

    def _leaves(self, hired: _Hired, if_idle: bool) -> bool:
        """Ask an actor to leave, or to leave if it computes nothing; say whether it will."""
        leaves = hired.actor.leave.remote(if_idle)
        try:
            return bool(ray.get(leaves, timeout=TICK)) if if_idle else True
        except (ray.exceptions.RayError, TimeoutError):
            return False  # it ended, which is seen soon, or is asked again

    def _count(self, nodes: list[dict[str, Any]]) -> None:
        """Reckon how many actors there may be."""
        self._most = self._settings.ray_workers or max(1, room(nodes, self._settings.ray_resources))
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
    """Hear how many blocks there are to compute; end this process, and so the actors, with the supervisor."""
    for line in supervisor:
        fleet.need(int(line))
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
