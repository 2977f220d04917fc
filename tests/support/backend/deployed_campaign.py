"""Kills a deployed backend again and again while it works, and says as JSON what became of its jobs.

    TEXT2EARTH_BACKEND_URL=http://127.0.0.1:8765 TEXT2EARTH_TOKEN=... \\
    .venv/backend/bin/python -m tests.support.backend.deployed_campaign --data-dir /var/lib/text2earth \\
      --kill 'systemctl kill --signal KILL --kill-whom main text2earth' --kill 'pkill -KILL -f jobs.worker'

Each command of ``--kill`` ends some part of it, all of them in turn; what supervises it must bring it back.
It should have nothing else to do. Every job must end as it does undisturbed, once, and leave nothing behind.
Exit code 1: there are faults.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import rasterio
from prometheus_client.parser import text_string_to_metric_families

from model_backend.jobs.store.rows import UNFINISHED

PATIENCE = 600.0  # seconds
QUEUE = 3  # jobs that are unfinished at any time
DEATHS = 2  # of a job: three of one block end it, as docs/server.md says
AWAY = (502, 503, 504)  # it starts, or its proxy finds nobody
SOURCE = {"extent": {"bbox": [500000, 5200000, 500640, 5200640], "crs": "EPSG:32632"}, "gsd": 1.0, "seed": 7}
HOLE = [[[500080, 5199950], [500180, 5199950], [500180, 5199850], [500080, 5199950]]]
# What is sent in turn: the process, its inputs.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "by example": ("generate", SOURCE | {"prompt": "farmland with a lake", "model": "open-land"}),
    "by a model": (
        "generate",
        {
            "prompt": "a forest",
            "model": "text2earth-mini",
            "extent": {"bbox": [500000, 5200000, 500192, 5200192], "crs": "EPSG:32632"},
            "gsd": 1.0,
            "seed": 7,
        },
    ),
    "filled": (
        "edit",
        {
            "prompt": "",
            "mask": {"geojson": {"type": "Polygon", "coordinates": HOLE}, "crs": "EPSG:32632"},
            "seed": 7,
        },
    ),
    "echo": ("echo", {"message": "x", "pause": 2}),
}


def source() -> bytes:
    """Return a GeoTIFF to be edited."""
    pixels = np.random.default_rng(1).integers(60, 90, (3, 256, 256), dtype=np.uint8)
    place = rasterio.Affine(1, 0, 500000, 0, -1, 5200000)
    profile = {"driver": "GTiff", "count": 3, "width": 256, "height": 256, "dtype": "uint8"}
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile, crs="EPSG:32632", transform=place) as file:
            file.write(pixels)
        return bytes(memory.read())


class Owner:
    """A client that asks again until it is answered, and its jobs."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "Prefer": "respond-async"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=30)
        self._name = random.randbytes(8).hex()
        self.jobs: dict[str, str] = {}  # kind by job
        self._keys: dict[str, str] = {}
        self.asked_again = 0
        upload = self.ask("POST", "/uploads", content=source()).json()["id"]
        self._upload = {"source": {"upload": upload}}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request until somebody answers it."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._http.request(method, path, **more)
                if answer.status_code not in AWAY:
                    return answer.raise_for_status()
                problem: object = answer.text
            except httpx.TransportError as error:
                problem = error
            if time.monotonic() > end:
                raise SystemExit(f"No answer to {method} {path} in {PATIENCE} s: {problem}")
            self.asked_again += 1
            time.sleep(0.2)

    def submit(self, kind: str, key: str | None = None) -> str:
        """Start a job, or the same one again under its key."""
        key = key or f"{self._name}-{len(self.jobs)}"
        process, inputs = KINDS[kind]
        body = {"inputs": inputs | (self._upload if process == "edit" else {}), "response": "document"}
        sent = self.ask(
            "POST", f"/processes/{process}/execution", json=body, headers={"Idempotency-Key": key}
        )
        job = str(sent.json()["jobID"])
        self.jobs[job], self._keys[job] = kind, key
        return job

    def submit_again(self) -> None:
        """Send every request once more, as a client does that had no answer."""
        for job, kind in list(self.jobs.items()):
            self.submit(kind, self._keys[job])

    def status(self, job: str) -> dict[str, Any]:
        """Return a job's statusInfo."""
        info: dict[str, Any] = self.ask("GET", f"/jobs/{job}").json()
        return info

    def finished(self, job: str) -> dict[str, Any]:
        """Return how a job ended."""
        end = time.monotonic() + PATIENCE
        while (info := self.status(job))["status"] in UNFINISHED:
            if time.monotonic() > end:
                raise SystemExit(f"Job {job} did not end in {PATIENCE} s.")
            time.sleep(0.3)
        return info

    def digest(self, job: str) -> str:
        """Return the SHA-256 of what a job made: pixels and recipe, or what it echoed."""
        results = self.ask("GET", f"/jobs/{job}/results")
        if "image" not in results.json():
            return hashlib.sha256(results.content).hexdigest()
        image, recipe = (
            self.ask("GET", f"/jobs/{job}/results/{name}").content for name in ("image.tif", "recipe.json")
        )
        with rasterio.open(io.BytesIO(image)) as file:
            return hashlib.sha256(file.read().tobytes() + recipe).hexdigest()

    def listed(self) -> list[str]:
        """Return the ids of all the owner's jobs, as the backend lists them."""
        return [job["jobID"] for job in self.ask("GET", "/jobs", params={"limit": 10_000}).json()["jobs"]]

    def metrics(self) -> dict[str, float]:
        """Return how many jobs were successful in all, and when the backend's process began."""
        text = self.ask("GET", "/metrics").text
        samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
        ended = [
            one.value
            for one in samples
            if one.name == "text2earth_jobs_ended_total" and "successful" in one.labels.values()
        ]
        begun = next(one.value for one in samples if one.name == "process_start_time_seconds")
        return {"ended": sum(ended), "begun": begun}

    def remove(self) -> None:
        """Remove all that was sent and made."""
        for job in self.jobs:
            self.ask("DELETE", f"/jobs/{job}")
        self.ask("DELETE", f"/uploads/{self._upload['source']['upload']}")


class Campaign:
    """One owner's jobs, the kills meanwhile, and what came of both."""

    def __init__(self, owner: Owner, seed: int) -> None:
        self._owner, self._chance = owner, random.Random(seed)
        self._kinds = itertools.cycle(KINDS)
        self._others = set(owner.listed())
        self._ended = owner.metrics()["ended"]
        self._digests: dict[str, str] = {}
        self._pace: dict[str, float] = {}
        self._deaths: Counter[str] = Counter()
        self._begun = set[float]()
        self._back: dict[str, list[float]] = {}
        self.faults: list[str] = []

    def undisturbed(self) -> None:
        """Make every kind twice: the first time may compile and load."""
        for kind in [*KINDS, *KINDS]:
            begun = time.monotonic()
            job = self._owner.submit(kind)
            self._expect(job, self._owner.finished(job))
            self._pace[kind] = time.monotonic() - begun

    def kill(self, commands: list[str], kills: int) -> None:
        """Run the commands one after another, each at some moment of a job that is under way."""
        self._begun.add(self._owner.metrics()["begun"])
        for number in range(kills):
            command = commands[number % len(commands)]
            self._catch()
            subprocess.run(command, shell=True, check=True, timeout=PATIENCE)
            begun = time.monotonic()
            self._owner.submit(next(self._kinds))  # comes while nobody is there
            self._owner.ask("GET", "/readyz")
            self._back.setdefault(command, []).append(round(time.monotonic() - begun, 1))
            self._begun.add(self._owner.metrics()["begun"])
            print(f"{number + 1}: {command}", file=sys.stderr, flush=True)

    def _catch(self) -> None:
        """Wait until a job runs that may die, and for some part of the time that its kind takes."""
        while True:
            states = {job: self._owner.status(job)["status"] for job in list(self._owner.jobs)[-2 * QUEUE :]}
            waiting = sum(state in UNFINISHED for state in states.values())
            for _ in range(QUEUE - waiting):
                self._owner.submit(next(self._kinds))
            if running := self._running(states):
                time.sleep(self._chance.uniform(0, self._pace[self._owner.jobs[running[0]]]))
                if running := self._running(states):
                    self._deaths.update(running)
                    return
            time.sleep(0.1)

    def _running(self, states: dict[str, str]) -> list[str]:
        """Return the jobs that run now, or none if one of them has died as often as it may."""
        running = [job for job in states if self._owner.status(job)["status"] == "running"]
        return running if all(self._deaths[job] < DEATHS for job in running) else []

    def account(self) -> None:
        """Wait for all jobs and look at each: as undisturbed, once."""
        self._owner.submit_again()
        jobs = self._owner.jobs
        for job in jobs:
            self._expect(job, self._owner.finished(job))
        listed = [job for job in self._owner.listed() if job not in self._others]
        if sorted(listed) != sorted(jobs):
            lost, more = set(jobs) - set(listed), set(listed) - set(jobs)
            self.faults.append(f"{len(lost)} jobs lost, {len(more)} not sent, of {len(listed)} listed")
        if (ended := self._owner.metrics()["ended"] - self._ended) != len(jobs):
            self.faults.append(f"{ended} jobs were counted as successful, of {len(jobs)}")

    def _expect(self, job: str, info: dict[str, Any]) -> None:
        kind = self._owner.jobs[job]
        if info["status"] != "successful":
            self.faults.append(f"{kind}, {job}: {info['status']}, {info['message']}")
        elif self._digests.setdefault(kind, digest := self._owner.digest(job)) != digest:
            self.faults.append(f"{kind}, {job}: not what it is undisturbed")

    def seen(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "jobs": dict(Counter(self._owner.jobs.values())),
            "jobs that were struck": len(self._deaths),
            "seconds until it was ready again": self._back,
            "starts": len(self._begun),
            "asked again": self._owner.asked_again,
            "faults": self.faults,
        }


def files(folder: Path) -> set[str]:
    """Return what lies in a data folder but the database's own files, the audit, empty folders of owners."""
    own = ("jobs.sqlite", "audit.log")
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    found |= {str(path.relative_to(folder)) for path in (folder / "jobs").rglob("*")}
    return {name for name in found if not name.startswith(own)}


def left_behind(folder: Path, before: set[str]) -> list[str]:
    """Return what is more in a data folder than before, once it has had time to go."""
    end = time.monotonic() + 60
    while (left := files(folder) - before) and time.monotonic() < end:
        time.sleep(1)
    return sorted(left)


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--kill", action="append", required=True, help="a command that kills; several in turn"
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--data-dir", type=Path, help="the data folder, to be looked through in the end")
    parser.add_argument("--seed", type=int, default=3)
    given = parser.parse_args()
    before = files(given.data_dir) if given.data_dir else set()
    owner = Owner(os.environ["TEXT2EARTH_BACKEND_URL"], os.environ["TEXT2EARTH_TOKEN"])
    campaign = Campaign(owner, given.seed)
    campaign.undisturbed()
    campaign.kill(given.kill, given.kills)
    campaign.account()
    owner.remove()
    if given.data_dir and (left := left_behind(given.data_dir, before)):
        campaign.faults.append(f"left behind: {', '.join(left)}")
    print(json.dumps(campaign.seen(), indent=1))
    return 1 if campaign.faults else 0


if __name__ == "__main__":
    sys.exit(main())
