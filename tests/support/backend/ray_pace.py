"""Blocks per second by one worker on a Ray cluster and by two, in turns: what came of it as JSON, last line.

    python -m tests.support.backend.ray_pace FOLDER [--rounds 3] [--rows 26]

In a network of its own (``alone``), on a computer that does nothing else and has a core for each worker. The
scene is long, so that what its two runs of blocks both compute where they meet counts little. Where others
use the computer, too, the processor seconds of each part still tell what it costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from model_backend.jobs.store.rows import UNFINISHED
from tests.support.backend.headless_backend import SCENE, small_model
from tests.support.backend.journal import Journal
from tests.support.backend.ray_cluster import RayCluster, cache
from tests.support.backend.service import Backend, status_in, submit, until

PATIENCE = 900.0  # seconds
POLL = 1.0  # seconds between looks at the job, as those of QGIS
# What the processes are whose command lines hold these words; those of Ray itself are what is left.
PARTS = {
    "ray_pace": "who asks",
    "serve": "backend",
    "model_backend.jobs.remote.ray_fleet": "who hires",
    "ray::RayCrew": "actors",
}


def scene(rows: int) -> dict[str, Any]:
    """Return a scene of two columns of blocks."""
    tall = {"bbox": [500_000, 5_200_000, 500_520, 5_200_000 + 512 * rows - 100], "crs": "EPSG:32632"}
    return SCENE | {"steps": 8, "extent": tall}


def rate(times: dict[str, list[float]]) -> float:
    """Return blocks per second while all workers were at work: from the last first to the first last one."""
    begin, end = max(one[0] for one in times.values()), min(one[-1] for one in times.values())
    return sum(begin < at <= end for one in times.values() for at in one) / (end - begin)


def spent(backend: Backend, cluster: RayCluster) -> Counter[str]:
    """Return the processor seconds that each part has used so far."""
    found: Counter[str] = Counter()
    own = psutil.Process(backend.process.pid)
    for process in (psutil.Process(), own, *own.children(recursive=True), *cluster.processes()):
        try:
            words, times = process.cmdline(), process.cpu_times()
            at_home = process.ppid() == own.pid
        except psutil.NoSuchProcess:
            continue
        part = next((name for word, name in PARTS.items() if any(word in one for one in words)), "Ray")
        if "model_backend.jobs.worker" in words:
            part = "worker at home" if at_home else "workers"
        found[part] += times.user + times.system
    return found


def by_workers(count: int, rows: int, folder: Path, model: Path, cluster: RayCluster) -> dict[str, Any]:
    """Have so many workers make one scene; return their pace, and what every part used meanwhile."""
    backend = cluster.backend(folder, model, count, ray_idle_minutes=0)
    journal = Journal(folder)
    with backend.client() as client:

        def there() -> bool:
            workers = client.get("/healthz").json()["workers"]
            return sum(one["device"] != "none" for one in workers) == count

        until(there)
        for seed in range(2 * count):  # models are loaded
            status_in(client, submit(client, "generate", SCENE | {"seed": seed}), {"successful"})
        before, began = spent(backend, cluster), time.monotonic()
        job = submit(client, "generate", scene(rows))
        while (status := client.get(f"/jobs/{job}").json())["status"] in UNFINISHED:
            assert time.monotonic() - began < PATIENCE
            time.sleep(POLL)
        assert status["status"] == "successful", status
        after, took = spent(backend, cluster), time.monotonic() - began
    pace = rate(journal.times(job))
    journal.close()
    backend.stop()
    return {
        "blocks per second": round(pace, 3),
        "seconds": round(took, 1),
        "processor seconds": {part: round(after[part] - before[part], 2) for part in sorted(after)},
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=26, help="rows of blocks of the scene")
    given = parser.parse_args()
    model = small_model(given.folder / "models")
    os.environ |= cache(given.folder / "cache")
    cluster = RayCluster(given.folder)
    seen: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    try:
        for number in range(given.rounds):
            for count, rounds in seen.items():
                folder = given.folder / f"{number}-{count}"
                rounds.append(by_workers(count, given.rows, folder, model, cluster))
                print(count, rounds[-1], flush=True)
    finally:
        cluster.close()
    one, two = (statistics.median(one["blocks per second"] for one in rounds) for rounds in seen.values())
    print(json.dumps({"rounds": seen, "two against one": round(two / one, 2)}))


if __name__ == "__main__":
    main()
