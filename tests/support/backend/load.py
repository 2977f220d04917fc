"""Many clients at once, with processes that die and stand still under them: everything accounted for.

``python -m tests.support.backend.load`` sends 1,000 jobs from 100 clients of 10 owners over HTTP, kills
workers and the backend 20 times, stops workers (SIGSTOP) 5 times, and prints what it came to as JSON. A
client does what the plugin does: it sends a request again with the same Idempotency-Key when no answer came,
and asks for a job's status when it is told to.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from tests.support.backend.service import PATIENCE, Backend
from tests.support.backend.tiny_models import build_tiny

SCENE = {"extent": {"bbox": [500000, 5200000, 500064, 5200064], "crs": "EPSG:32632"}, "gsd": 1.0, "steps": 2}
RESTARTS = (
    4  # every so many-th kill, the second first, is of the backend with all its workers, as in a power cut
)
SETTINGS = {"lease_seconds": 2, "silence_seconds": 5, "cancel_seconds": 5, "max_attempts": 10}


@dataclass(frozen=True)
class Size:
    """How much is sent, and how much is broken meanwhile; one job in ``scenes`` is a scene, the rest echo."""

    jobs: int = 1000
    clients: int = 100
    owners: int = 10
    scenes: int = 20
    kills: int = 20
    stops: int = 5
    devices: str = "cpu,cpu"


@dataclass
class Record:
    """What was seen from outside: seconds of requests that were answered, jobs by owner, faults."""

    submits: list[float] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)
    jobs: dict[str, dict[str, str]] = field(default_factory=dict)  # owner -> job -> what it was asked for
    done: int = 0
    again: int = 0  # requests that had no answer and were sent again
    kills: int = 0
    restarts: int = 0
    stops: list[float] = field(
        default_factory=list
    )  # seconds until a job was done that waited for a stopped worker
    faults: list[str] = field(default_factory=list)

    def figures(self, size: Size, seconds: float) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "jobs": size.jobs,
            "clients": size.clients,
            "owners": size.owners,
            "jobs done": self.done,
            "seconds": round(seconds, 1),
            "jobs per second": round(self.done / seconds, 1),
            "submit, seconds": _quantiles(self.submits),
            "poll, seconds": _quantiles(self.polls),
            "polls": len(self.polls),
            "sent again": self.again,
            "workers killed": self.kills - self.restarts,
            "backends killed": self.restarts,
            "workers stopped": len(self.stops),
            "seconds until a job was done that waited for a stopped worker": [
                round(one, 1) for one in self.stops
            ],
            "faults": self.faults,
        }


def _quantiles(values: list[float]) -> dict[str, float]:
    return {f"p{part}": round(float(np.percentile(values, part)), 3) for part in (50, 95, 100)}


class Client:
    """One client: a connection of its own, the token of its owner."""

    def __init__(self, backend: Backend, token: str, record: Record) -> None:
        self.backend, self._record = backend, record
        self.owner = token
        headers = {"Authorization": f"Bearer {token}", "Prefer": "respond-async"}
        self._http = httpx.AsyncClient(headers=headers, timeout=30, verify=False)

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request until it is answered; a refusal other than 404 and 429 is a fault."""
        end = time.monotonic() + PATIENCE
        while True:
            begun = time.monotonic()
            try:
                answer = await self._http.request(method, self.backend.url + path, **more)
            except httpx.TransportError:
                self._record.again += 1
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.2)
                continue
            seconds = time.monotonic() - begun
            (self._record.submits if method == "POST" else self._record.polls).append(seconds)
            if answer.status_code >= 400 and answer.status_code not in (404, 429):
                self._record.faults.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            return answer

    async def submit(self, process: str, inputs: dict[str, Any], key: str) -> str:
        """Queue a job and return its id."""
        headers, body = {"Idempotency-Key": key}, {"inputs": inputs, "response": "document"}
        answer = await self.ask("POST", f"/processes/{process}/execution", json=body, headers=headers)
        job = str(answer.json()["jobID"])
        self._record.jobs.setdefault(self.owner, {})[job] = key
        return job

    async def wait(self, job: str, *states: str) -> dict[str, Any]:
        """Ask how a job is, as often as told, until it is in one of some states, or has ended."""
        end = time.monotonic() + 10 * PATIENCE
        while time.monotonic() < end:
            answer = await self.ask("GET", f"/jobs/{job}")
            info: dict[str, Any] = answer.json()
            if info["status"] in (*states, "successful", "failed", "dismissed"):
                return info
            await asyncio.sleep(min(2.0, float(answer.headers.get("retry-after", 1))))
        raise AssertionError(f"job {job} never ended")

    async def work(self, jobs: dict[str, bool]) -> None:
        """Send jobs, scenes or echoes by their keys, wait for each, and look at what it brought."""
        sent = {}
        for key, is_scene in jobs.items():
            inputs = SCENE | {"prompt": key, "seed": 1} if is_scene else {"message": key}
            sent[await self.submit("generate" if is_scene else "echo", inputs, key)] = key
        for job, key in sent.items():
            info = await self.wait(job)
            answer = await self.ask("GET", f"/jobs/{job}/results")
            brought = job if jobs[key] else key  # a link to a file of the job, or what was said
            if info["status"] != "successful" or brought not in answer.text:
                told = f"{info['status']}: {info['message']} {answer.text[:200]}"
                self._record.faults.append(f"{key} became {told}")
            self._record.done += 1

    async def close(self) -> None:
        """End the connection."""
        await self._http.aclose()


class Trouble:
    """Kills and stops processes of a backend while it works."""

    def __init__(self, backend: Backend, victim: Client, record: Record, size: Size) -> None:
        self._backend, self._victim, self._record, self._size = backend, victim, record, size
        self._random = random.Random(size.jobs)

    async def make(self) -> None:
        """Spread all kills and stops over the jobs as they are done."""
        size = self._size
        events: list[Callable[[], Awaitable[None]]] = [self._kill] * size.kills
        for number in range(size.stops):
            at = (number + 1) * len(events) // (size.stops + 1)
            events.insert(at, self._stop_and_delete if number % 2 else self._stop)
        for number, event in enumerate(events):
            due = size.jobs * (number + 1) / (len(events) + 1)
            while self._record.done < due:
                await asyncio.sleep(0.05)
            await event()

    def workers(self) -> list[psutil.Process]:
        """Return the workers that run now."""
        found = []
        for child in psutil.Process(self._backend.process.pid).children():
            try:
                if "model_backend.jobs.worker" in child.cmdline():
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
        return found

    async def _some_worker(self) -> psutil.Process:
        while not (workers := self.workers()):
            await asyncio.sleep(0.05)
        return self._random.choice(workers)

    async def _kill(self) -> None:
        self._record.kills += 1
        if self._record.kills % RESTARTS != 2:
            (await self._some_worker()).kill()
            return
        self._record.restarts += 1
        port = self._backend.port
        await asyncio.to_thread(self._backend.kill_all)
        await asyncio.to_thread(self._backend.start, port)

    async def _stop(self) -> None:
        """Stop all workers in the middle of a job; the job goes on in another one."""
        job, begun = await self._stopped(pause=15)
        self._expect(await self._victim.wait(job), "successful")
        self._record.stops.append(time.monotonic() - begun)

    async def _stop_and_delete(self) -> None:
        """The same, and the owner does not want the job any more; the next one is not held up by it."""
        job, begun = await self._stopped(pause=60)
        await self._victim.ask("DELETE", f"/jobs/{job}")
        self._expect(await self._victim.wait(job), "dismissed")
        after = await self._victim.submit("echo", {"message": "after"}, f"after {job}")
        self._expect(await self._victim.wait(after), "successful")
        self._record.stops.append(time.monotonic() - begun)

    async def _stopped(self, pause: int) -> tuple[str, float]:
        key = f"victim {len(self._record.stops)} {self._random.random()}"
        job = await self._victim.submit("echo", {"message": key, "pause": pause}, key)
        await self._victim.wait(job, "running")
        for worker in self.workers():
            worker.suspend()
        return job, time.monotonic()

    def _expect(self, info: dict[str, Any], wanted: str) -> None:
        if info["status"] != wanted:
            told = f"{info['status']} instead of {wanted}: {info['message']}"
            self._record.faults.append(f"a job whose worker was stopped: {told}")


async def run(backend: Backend, tokens: list[str], size: Size) -> dict[str, Any]:
    """Send the jobs, make the trouble, count everything; return the figures with all faults."""
    record = Record()
    victim = Client(backend, tokens[-1], record)
    owners = tokens[: size.owners]
    clients = [Client(backend, owners[number % len(owners)], record) for number in range(size.clients)]
    shares: list[dict[str, bool]] = [{} for _ in clients]
    for number in range(size.jobs):
        shares[number % len(clients)][f"job {number}"] = number % size.scenes == 0
    begun = time.monotonic()
    trouble = asyncio.create_task(Trouble(backend, victim, record, size).make())
    await asyncio.gather(*(client.work(share) for client, share in zip(clients, shares, strict=True)))
    seconds = time.monotonic() - begun
    await trouble
    for client in [*clients[: len(owners)], victim]:
        record.faults += await _unaccounted(client, record.jobs.get(client.owner, {}))
    figures = record.figures(size, seconds)
    for client in (*clients, victim):
        await client.close()
    return figures


async def _unaccounted(client: Client, sent: dict[str, str]) -> list[str]:
    """Return how an owner's list of jobs differs from what was sent: lost, twice, somebody else's."""
    listed = (await client.ask("GET", "/jobs", params={"limit": 10_000})).json()["jobs"]
    ids = [job["jobID"] for job in listed]
    twice = len(sent) - len(set(sent.values()))
    if sorted(ids) == sorted(sent) and not twice:
        return []
    return [f"{len(set(sent) - set(ids))} jobs lost, {len(set(ids) - set(sent))} not sent, {twice} twice"]


def measured(folder: Path, size: Size) -> dict[str, Any]:
    """Run a load against a backend of its own in a folder and return the figures."""
    tokens = [f"token-of-owner-{number:02}-{'x' * 20}" for number in range(size.owners + 1)]
    (folder / "tokens").write_text("\n".join(tokens))
    (folder / "tokens").chmod(0o600)
    flags = ("--model", str(build_tiny(folder / "tiny")), "--devices", size.devices)
    flags += ("--token-file", str(folder / "tokens"))
    backend = Backend(folder / "data", *flags, max_jobs=size.jobs, **SETTINGS).start()
    try:
        return asyncio.run(run(backend, tokens, size))
    finally:
        backend.stop()


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in vars(Size()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), Size(**vars(parser.parse_args()))), indent=1))


if __name__ == "__main__":
    main()
