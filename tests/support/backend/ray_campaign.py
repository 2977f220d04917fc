"""Scenes by workers on a Ray cluster, some of which are killed: what came of it, as JSON on the last line.

    python -m tests.support.backend.ray_campaign FOLDER [--victims worker,node,...] [--mixed]

In a network of its own (``alone``). One cluster serves for all: it begins without a node, gets some from its
autoscaler, has one go when there is work for one alone, has actors, workers, nodes and the head killed at
random moments, is without any when there is nothing to do, and makes another scene; last, a local worker
helps.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import rasterio

from model_backend.jobs.store.rows import UNFINISHED
from tests.support.backend.headless_backend import BLOCKS, SCENE, small_model
from tests.support.backend.journal import Journal
from tests.support.backend.ray_cluster import MOST, RayCluster, cache
from tests.support.backend.service import Backend, finished, submit, until

REMOTE = f"{socket.gethostname()}-"  # how names of workers on the cluster begin
LEASE = 2.0  # seconds
IDLE = 3.0  # seconds after which workers leave
SMALL_SCENE = SCENE | {"extent": {"bbox": [500_000, 5_200_000, 500_300, 5_200_300], "crs": "EPSG:32632"}}


class Campaign:
    """One cluster, one backend, and a digest of the pixels of each scene."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.model = small_model(folder / "models")
        self.seen: dict[str, Any] = {}
        self._begin()
        os.environ |= cache(folder / "cache")
        self.cluster = RayCluster(folder)

    def _begin(self) -> None:
        """Have a backend of this computer make the scene undisturbed."""
        flags = ("--model", str(self.model), "--devices", "cpu")
        server = Backend(self._folder / "local", *flags, threads=1).start()
        with server.client() as client:
            job = submit(client, "generate", SCENE)
            self._undisturbed = {BLOCKS: self._digest(client, job)}
            self.seen["pace"] = self._pace(client, job)
            self._undisturbed[1] = self._digest(client, submit(client, "generate", SMALL_SCENE))
        server.stop()

    def start(self, *flags: str) -> None:
        """Start the backend with workers on the cluster, or go on with it."""
        settings = {"lease_seconds": LEASE, "max_attempts": 1000, "ray_idle_minutes": IDLE / 60}
        self.server = self.cluster.backend(self._folder / "ray", self.model, MOST, *flags, **settings)
        self.journal = Journal(self.server.data_dir)
        self.client = self.server.client()

    def stop(self) -> None:
        """End the backend."""
        self.client.close()
        self.server.stop()

    def _digest(self, client: httpx.Client, job: str) -> str:
        status = finished(client, job, 600)
        assert status["status"] == "successful", status
        with rasterio.open(io.BytesIO(client.get(f"/jobs/{job}/results/image.tif").content)) as file:
            return hashlib.sha256(file.read().tobytes()).hexdigest()

    def _pace(self, client: httpx.Client, job: str) -> float:
        """Return the seconds that a block took."""
        with sqlite3.connect(self._folder / "local" / "jobs.sqlite") as rows:
            (took,) = rows.execute("SELECT finished - started FROM job WHERE id = ?", (job,)).fetchone()
        return float(took) / (BLOCKS + 1)

    def look(self, job: str, blocks: int = BLOCKS) -> dict[str, Any]:
        """Wait for a scene and say how it came out."""
        digest = self._digest(self.client, job)
        return {
            "same": digest == self._undisturbed[blocks],
            "once": self.journal.finished(job) == list(range(blocks + 1)),
            "makers": self.journal.makers(job),
            "crashes": self.journal.crashes(job),
        }

    def from_nothing(self) -> None:
        """A cluster that begins with no node for workers, and gets some when somebody waits."""
        self.start()
        assert not self.cluster.nodes()
        self.seen["from nothing"] = self._scene_of_nobody(SCENE, BLOCKS)

    def rest(self) -> None:
        """Nobody wants anything: workers leave, nodes go; somebody does: they come back."""
        began = time.monotonic()
        until(lambda: not self.cluster.actors())
        workers_went = round(time.monotonic() - began, 1)
        until(lambda: not self.cluster.nodes())
        seen = {"workers went": workers_went, "nodes went": round(time.monotonic() - began, 1)}
        health = self.client.get("/healthz").json()
        seen |= {"workers": health["workers"], "ready": self.client.get("/readyz").json()}
        self.seen["rest"] = seen | self._scene_of_nobody(SMALL_SCENE, 1)

    def _scene_of_nobody(self, scene: dict[str, Any], blocks: int) -> dict[str, Any]:
        """Have a scene made by workers that are not there yet."""
        began = time.monotonic()
        job = submit(self.client, "generate", scene)
        until(self.cluster.nodes)
        node_came = round(time.monotonic() - began, 1)
        until(self._busy)
        worker_began = round(time.monotonic() - began, 1)
        look = self.look(job, blocks)
        nodes = len(self.cluster.nodes())  # they stay for a while after their last worker
        return {"node came": node_came, "worker began": worker_began, "nodes": nodes, **look}

    def shrink(self) -> None:
        """Two workers, and one small scene after another: one of them leaves, and no block is lost."""
        until(lambda: len(self.cluster.actors()) == MOST)
        looks = []
        while len(self.cluster.actors()) == MOST:
            looks.append(self.look(submit(self.client, "generate", SMALL_SCENE), 1))
        self.seen["shrunk"] = looks

    def kill(self, victims: list[str], seed: int) -> None:
        """Kill one after the other while workers on the cluster hold blocks."""
        chance, jobs = random.Random(seed), list[str]()
        for victim in victims:
            self._hold(jobs)
            time.sleep(chance.uniform(0, self.seen["pace"]))
            getattr(self, f"_kill_{victim}")(chance)
            print("killed", victim, flush=True)
        self.seen["killed"] = {"victims": victims, "jobs": [self.look(job) for job in jobs]}

    def _hold(self, jobs: list[str]) -> None:
        """Wait until a worker of the cluster holds a block, of another scene if this one ends before."""

        def held() -> bool:
            if not jobs or self.client.get(f"/jobs/{jobs[-1]}").json()["status"] not in UNFINISHED:
                jobs.append(submit(self.client, "generate", SCENE))
            return self._busy()

        until(held, 300)

    def _busy(self) -> bool:
        """Say whether a worker on the cluster holds a block, and extended its lease a moment ago."""
        return self.journal.held(REMOTE, time.time() + LEASE / 2)

    def _kill_worker(self, chance: random.Random) -> None:
        chance.choice(until(self.cluster.workers)).kill()

    def _kill_actor(self, chance: random.Random) -> None:
        chance.choice(until(self.cluster.actors)).kill()

    def _kill_node(self, chance: random.Random) -> None:
        chance.choice(until(self.cluster.nodes)).kill()

    def _kill_head(self, chance: random.Random) -> None:
        self.cluster.kill_head()
        assert self.client.get("/healthz").status_code == 200, "the backend goes on"
        self.cluster.start_head()

    def mixed(self) -> None:
        """A worker of this computer and workers on the cluster at one scene."""
        self.stop()
        self.start("--devices", "cpu")
        for _ in range(6):  # one may have made all of it before the others are there
            look = self.look(submit(self.client, "generate", SCENE))
            assert look["same"], look
            assert look["once"], look
            if len({maker.startswith(REMOTE) for maker in look["makers"]}) == 2:
                break
        self.seen["mixed"] = look

    def close(self) -> None:
        """End all."""
        self.stop()
        self.cluster.close()


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--victims", default="worker,actor,node,head", help="whom to kill, one after the other"
    )
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--mixed", action="store_true", help="have a local worker help, too")
    given = parser.parse_args()
    campaign = Campaign(given.folder)
    try:
        campaign.from_nothing()
        campaign.shrink()
        campaign.kill(given.victims.split(",") if given.victims else [], given.seed)
        campaign.rest()
        if given.mixed:
            campaign.mixed()
    finally:
        campaign.close()
    print(json.dumps(campaign.seen))


if __name__ == "__main__":
    main()
